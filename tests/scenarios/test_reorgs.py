"""Reorganisations of real chains at the moments that hurt, up to one block short of finality, and beyond (rule S7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swapd.chains.base import TxState
from swapd.chains.ethereum.fate import SETTLED_BLOCKS
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from tests.scenarios.chains import Chains
from tests.scenarios.reorgs import double_spend, take_back
from tests.scenarios.rig import Direction, Rig, new_rig
from tests.scenarios.side import Side

FINALITY = 4
MANY = 8 * FINALITY
TIERS = f"[{{ confirmations = {FINALITY} }}]"
DEEPER = {
    "SWAPD__CHAINS__BITCOIN__ASSETS__BTC__TIERS": TIERS,
    "SWAPD__CHAINS__ETHEREUM__ASSETS__ETH__TIERS": TIERS,
}
depths = pytest.mark.parametrize("depth", [pytest.param(1, marks=pytest.mark.full), FINALITY - 1])
roles = pytest.mark.parametrize("role", Role, ids=str)


@pytest.fixture
async def rig(chains: Chains, direction: Direction, tmp_path: Path) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path, more=DEEPER) as made:
        yield made


async def in_block(rig: Rig, side: Side, terms: SwapTerms, role: Role, depth: int, state: LegState) -> None:
    """Let blocks come until the side sees the leg in this state, exactly so deep."""
    for _ in range(FINALITY * 4):
        view = (await side.row(terms.swap_id)).legs[role].view
        if (view.state, view.depth) == (state, depth):
            return
        await rig.block()
    raise AssertionError(f"the {role} leg never was {state} at depth {depth}: {view}")


async def the_other_double_spends_its_lock(rig: Rig, terms: SwapTerms, role: Role, depth: int) -> None:
    """When the house has seen it in a block, this deep. The other's daemon sleeps from there on."""
    await in_block(rig, rig.house, terms, role, depth, LegState.LOCKED)
    lock = (await rig.other.effects(terms.swap_id))[f"lock:{role}"].attempts[-1].tx
    rig.other.asleep = True
    await take_back(rig, terms.leg(role).terms.chain, depth)
    await double_spend(rig, rig.other, terms.leg(role), lock)
    await rig.block(FINALITY)


async def nobody_has_more(rig: Rig, terms: SwapTerms, status: Status) -> None:
    rig.other.asleep = False
    await rig.chains.anvil.mine(SETTLED_BLOCKS)
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, status)
    assert await rig.accounts_balance() == rig.nothing


@roles
@depths
async def test_s7_a_lock_reorged_out_is_back_in_another_block(rig: Rig, role: Role, depth: int) -> None:
    """Neither party goes on before the lock is final anew, and the lock is the same one."""
    terms = await rig.agreed(rig.house, rig.other)
    owner, waiting = (rig.house, rig.other) if role is Role.INITIATOR else (rig.other, rig.house)
    await in_block(rig, waiting, terms, role, depth, LegState.LOCKED)
    lock = (await owner.effects(terms.swap_id))[f"lock:{role}"].attempts[-1].tx

    await take_back(rig, terms.leg(role).terms.chain, depth)
    await waiting.look()

    assert await waiting.status(terms.swap_id) is (
        Status.ACCEPTED if role is Role.INITIATOR else Status.INITIATOR_LOCKED
    )
    wants = await waiting.effects(terms.swap_id)
    assert not wants.get(f"lock:{role.other}") or role is Role.PARTICIPANT, "S1: nothing follows what is not final"
    assert not (await rig.house.row(terms.swap_id)).reveal_sent, "S2"
    await rig.until_over(terms.swap_id, Status.COMPLETED, blocks=MANY)
    attempts = (await owner.effects(terms.swap_id))[f"lock:{role}"].attempts
    assert lock.txid in [each.tx.txid for each in attempts if each.fate and each.fate.state is TxState.MINED]
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@depths
async def test_s1_a_first_lock_that_is_double_spent_in_a_reorg_is_followed_by_nothing(rig: Rig, depth: int) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    await the_other_double_spends_its_lock(rig, terms, Role.INITIATOR, depth)

    assert (await rig.house.row(terms.swap_id)).legs[Role.INITIATOR].view.state is LegState.ABSENT
    assert "lock:participant" not in await rig.house.effects(terms.swap_id)
    await nobody_has_more(rig, terms, Status.EXPIRED)


