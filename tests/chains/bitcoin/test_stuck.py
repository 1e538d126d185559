"""Locks that do not get into a block: replaced while they are wanted, taken back when they are not, on a real node."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from swapd.chains.base import SignedTx, TxState, WatchedLeg
from swapd.chains.bitcoin.script import htlc_script, output_script
from swapd.chains.bitcoin.transaction import Outpoint, Spend, claim, read
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, World

NOTE = bytes(range(40))


def ask_for(world: World, rate: int) -> None:
    """From now on at least so many sat/vB are right."""
    for part in (world.chain._funding, world.chain._stuck, world.chain._spending):
        part._settings = world.chain._settings.fee.model_copy(update={"floor_rate": rate})


def locked_by(tx: SignedTx, leg: WatchedLeg) -> list[int]:
    script = output_script(htlc_script(leg.leg.terms))
    return [output.amount for output in read(tx.raw).outputs if output.script == script]


async def stuck(world: World, leg: WatchedLeg) -> tuple[SignedTx, SignedTx]:
    """A lock that is pending, and the better one that was signed when more had become right."""
    lock = await world.send(EffectKind.LOCK, leg)
    ask_for(world, 20)
    better = await world.draft(EffectKind.LOCK, leg, lock)
    assert better is not None
    return lock, better


async def stuck_without_change(world: World) -> tuple[WatchedLeg, SignedTx, SignedTx]:
    """The same, of a lock that takes a whole coin; the wallet has others for what comes after it."""
    coins = await world.node.rpc("listunspent", wallet=world.wallet)
    others = [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins[1:]]
    await world.node.rpc("lockunspent", False, others, wallet=world.wallet)
    leg = await world.leg(amount=10 * AMOUNT - 300)
    lock = await world.send(EffectKind.LOCK, leg)
    assert len(read(lock.raw).outputs) == 1
    await world.node.rpc("lockunspent", True, others, wallet=world.wallet)
    ask_for(world, 20)
    better = await world.draft(EffectKind.LOCK, leg, lock)
    assert better is not None
    return leg, lock, better


async def into_a_block(world: World, *signed: SignedTx) -> str:
    """Past the mempool: as a miner who has heard of other transactions than we have."""
    address = await world.node.rpc("getnewaddress", wallet="miner")
    made = await world.node.rpc("generateblock", address, [tx.raw.hex() for tx in signed])
    return str(made["hash"])


async def fates(world: World, *signed: SignedTx) -> list[str]:
    return [(await world.chain.fate(tx)).state.value for tx in signed]


async def take_back(world: World, *sent: SignedTx) -> SignedTx:
    draft = await world.chain.void(sent)
    assert draft is not None
    return draft.sign(None)


async def test_s4_a_stuck_lock_is_replaced_with_the_same_coins_and_pays_from_its_change(world: World) -> None:
    leg = await world.leg()
    lock, better = await stuck(world, leg)
    assert better.spends == lock.spends, "so at most one of the two can ever be mined"
    assert locked_by(better, leg) == [AMOUNT]
    assert len(read(better.raw).outputs) == len(read(lock.raw).outputs)
    assert better.fee >= lock.fee + read(better.raw).vsize, "BIP 125, rules 3 and 4"
    assert better.rate >= 19
    await world.chain.broadcast(better)
    assert await world.draft(EffectKind.LOCK, leg, lock, better) is None, "it is good enough now"
    await world.node.mine(1)
    assert await fates(world, lock, better) == ["replaced", "mined"]
    view = await world.view(leg)
    assert (view.state, view.lock_txid, view.strays) == (LegState.LOCKED, better.txid, ())


async def test_s4_a_lock_that_is_mined_after_its_replacement_was_signed_is_the_lock(world: World) -> None:
    leg = await world.leg()
    lock, better = await stuck(world, leg)
    await into_a_block(world, lock)
    with pytest.raises(Rejected):
        await world.chain.broadcast(better)
    assert await fates(world, lock, better) == ["mined", "replaced"]
    assert await world.draft(EffectKind.LOCK, leg, lock, better) is None
    view = await world.view(leg)
    assert (view.state, view.lock_txid, view.strays) == (LegState.LOCKED, lock.txid, ())


async def test_s4_a_lock_that_comes_after_its_replacement_is_not_taken(world: World) -> None:
    leg = await world.leg()
    lock = await world.draft(EffectKind.LOCK, leg)
    assert lock is not None
    ask_for(world, 20)
    better = await world.send(EffectKind.LOCK, leg, lock)
    with pytest.raises(Rejected):
        await world.chain.broadcast(lock)
    await world.node.mine(1)
    assert await fates(world, lock, better) == ["replaced", "mined"]


async def test_s7_after_a_reorg_the_other_one_may_be_mined_and_there_is_still_one_lock(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    lock, better = await stuck(world, leg)
    block = await into_a_block(world, lock)
    assert await fates(world, lock, better) == ["mined", "replaced"]
    await world.node.invalidate(block)
    assert await fates(world, lock, better) == ["pending", "missing"]
    await world.chain.broadcast(better)
    await world.node.mine(1)
    assert await fates(world, lock, better) == ["replaced", "mined"]
    view = await world.view(leg)
    assert (view.state, view.lock_txid, view.strays) == (LegState.LOCKED, better.txid, ())


async def test_a_lock_without_change_is_replaced_with_one_coin_more(world: World) -> None:
    leg, lock, better = await stuck_without_change(world)
    assert set(lock.spends) < set(better.spends)
    assert locked_by(better, leg) == [10 * AMOUNT - 300]
    await world.chain.broadcast(better)
    await world.node.mine(1)
    assert await fates(world, lock, better) == ["replaced", "mined"]


async def test_a_lock_under_the_raised_minimum_of_the_mempool_is_replaced_and_mined(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    world.node._options = ("-minrelaytxfee=0.00008",)
    await world.node.restart()
    assert (await world.view(leg)).state is LegState.ABSENT, "the node forgot it"
    with pytest.raises(Rejected, match="min relay fee"):
        await world.chain.broadcast(lock)
    better = await world.send(EffectKind.LOCK, leg, lock)
    assert better.rate >= 8
    assert better.spends == lock.spends
    await world.node.mine(1)
    assert (await world.view(leg)).lock_txid == better.txid


async def test_a_lock_is_not_pushed_over_its_cap(world: World) -> None:
    leg = await world.leg(amount=20_000)
    lock = await world.send(EffectKind.LOCK, leg)
    ask_for(world, 100)
    better = await world.draft(EffectKind.LOCK, leg, lock)
    assert better is not None
    assert better.fee <= 20_000 * 5 // 100, "as much as the share allows, and no more"
    assert await world.draft(EffectKind.LOCK, leg, lock, better) is None


async def test_nothing_is_replaced_whose_coin_somebody_else_is_spending(world: World) -> None:
    leg = await world.leg()
    lock = await world.draft(EffectKind.LOCK, leg)
    assert lock is not None
    await world.chain.void([lock], out=False)
    away = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    await world.node.rpc("sendall", [away], wallet=world.wallet)
    ask_for(world, 20)
    with pytest.raises(Rejected, match="somebody else"):
        await world.draft(EffectKind.LOCK, leg, lock)
    with pytest.raises(Rejected, match="somebody else"):
        await world.chain.void([lock])
    await world.node.mine(1)
    assert await world.draft(EffectKind.LOCK, leg, lock) is None
    assert await world.chain.void([lock]) is None


async def test_a_lock_is_paid_from_mined_coins_alone(world: World) -> None:
    """A replacement has another change output: a lock that was paid from it would fall with the first one."""
    await world.send(EffectKind.LOCK, await world.leg(amount=25 * AMOUNT))  # takes all three coins
    assert await world.spendable() == 0
    with pytest.raises(Rejected, match="in a block"):
        await world.draft(EffectKind.LOCK, await world.leg())
    await world.node.mine(1)
    assert await world.draft(EffectKind.LOCK, await world.leg()) is not None


# -- taking a lock back ------------------------------------------------------------------------------------------------


async def test_a_lock_that_is_not_wanted_is_taken_back_by_a_double_spend(world: World) -> None:
    before = await world.spendable()
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    void = await take_back(world, lock)
    assert set(void.spends) == set(lock.spends)
    assert locked_by(void, leg) == []
    assert void.fee >= lock.fee + read(void.raw).vsize, "BIP 125, rules 3 and 4"
    await world.chain.broadcast(void)
    assert await world.chain.void([lock, void]) is None, "it is good enough"
    await world.node.mine(1)
    assert await fates(world, lock, void) == ["replaced", "mined"]
    assert await world.spendable() == before - void.fee, "everything is back"
    with pytest.raises(Rejected):
        await world.chain.broadcast(lock)


async def test_a_replaced_lock_is_taken_back_with_all_its_coins(world: World) -> None:
    before = await world.spendable()
    _, lock, better = await stuck_without_change(world)
    await world.chain.broadcast(better)
    void = await take_back(world, lock, better)
    assert set(void.spends) == set(better.spends) > set(lock.spends)
    await world.chain.broadcast(void)
    await world.node.mine(1)
    assert await fates(world, lock, better, void) == ["replaced", "replaced", "mined"]
    assert await world.spendable() == before - void.fee


async def test_a_lock_that_the_node_forgot_is_taken_back_too_because_others_may_have_it(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    world.node._options = ("-minrelaytxfee=0.00008",)
    await world.node.restart()
    assert await fates(world, lock) == ["missing"]
    void = await take_back(world, lock)
    assert void.rate >= 8
    await world.chain.broadcast(void)
    world.node._options = ("-minrelaytxfee=0.00030",)
    await world.node.restart()
    dearer = await take_back(world, lock, void)
    assert dearer.rate >= 30, "the void is kept up as well"
    assert set(dearer.spends) == set(void.spends)
    await world.chain.broadcast(dearer)
    await world.node.mine(1)
    assert await fates(world, lock, void, dearer) == ["replaced", "replaced", "mined"]


async def test_s12_a_lock_that_was_mined_although_it_was_taken_back_is_a_lock_and_refunded(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.leg(timelock=timelock)
    lock = await world.send(EffectKind.LOCK, leg)
    void = await take_back(world, lock)
    await world.chain.broadcast(void)
    await into_a_block(world, lock)
    assert await fates(world, lock, void) == ["mined", "replaced"]
    assert await world.chain.void([lock, void]) is None, "a block has decided"
    assert (await world.view(leg)).state is LegState.LOCKED
    await world.node.set_time(timelock + 60)
    await world.node.mine(11)
    await world.send(EffectKind.REFUND, await world.seen(leg))
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_a_lock_with_a_claim_hanging_on_it_is_taken_back_by_outbidding_both(world: World) -> None:
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    vout = next(i for i, output in enumerate(read(lock.raw).outputs) if output.amount == AMOUNT)
    claim = await _claim_of_pending(world, leg, f"{lock.txid}:{vout}", fee=3_000)
    await world.chain.broadcast(claim)
    void = await take_back(world, lock)
    assert void.fee > lock.fee + 3_000
    await world.chain.broadcast(void)
    await world.node.mine(1)
    assert await fates(world, lock, void) == ["replaced", "mined"]


async def test_a_lock_that_others_made_too_dear_to_take_back_is_left_and_said_so(world: World) -> None:
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    vout = next(i for i, output in enumerate(read(lock.raw).outputs) if output.amount == AMOUNT)
    await world.chain.broadcast(await _claim_of_pending(world, leg, f"{lock.txid}:{vout}", fee=AMOUNT // 10))
    with pytest.raises(Rejected, match="hung on it"):
        await world.chain.void([lock])
    await world.node.mine(1)


async def _claim_of_pending(world: World, leg: WatchedLeg, outpoint: str, fee: int) -> SignedTx:
    """As its receiver could make it who has the secret already; swapd itself never claims what is not in a block."""
    place = Outpoint.parse(outpoint)
    assert place is not None
    payout = bytes.fromhex(
        (await world.node.rpc("getaddressinfo", leg.leg.pay_to, wallet=world.wallet))["scriptPubKey"]
    )
    spend = Spend(place, AMOUNT, htlc_script(leg.leg.terms), payout, fee)
    raw = claim(
        spend,
        world.vault.preimage(leg.index),
        lambda sighash: world.vault.sign_bitcoin(leg.index, KeyPurpose.CLAIM, sighash),
    )
    return SignedTx(read(raw).txid, raw, fee, fee // read(raw).vsize, spends=(outpoint,))


async def test_what_was_to_claim_or_refund_reserves_nothing(world: World) -> None:
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    assert await world.chain.void([claim]) is None


# -- a note ------------------------------------------------------------------------------------------------------------


async def test_s14_a_lock_carries_its_note_and_so_does_its_replacement(world: World) -> None:
    leg = replace(await world.leg(), note=NOTE)
    lock, better = await stuck(world, leg)
    for tx in (lock, better):
        data = [o for o in read(tx.raw).outputs if o.script[:1] == b"\x6a"]
        assert [(o.amount, o.script) for o in data] == [(0, b"\x6a\x28" + NOTE)]
        assert locked_by(tx, leg) == [AMOUNT]
    assert await world.refused(better.raw) == ""
    await world.chain.broadcast(better)
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_a_node_that_relays_no_data_gets_the_lock_without_its_note(
    own_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world = own_world
    world.node._options = ("-datacarrier=0",)
    await world.node.restart()
    free = await world.spendable()
    locks = [await world.send(EffectKind.LOCK, replace(await world.leg(), note=NOTE)) for _ in range(2)]
    assert [len(read(lock.raw).outputs) for lock in locks] == [2, 2], "lock and change"
    said = capsys.readouterr().out
    assert said.count("lock.without_note") == 1, "once, and not with each lock"
    assert free - await world.spendable() == 20 * AMOUNT, "and no coin stays reserved for what was refused"
    await world.node.mine(1)
    assert [(await world.chain.fate(lock)).state for lock in locks] == [TxState.MINED] * 2
