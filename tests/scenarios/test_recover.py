"""The database is gone, and perhaps the machine with it. The seed's words and the chains are left (rule S14)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from swapd.coordinator.recover import ALONE, UNPROVEN, Recovery
from swapd.devnet.icp_world import IcpWorld
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from tests.scenarios.chains import Chains
from tests.scenarios.loss import DAY, heir, lose_and_recover, nothing, together
from tests.scenarios.rig import PAIRS, Direction, Rig, new_rig
from tests.scenarios.side import Side

six_pairs = pytest.mark.parametrize("direction", PAIRS, indirect=True, ids=str)
SAMPLE = (Direction("BTC", "ETH"), Direction("ICP", "BTC"))
sampled_pairs = pytest.mark.parametrize(
    "direction",
    [pair if pair in SAMPLE else pytest.param(pair, marks=pytest.mark.full) for pair in PAIRS],
    indirect=True,
    ids=str,
)
one_pair = pytest.mark.parametrize("direction", [Direction("BTC", "ETH")], indirect=True, ids=str)
another_pair = pytest.mark.parametrize("direction", [Direction("ETH", "ICP")], indirect=True, ids=str)


@pytest.fixture
async def rig(chains: Chains, world: IcpWorld, direction: Direction, tmp_path: Path) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path, world) as made:
        yield made


def _machine_too(rig: Rig) -> bool:
    """For every other pair key file, configuration and the node's wallet are lost with the database."""
    return PAIRS.index(rig.direction) % 2 == 0


@six_pairs
async def test_s14_the_initiator_completes_after_losing_everything_before_it_showed_the_secret(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await _both_locked(rig, rig.house, rig.other, sleeping=rig.house)

    found = await lose_and_recover(rig, rig.house, wallet if _machine_too(rig) else None)

    assert [(each.terms.swap_id, each.missing, each.kept) for each in found] == [(terms.swap_id, None, "")]
    assert _chain_terms(rig.house, found[0].terms) == _chain_terms(rig.house, terms)
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert together(await rig.accounts_balance()) == rig.traded(rig.house, rig.other)


@sampled_pairs
async def test_s14_the_participant_completes_when_the_secret_is_shown_after_its_loss(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await _both_locked(rig, rig.other, rig.house, sleeping=rig.other)

    found = await lose_and_recover(rig, rig.house, None if _machine_too(rig) else wallet)

    assert [(each.terms.swap_id, each.missing) for each in found] == [(terms.swap_id, None)]
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert together(await rig.accounts_balance()) == rig.traded(rig.other, rig.house)


@sampled_pairs
async def test_s14_both_go_back_when_the_time_was_over_at_the_recovery(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await _both_locked(rig, rig.house, rig.other, sleeping=rig.house)
    await rig.chains.time_is(terms.reveal_by + 60)

    await lose_and_recover(rig, rig.house, wallet if _machine_too(rig) else None)
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.time_is(terms.initiator.terms.timelock + 1)

    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert together(await rig.accounts_balance()) == nothing(rig)


@sampled_pairs
async def test_s14_a_lock_that_nobody_answered_goes_back(rig: Rig) -> None:
    wallet = await heir(rig)
    terms, _ = await rig.offer(rig.house, rig.other)  # the other never accepts
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)

    found = await lose_and_recover(rig, rig.house, wallet if _machine_too(rig) else None)

    assert [(each.missing, each.kept) for each in found] == [(Role.PARTICIPANT, ALONE)]
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert together(await rig.accounts_balance()) == nothing(rig)


@sampled_pairs
async def test_s14_a_claim_that_showed_the_secret_and_is_pending_is_not_forgotten(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await _both_locked(rig, rig.house, rig.other, sleeping=rig.house)
    rig.house.asleep, rig.other.asleep = False, True
    await rig.house.look()  # the claim goes out, and no block comes
    assert (await rig.house.row(terms.swap_id)).reveal_sent

    found = await lose_and_recover(rig, rig.house, wallet if _machine_too(rig) else None)

    assert found[0].status is Status.REDEEMING
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert together(await rig.accounts_balance()) == rig.traded(rig.house, rig.other)


@one_pair
async def test_s14_a_lock_of_less_than_was_agreed_brings_no_secret_out_after_the_loss(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await rig.agreed(rig.house, rig.other)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.block(2)
    leg = terms.participant
    less = replace(terms, participant=replace(leg, terms=replace(leg.terms, amount=leg.terms.amount // 1000)))
    await rig.other.act(EffectKind.LOCK, less, Role.PARTICIPANT)
    await rig.chains.blocks(3)

    found = await lose_and_recover(rig, rig.house, wallet)

    assert [(each.terms.participant.terms.amount, each.kept) for each in found] == [
        (less.participant.terms.amount, UNPROVEN)
    ]
    await rig.block(4)
    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    await rig.block(2)
    assert together(await rig.accounts_balance()) == nothing(rig)


@another_pair
async def test_s14_recovering_again_changes_nothing_and_other_databases_are_left_alone(rig: Rig) -> None:
    wallet = await heir(rig)
    terms = await _both_locked(rig, rig.house, rig.other, sleeping=rig.house)
    since = rig.chains.now - DAY
    mine = Recovery(rig.house.house, lambda words: None)
    with pytest.raises(Rejected, match="not recovered"):
        await mine.keep(await mine.find(since))

    await lose_and_recover(rig, rig.house, wallet, look=False)
    again = Recovery(rig.house.house, lambda words: None)
    assert await again.keep(await again.find(since)) == [terms.swap_id]

    async with rig.house.house.store.read() as reading:
        assert len((await reading.swaps()).swaps) == 1
        assert [e.event for e in await reading.audit_trail(terms.swap_id)].count("recovered") == 1
    rig.house.asleep = False
    await rig.house.daemon.start()
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert together(await rig.accounts_balance()) == rig.traded(rig.house, rig.other)


@another_pair
async def test_s14_what_has_ended_is_shown_and_not_taken_back(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    found = await Recovery(rig.house.house, lambda words: None).find(rig.chains.now - DAY)

    assert [(each.terms.swap_id, each.status) for each in found] == [(terms.swap_id, Status.COMPLETED)]
    assert together(await rig.accounts_balance()) == rig.traded(rig.house, rig.other)


# -- losing ------------------------------------------------------------------------------------------------------------


async def _both_locked(rig: Rig, initiator: Side, participant: Side, *, sleeping: Side) -> SwapTerms:
    """Both legs are final; the initiator sleeps before it shows its secret."""
    terms = await rig.agreed(initiator, participant)
    await rig.until(initiator, terms.swap_id, Status.INITIATOR_LOCKED)
    sleeping.asleep = True
    await rig.until(participant, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    return terms


def _chain_terms(side: Side, terms: SwapTerms) -> list[object]:
    """All that the chains hold of it, and the swap's own."""
    names = [side.house.chain(leg.terms.chain).fingerprint(leg.terms) for leg in terms.legs]
    return [*names, terms.index, terms.secret, *(leg.terms.amount for leg in terms.legs)]