@depths
async def test_s2_a_second_lock_that_is_double_spent_in_a_reorg_shows_no_secret(rig: Rig, depth: int) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await the_other_double_spends_its_lock(rig, terms, Role.PARTICIPANT, depth)

    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    await nobody_has_more(rig, terms, Status.REFUNDED)


@depths
async def test_s7_our_claim_reorged_out_after_the_reveal_is_sent_again(rig: Rig, depth: int) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await in_block(rig, rig.other, terms, Role.PARTICIPANT, FINALITY - 1, LegState.LOCKED)
    rig.other.asleep = True
    await in_block(rig, rig.house, terms, Role.PARTICIPANT, depth, LegState.CLAIMED)

    await take_back(rig, terms.participant.terms.chain, depth)
    await rig.house.look()

    assert await rig.house.status(terms.swap_id) is Status.REDEEMING, "the secret is no secret any more"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED, blocks=MANY)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@depths
async def test_s6_the_last_claim_reorged_out_is_sent_again(rig: Rig, depth: int) -> None:
    """The house has locked second. Its claim, the swap's last step, falls out again."""
    terms = await rig.agreed(rig.other, rig.house)
    await in_block(rig, rig.house, terms, Role.INITIATOR, depth, LegState.CLAIMED)

    await take_back(rig, terms.initiator.terms.chain, depth)
    await rig.house.look()

    assert await rig.house.status(terms.swap_id) is Status.REDEEMING
    await rig.until_over(terms.swap_id, Status.COMPLETED, blocks=MANY)
    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@depths
async def test_s6_a_refund_that_a_reorg_gives_to_a_late_claim_after_all(rig: Rig, depth: int) -> None:
    """The house has taken its own leg back, not yet finally; then the claim wins the race in the new blocks."""
    terms = await rig.agreed(rig.other, rig.house)
    await in_block(rig, rig.house, terms, Role.INITIATOR, FINALITY, LegState.LOCKED)
    rig.other.asleep = True
    await in_block(rig, rig.house, terms, Role.PARTICIPANT, FINALITY, LegState.LOCKED)
    await rig.time_is(terms.participant.terms.timelock + 1)
    await in_block(rig, rig.house, terms, Role.PARTICIPANT, depth, LegState.REFUNDED)

    chain = terms.participant.terms.chain
    await take_back(rig, chain, depth)
    if chain == "bitcoin":  # the refund waits in the mempool again: the claim has to outbid it
        refund = (await rig.house.effects(terms.swap_id))["refund:participant"].attempts[-1].tx
        await rig.chains.bitcoind.rpc("prioritisetransaction", refund.txid, 0, -(10**9))
    preimage = rig.other.house.secrets.preimage(terms.index)
    claim = await rig.other.act(EffectKind.CLAIM, terms, Role.PARTICIPANT, preimage)
    rig.books.payers[claim.txid] = rig.other.name
    await rig.chains.blocks()
    rig.other.asleep = False

    await rig.until_over(terms.swap_id, Status.COMPLETED, blocks=MANY)
    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def test_s7_a_second_lock_reorged_out_after_the_reveal_ends_well_if_it_comes_back(rig: Rig) -> None:
    """Deeper than finality, which no plan allows for: nothing is given up, and everything is sent again."""
    terms = await rig.agreed(rig.house, rig.other)
    await in_block(rig, rig.other, terms, Role.PARTICIPANT, FINALITY - 1, LegState.LOCKED)
    rig.other.asleep = True
    await in_block(rig, rig.house, terms, Role.PARTICIPANT, 1, LegState.CLAIMED)

    await take_back(rig, terms.participant.terms.chain, FINALITY + 2)
    await rig.house.look()

    row = await rig.house.row(terms.swap_id)
    assert row.status is Status.REDEEMING
    assert row.revealed_preimage is not None, "what was seen once is never unknown again"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED, blocks=MANY)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
