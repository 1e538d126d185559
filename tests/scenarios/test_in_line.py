"""The account's transactions wait for each other: whatever holds a place, and can not go on or is not seen, holds up no
exit behind it (rule S8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swapd.chains.base import SignedTx, TxState, WatchedLeg
from swapd.coordinator.execute import Executor
from swapd.errors import Unavailable
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import Attempt, EffectState
from tests.scenarios.faults import locked, remember_boat, turns
from tests.scenarios.rig import DIRECTIONS, Direction, Rig

ETHER_FIRST = pytest.mark.parametrize("direction", [DIRECTIONS[1]], ids=str)
"""The house initiates with ether: its locks and its refunds stand in one line."""

USUAL_BASE_FEE = 10**9


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swapd.store.engine.WAIT_SECONDS", 0.2)


async def refund_soon_due(rig: Rig) -> SwapTerms:
    """A swap that nobody took up, right before the house's leg can go back."""
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.time_is(terms.initiator.terms.timelock - 200)
    return terms


async def signed_and_not_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> SwapTerms:
    """A second one: its lock has a place in the line, and nobody got it."""

    async def away(*_: object) -> bool:
        raise Unavailable("the other chain's node went away")

    with monkeypatch.context() as patched:
        patched.setattr(Executor, "_still_wanted", away)
        terms, _ = await rig.offer(rig.house, rig.other)
        await rig.settle()
    (lock,) = await attempts(rig, terms)
    assert lock.sent_at is None
    return terms


@asynccontextmanager
async def blind(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Nothing of the other chain's legs can be seen."""

    async def unseen(leg: WatchedLeg) -> LegView:
        raise Unavailable("the node contradicts itself")

    with monkeypatch.context() as patched:
        patched.setattr(rig.house.house.chain("bitcoin"), "view", unseen)
        yield


async def attempts(rig: Rig, terms: SwapTerms, key: str = "lock:initiator") -> tuple[Attempt, ...]:
    return (await rig.house.effects(terms.swap_id))[key].attempts


async def is_back(rig: Rig, terms: SwapTerms) -> bool:
    chain = rig.house.house.chain("ethereum")
    view = await chain.view(await rig.house.watched(terms, Role.INITIATOR))
    return view.state is LegState.REFUNDED and view.depth > 0


def in_line(first: SignedTx, second: SignedTx) -> bool:
    return first.sequence is not None and second.sequence is not None and first.sequence < second.sequence


@ETHER_FIRST
async def test_s8_a_place_that_an_unsent_lock_holds_is_given_up_when_a_refund_waits_behind_it(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await refund_soon_due(rig)
    second = await signed_and_not_sent(rig, monkeypatch)
    async with blind(rig, monkeypatch):
        rig.chains.now += 5
        await rig.house.look()
        assert len(await attempts(rig, second)) == 1, "nobody waits behind it, and it may be wanted in a moment"
        await rig.time_is(first.initiator.terms.timelock + 1)
        await rig.block(2)
        lock, void = await attempts(rig, second)
        (refund,) = await attempts(rig, first, "refund:initiator")
        assert in_line(lock.tx, refund.tx)
        assert void.voiding
        assert await is_back(rig, first)
    await rig.time_is(second.initiator.terms.timelock + 1)
    await rig.until_over(second.swap_id, Status.EXPIRED, Status.REFUNDED, sides=(rig.house,))
    await rig.until_over(first.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


@ETHER_FIRST
async def test_s8_a_lock_too_cheap_for_any_block_holds_up_no_refund_while_the_other_chain_can_not_be_seen(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await refund_soon_due(rig)
    anvil = rig.chains.anvil
    second, _ = await rig.offer(rig.house, rig.other)
    await rig.settle()
    (lock,) = await attempts(rig, second)
    assert lock.sent_at is not None
    try:
        async with blind(rig, monkeypatch):
            for _ in range(3):
                await anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(lock.tx.rate * 2))
                await rig.time_is(max(rig.chains.now, first.initiator.terms.timelock) + 60)
            assert [a.voiding for a in await attempts(rig, second)] == [False, True]
            assert await is_back(rig, first)
    finally:
        await anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(USUAL_BASE_FEE))
    await rig.time_is(second.initiator.terms.timelock + 1)
    await rig.until_over(second.swap_id, Status.EXPIRED, sides=(rig.house,))
    fates = [attempt.fate and attempt.fate.state for attempt in await attempts(rig, second)]
    assert fates == [TxState.REPLACED, TxState.MINED]
    assert await rig.accounts_balance() == rig.nothing


@ETHER_FIRST
async def test_s8_without_a_database_a_refund_is_not_held_up_by_a_lock_that_could_not_be_sent(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns(rig.house)
    first = await refund_soon_due(rig)
    second = await signed_and_not_sent(rig, monkeypatch)
    async with locked(rig.house):
        await rig.time_is(first.initiator.terms.timelock + 1)
        await rig.block(3)
        assert await is_back(rig, first)
        await remember_boat(rig, rig.house)
    for _ in range(4):
        await rig.house.look()
    assert not rig.house.daemon.lifeboat.afloat
    await rig.time_is(second.initiator.terms.timelock + 1)
    await rig.until(rig.house, second.swap_id, Status.EXPIRED, Status.REFUNDED)
    await rig.until_over(first.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


@pytest.mark.parametrize("direction", [DIRECTIONS[0]], ids=str)
async def test_s4_a_bitcoin_lock_that_nobody_got_is_gone_for_ever_once_its_coins_are_free(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent later all the same, it would take coins that may be another lock's by then."""
    terms = await signed_and_not_sent(rig, monkeypatch)
    (lock,) = await attempts(rig, terms)
    rig.house.daemon.gate.halted = True
    await rig.block()
    effect = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert effect.state is EffectState.VOID
    assert [attempt.dead for attempt in effect.attempts] == [True]
    free = await rig.chains.bitcoind.rpc("listlockunspent", wallet=rig.house.wallet)
    assert not free
    rig.house.daemon.gate.halted = False
    await rig.block(2)
    old, new = await attempts(rig, terms)
    assert old.tx == lock.tx
    assert old.sent_at is None
    assert new.sent_at is not None
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing
