"""A lock on Bitcoin that no block takes: replaced while it is wanted, taken back by a double spend when it is not."""

from __future__ import annotations

import pytest

from swapd.chains.bitcoin import BitcoinChain
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from swapd.store import Attempt, EffectState
from tests.scenarios.rig import DIRECTIONS, Direction, Rig

ON_BITCOIN = pytest.mark.parametrize("direction", [DIRECTIONS[0]], ids=str)
"""The house initiates with Bitcoin."""


async def stuck(rig: Rig) -> tuple[SwapTerms, Attempt]:
    """A swap whose house has just sent a lock that no miner takes."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.settle()
    (lock,) = await attempts(rig, terms)
    await ignored_by_miners(rig, lock.tx.txid)
    return terms, lock


async def ignored_by_miners(rig: Rig, txid: str) -> None:
    await rig.chains.bitcoind.rpc("prioritisetransaction", txid, 0, -100_000)


async def attempts(rig: Rig, terms: SwapTerms) -> tuple[Attempt, ...]:
    return (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts


def the_market_rises(rig: Rig) -> None:
    chain = rig.house.house.chain("bitcoin")
    assert isinstance(chain, BitcoinChain)
    chain._stuck._settings = chain._settings.fee.model_copy(update={"floor_rate": 30})


@ON_BITCOIN
async def test_s4_a_stuck_lock_is_replaced_by_a_better_one_and_the_swap_completes(
    rig: Rig, direction: Direction
) -> None:
    terms, lock = await stuck(rig)
    await rig.block(2)
    the_market_rises(rig)
    await rig.house.daemon.sweep()
    await rig.house.look()
    first, better = await attempts(rig, terms)
    assert first.tx == lock.tx
    assert set(first.tx.spends) <= set(better.tx.spends)
    assert better.sent_at is not None
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    effect = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert effect.state is EffectState.DONE
    assert [a.fate.state.value for a in effect.attempts if a.fate] == ["replaced", "mined"]
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@ON_BITCOIN
async def test_a_stuck_lock_is_taken_back_after_its_time_and_the_money_is_there_again(
    rig: Rig, direction: Direction
) -> None:
    terms, lock = await stuck(rig)
    await rig.time_is(terms.initiator.terms.fund_by - 20)
    _, pushed = await attempts(rig, terms)
    assert not pushed.voiding, "it may still come in time, for more"
    await ignored_by_miners(rig, pushed.tx.txid)
    await rig.time_is(terms.initiator.terms.fund_by + 10)
    *_, void = await attempts(rig, terms)
    assert void.voiding
    assert set(void.tx.spends) >= set(lock.tx.spends)
    assert void.sent_at is not None
    await ignored_by_miners(rig, void.tx.txid)
    await rig.house.restart()
    await rig.block()
    assert len(await attempts(rig, terms)) == 3, "what was begun goes on, and the lock is never sent again"
    await rig.chains.bitcoind.rpc("prioritisetransaction", void.tx.txid, 0, 100_000)
    await rig.until_over(terms.swap_id, Status.EXPIRED)
    effect = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert effect.state is EffectState.VOID
    assert [a.fate.state.value for a in effect.attempts if a.fate] == ["replaced", "replaced", "mined"]
    assert await rig.accounts_balance(locks=0) == rig.nothing


@ON_BITCOIN
async def test_s12_a_lock_that_was_mined_although_it_was_taken_back_is_refunded(rig: Rig, direction: Direction) -> None:
    terms, lock = await stuck(rig)
    await rig.time_is(terms.initiator.terms.fund_by + 10)
    _, void = await attempts(rig, terms)
    assert void.voiding
    miner = await rig.chains.bitcoind.rpc("getnewaddress", wallet="miner")
    await rig.chains.bitcoind.rpc("generateblock", miner, [lock.tx.raw.hex()])
    await rig.block(3)
    effect = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert effect.state is EffectState.DONE
    assert [a.fate.state.value for a in effect.attempts if a.fate] == ["mined", "replaced"]
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing
