"""This machine's clock is wrong by hours: it is noticed against the chains, nothing new begins, and exits go on."""

from __future__ import annotations

import pytest

from swapd.errors import Rejected
from swapd.protocol.status import Status
from tests.scenarios.rig import Rig

HOURS = 5 * 3_600
wrong = pytest.mark.parametrize("error", [HOURS, -HOURS], ids=["hours_ahead", "hours_behind"])


@wrong
async def test_a_clock_that_is_wrong_begins_nothing_new_and_calls_nothing_off(rig: Rig, error: int) -> None:
    ours = await rig.agreed(rig.house, rig.other)
    rig.house.clock_error = error

    await rig.block(3)

    assert await rig.house.status(ours.swap_id) is Status.PROPOSED
    assert not await rig.house.effects(ours.swap_id)
    assert "clock" in (await rig.house.row(ours.swap_id)).reason, "and it says why"
    with pytest.raises(Rejected, match="clock"):
        await rig.offer(rig.house, rig.other)
    rig.house.clock_error = 0
    await rig.until_over(ours.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@wrong
async def test_s8_a_clock_that_is_wrong_keeps_no_claim_waiting(rig: Rig, error: int) -> None:
    """We have locked second; the other one shows its secret while our clock is wrong."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)

    rig.house.clock_error = error
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@wrong
async def test_s5_refunds_are_due_by_the_chains_clock_and_not_by_ours(rig: Rig, error: int) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)  # the other never accepts
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.house.clock_error = error

    await rig.chains.time_is(terms.initiator.terms.timelock - 60)
    await rig.settle()
    assert "refund:initiator" not in await rig.house.effects(terms.swap_id), "a refund before its time"
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert await rig.accounts_balance() == rig.nothing
