"""Locks paid by the node's wallet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import TxState
from swapd.chains.bitcoin import BitcoinChain
from swapd.chains.bitcoin.script import htlc_script, output_script
from swapd.chains.bitcoin.transaction import read
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import Wallet

from .conftest import AMOUNT, World, settings_for


async def test_s4_a_leg_gets_one_lock_ever(world: World) -> None:
    leg = await world.leg()
    lock = await world.draft(EffectKind.LOCK, leg)
    assert lock is not None
    await world.chain.broadcast(lock)
    assert await world.draft(EffectKind.LOCK, leg, lock) is None, "it is good enough"
    assert await world.draft(EffectKind.LOCK, leg, lock, left=-1000) is None, "S3: too late to push it"
    await world.node.mine(1)
    assert await world.draft(EffectKind.LOCK, leg, lock, left=0) is None, "it is in a block"


async def test_a_lock_pays_the_script_exactly_once_and_exactly_the_amount(world: World) -> None:
    leg = await world.leg()
    lock = await world.draft(EffectKind.LOCK, leg)
    assert lock is not None
    tx = read(lock.raw)
    script = output_script(htlc_script(leg.leg.terms))
    assert [o.amount for o in tx.outputs if o.script == script] == [AMOUNT]
    assert tx.txid == lock.txid
    assert lock.fee >= tx.vsize
    assert set(lock.spends) == {str(i.outpoint) for i in tx.inputs}


async def test_two_drafts_never_use_the_same_coin(world: World) -> None:
    first, second = [await world.draft(EffectKind.LOCK, await world.leg()) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert not set(first.spends) & set(second.spends)


async def test_insufficient_funds_are_refused_in_words_with_the_amount(world: World) -> None:
    leg = await world.leg(amount=100 * AMOUNT)
    with pytest.raises(Rejected, match=r"wallet cannot pay 1\.00000000 BTC.*[Ii]nsufficient"):
        await world.draft(EffectKind.LOCK, leg)


async def test_a_void_lock_gives_its_coins_back(world: World) -> None:
    before = await world.spendable()
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    assert await world.spendable() < before
    assert await world.chain.void([lock], out=False) is None
    assert await world.spendable() == before
    assert await world.chain.void([lock], out=False) is None, "twice does no harm"


async def test_what_is_kept_late_sets_no_coin_free_that_a_lock_has_reserved_meanwhile(world: World) -> None:
    """Two locks at once, when the wallet has come back after the start: the coins are put in order once, before both.
    The answer of the first putting in order is slow."""
    funding, wallet = world.chain._funding, world.chain.rpc.wallet

    async def slow(method: str, *params: Any) -> Any:
        answer = await wallet(method, *params)
        if method == "lockunspent":
            await asyncio.sleep(0.2)
        return answer

    funding._unkept = set()
    world.chain.rpc.wallet = slow  # type: ignore[method-assign]
    legs = [await world.leg() for _ in range(2)]
    locks = await asyncio.gather(*(world.draft(EffectKind.LOCK, leg) for leg in legs))
    spent = [outpoint for lock in locks if lock is not None for outpoint in lock.spends]
    assert len(spent) == len(set(spent)) >= 2
    reserved = {f"{each['txid']}:{each['vout']}" for each in await wallet("listlockunspent")}
    assert set(spent) <= reserved


async def test_what_was_set_free_before_the_wallet_came_back_is_not_reserved_again(world: World) -> None:
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    world.chain._funding._unkept = set(lock.spends)
    await world.chain.void([lock], out=False)
    assert world.chain._funding._unkept == set()


class Fault:
    """The node does what it is asked, and then its answer to one method never comes: lost, or waited for in vain."""

    def __init__(self, world: World, method: str, *, also: str = "", hangs: bool = False) -> None:
        self._ask = {"wallet": world.chain.rpc.wallet, "call": world.chain.rpc.call}
        self._method, self._also, self._hangs = method, also, hangs
        self.reached = asyncio.Event()
        self.mended = False
        world.chain.rpc.wallet = self._wallet  # type: ignore[method-assign]
        world.chain.rpc.call = self._call  # type: ignore[method-assign]

    async def _wallet(self, method: str, *params: Any) -> Any:
        return await self._answer("wallet", method, params)

    async def _call(self, method: str, *params: Any) -> Any:
        return await self._answer("call", method, params)

    async def _answer(self, way: str, method: str, params: tuple[Any, ...]) -> Any:
        if not self.mended and self.reached.is_set() and method == self._also:
            raise Unavailable("down")
        answer = await self._ask[way](method, *params)
        if not self.mended and method == self._method:
            self.reached.set()
            if self._hangs:
                await asyncio.Event().wait()
            raise Unavailable("lost")
        return answer


STEPS = ["walletcreatefundedpsbt", "walletprocesspsbt", "finalizepsbt"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_lock_whose_making_fails_at_any_step_leaves_no_coin_reserved(world: World, step: str) -> None:
    kept = await world.draft(EffectKind.LOCK, await world.leg())
    assert kept is not None
    before = await world.spendable()
    Fault(world, step)
    with pytest.raises(Unavailable, match="lost"):
        await world.draft(EffectKind.LOCK, await world.leg())
    assert await world.spendable() == before, "no more, and no less: the other lock keeps its coins"


@pytest.mark.parametrize("step", STEPS)
async def test_a_lock_whose_making_is_cancelled_at_any_step_leaves_no_coin_reserved(world: World, step: str) -> None:
    before = await world.spendable()
    fault = Fault(world, step, hangs=True)
    making = asyncio.create_task(world.draft(EffectKind.LOCK, await world.leg()))
    await asyncio.wait_for(fault.reached.wait(), 30)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert await world.spendable() == before


async def test_coins_that_could_not_be_set_free_at_once_are_free_for_the_next_lock(world: World) -> None:
    fault = Fault(world, "walletcreatefundedpsbt", also="listlockunspent")
    leg = await world.leg(amount=25 * AMOUNT)  # takes all the coins there are
    with pytest.raises(Unavailable, match="lost"):
        await world.draft(EffectKind.LOCK, leg)
    assert await world.spendable() == 0
    fault.mended = True
    assert await world.draft(EffectKind.LOCK, leg) is not None


async def test_coins_that_a_crash_left_reserved_are_free_after_the_next_start(world: World) -> None:
    before = await world.spendable()
    for _ in range(3):
        await world.draft(EffectKind.LOCK, await world.leg())
    assert await world.spendable() == 0
    after_crash = BitcoinChain(settings_for(world.node, world.wallet), world.vault)
    await after_crash.start()
    await after_crash.resume([])
    assert (await after_crash.balances())["BTC"] == before
    await after_crash.close()


async def test_a_lock_too_dear_is_refused_and_its_coins_are_free_again(world: World) -> None:
    before = await world.spendable()
    leg = await world.leg(amount=2_000)
    world.chain._funding._settings = world.chain._settings.fee.model_copy(update={"floor_rate": 50})
    with pytest.raises(Rejected, match="cap_share"):
        await world.draft(EffectKind.LOCK, leg)
    assert await world.spendable() == before


async def test_a_coin_that_is_not_segwit_is_not_used(world: World) -> None:
    coins = await world.node.rpc("listunspent", wallet=world.wallet)
    taken = [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins]
    await world.node.rpc("lockunspent", False, taken, wallet=world.wallet)
    legacy = await world.node.rpc("getnewaddress", "", "legacy", wallet=world.wallet)
    await world.node.fund(legacy, 5 * AMOUNT)
    with pytest.raises(Rejected, match="segwit"):
        await world.draft(EffectKind.LOCK, await world.leg())


async def test_the_fate_of_a_lock_that_was_never_sent_is_missing(world: World) -> None:
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    assert (await world.chain.fate(lock)).state is TxState.MISSING


async def test_the_fate_of_a_lock_whose_coins_went_elsewhere_is_replaced(world: World) -> None:
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    await world.chain.void([lock], out=False)
    away = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    await world.node.rpc("sendall", [away], wallet=world.wallet)
    assert (await world.chain.fate(lock)).state is TxState.MISSING, "what is pending may still be replaced"
    await world.node.mine(2)
    fate = await world.chain.fate(lock)
    assert (fate.state, fate.depth) == (TxState.REPLACED, 2)
    with pytest.raises(Rejected):
        await world.chain.broadcast(lock)


async def test_the_fate_of_a_claim_whose_foreign_payout_was_spent_again_is_still_known(world: World) -> None:
    payout = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    leg = await world.leg()
    leg = replace(leg, leg=replace(leg.leg, pay_to=payout))
    await world.pay(leg)
    claim = await world.send(EffectKind.CLAIM, await world.seen(leg))
    assert (await world.chain.fate(claim)).state is TxState.PENDING
    await world.node.mine(1)
    assert (await world.chain.fate(claim)).depth == 1
    away = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    coin = {"txid": claim.txid, "vout": 0}
    raw = await world.node.rpc("createrawtransaction", [coin], [{away: f"{(AMOUNT - claim.fee - 500) / 1e8:.8f}"}])
    signed = await world.node.rpc("signrawtransactionwithwallet", raw, wallet="miner")
    await world.node.rpc("sendrawtransaction", signed["hex"])
    await world.node.mine(1)
    fate = await world.chain.fate(claim)
    assert (fate.state, fate.depth, fate.fee) == (TxState.MINED, 2, claim.fee)


async def test_costs_cover_the_lock_that_is_made_later(world: World) -> None:
    leg = await world.leg()
    lock = await world.draft(EffectKind.LOCK, leg)
    assert lock is not None
    assert (await world.chain.costs(leg.leg))["BTC"] >= AMOUNT + lock.fee
    external = replace(leg.leg, funded_by=Wallet.EXTERNAL)
    assert (await world.chain.costs(external)) == {"BTC": 0}
