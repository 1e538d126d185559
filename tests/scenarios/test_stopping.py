"""What stops swapd, stops what is new, and never the way out (rule S8): a halt, a chain that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swapd.devnet.node import Node
from swapd.errors import Rejected, Unavailable
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from tests.scenarios.rig import Rig


async def test_s8_halted_no_new_lock_begins(rig: Rig) -> None:
    await rig.house.restart(halted=True)
    ours = await rig.agreed(rig.house, rig.other)
    theirs = await rig.agreed(rig.other, rig.house)

    await rig.block(6)

    assert await rig.house.status(ours.swap_id) is Status.PROPOSED
    assert await rig.other.status(theirs.swap_id) is Status.INITIATOR_LOCKED
    for terms in (ours, theirs):
        assert not await rig.house.effects(terms.swap_id)
    assert "halted" in (await rig.house.row(ours.swap_id)).reason, "and it says why"
    await rig.time_is(theirs.initiator.terms.timelock + 1)
    await rig.until_over(theirs.swap_id, Status.REFUNDED, sides=(rig.other,))
    assert await rig.house.status(ours.swap_id) is Status.EXPIRED
    assert await rig.accounts_balance() == rig.nothing


@pytest.mark.parametrize("initiates", [True, False], ids=["as_initiator", "as_participant"])
async def test_s8_halted_claims_go_on(rig: Rig, initiates: bool) -> None:
    initiator, participant = rig.sides if initiates else reversed(rig.sides)
    terms = await rig.agreed(initiator, participant)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)

    await rig.house.restart(halted=True)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(initiator, participant)


@pytest.mark.parametrize("initiates", [True, False], ids=["as_initiator", "as_participant"])
async def test_s8_halted_refunds_go_on(rig: Rig, initiates: bool) -> None:
    initiator, participant = rig.sides if initiates else reversed(rig.sides)
    terms = await rig.agreed(initiator, participant)
    ready = Status.INITIATOR_LOCKED if initiates else Status.PARTICIPANT_LOCKED
    await rig.until(rig.house, terms.swap_id, ready)

    rig.other.asleep = True
    await rig.house.restart(halted=True)
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.block(3)
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)

    assert await rig.accounts_balance() == rig.nothing


async def test_s8_one_chain_away_the_refund_on_the_other_goes_on(rig: Rig) -> None:
    """The house has funded second, the initiator is silent, and the initiator's chain can not be reached."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    await rig.chains.time_is(terms.participant.terms.timelock + 1)

    async with _away(rig, terms.initiator.terms.chain):
        await rig.house.look()
        refund = (await rig.house.effects(terms.swap_id))["refund:participant"]
        assert refund.attempts[-1].sent_at is not None
        assert await rig.house.status(terms.swap_id) is Status.PARTICIPANT_LOCKED, "no new status on half a view"
        with pytest.raises((Unavailable, Rejected)):
            await rig.offer(rig.house, rig.other)
    await rig.block(3)

    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.state is LegState.REFUNDED
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum"])
async def test_s8_a_chain_away_before_the_lock_begins_nothing_and_back_again_it_continues(rig: Rig, chain: str) -> None:
    terms = await rig.agreed(rig.house, rig.other)

    async with _away(rig, chain):
        await rig.settle()
        rig.chains.now += 30
        await rig.settle()
        assert await rig.house.status(terms.swap_id) is Status.PROPOSED
        assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())
        assert chain in (await rig.house.row(terms.swap_id)).reason
    rig.chains.now += 30
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@asynccontextmanager
async def _away(rig: Rig, chain: str) -> AsyncIterator[None]:
    """The chain's node is stopped, and started again in any case: other tests use it too."""
    node: Node = rig.chains.bitcoind if chain == "bitcoin" else rig.chains.anvil
    await node.process.stop()
    try:
        yield
    finally:
        await node.start()
