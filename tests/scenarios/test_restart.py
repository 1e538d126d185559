"""Both daemons are thrown away at each status, and new ones made from files and chains: the swap goes on to its end."""

from __future__ import annotations

import pytest

from swapd.coordinator.execute import Executor
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from tests.scenarios.rig import Rig

TO_COMPLETION = (
    Status.PROPOSED,
    Status.ACCEPTED,
    Status.INITIATOR_LOCKED,
    Status.PARTICIPANT_LOCKED,
    Status.REDEEMING,
)


@pytest.mark.parametrize("status", [*TO_COMPLETION, Status.REFUNDING])
async def test_restart_at_each_status_continues(rig: Rig, status: Status) -> None:
    if status is Status.REFUNDING:
        await _refunding(rig)
        return
    terms = await rig.agreed(rig.house, rig.other)
    if status is Status.ACCEPTED:
        await rig.settle()
    await rig.until(rig.house, terms.swap_id, status)

    for side in rig.sides:
        await side.restart()
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance(locks=1) == rig.traded(rig.house, rig.other)


async def _refunding(rig: Rig) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.time_is(terms.participant.terms.fund_by + 1)
    await rig.until(rig.house, terms.swap_id, Status.REFUNDING)
    await rig.house.restart()
    await rig.chains.time_is(terms.initiator.terms.timelock + 1)
    await rig.house.look()
    await rig.house.restart()  # now with the refund in the mempool
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance(locks=1) == rig.nothing


async def test_restart_after_every_block_continues(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)

    for _ in range(12):
        for side in rig.sides:
            await side.restart()
        await rig.block()
        if await rig.house.status(terms.swap_id) is Status.COMPLETED:
            break
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance(locks=1) == rig.traded(rig.house, rig.other)


class Crash(BaseException):
    """The end of the process, as far as swapd can tell: nothing of it catches this."""


async def test_s4_a_lock_that_was_signed_and_never_sent_goes_out_after_the_restart(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = await _crashed_before_sending_the_lock(rig, monkeypatch)

    await rig.house.restart()
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    attempts = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
    assert [attempt.voiding for attempt in attempts] == [False], "the very bytes that were stored"
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s4_a_lock_that_was_signed_and_let_go_in_a_halt_is_made_anew_after_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = await _crashed_before_sending_the_lock(rig, monkeypatch)
    await rig.house.restart(halted=True)
    await rig.block(3)
    assert await rig.house.status(terms.swap_id) is Status.PROPOSED

    await rig.house.restart(halted=False)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def _crashed_before_sending_the_lock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> SwapTerms:
    async def crash(*_: object) -> None:
        raise Crash

    terms = await rig.agreed(rig.house, rig.other)
    with monkeypatch.context() as patched:
        patched.setattr(Executor, "_send", crash)
        with pytest.raises(Crash):
            await rig.house.look()
    (attempt,) = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
    assert attempt.sent_at is None
    return terms
