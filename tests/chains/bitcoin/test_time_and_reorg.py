"""Median-time-past at its boundary, and blocks that are taken back."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import Cursor, Scan, SightingKind, TxState
from swapd.chains.bitcoin.blocks import btc
from swapd.devnet.bitcoind import to_satoshi
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState

from .conftest import AMOUNT, World


async def test_s5_a_refund_is_due_exactly_when_the_chains_clock_says_so(own_world: World) -> None:
    """IsFinalTx compares strictly: a locktime must be *below* the median-time-past, so the clock is that minus one."""
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.locked(timelock=timelock)
    # eleven blocks of ascending times whose median, the sixth, is the timelock itself
    for offset in range(-5, 6):
        await world.node.set_time(timelock + offset)
        await world.node.mine(1)
    assert (await world.chain.clock()).time == timelock - 1
    with pytest.raises(Rejected, match="non-final"):
        await world.draft(EffectKind.REFUND, leg)
    await world.node.set_time(timelock + 6)
    await world.node.mine(1)
    assert (await world.chain.clock()).time == timelock
    refund = await world.send(EffectKind.REFUND, leg)
    await world.node.mine(1)
    view = await world.view(leg)
    assert (view.state, view.depth, view.spend_txid, view.preimage) == (LegState.REFUNDED, 1, refund.txid, None)
    assert (await world.chain.fate(refund)).state is TxState.MINED


async def test_a_lock_that_is_reorganised_out_goes_back_to_the_mempool_and_into_another_block(own_world: World) -> None:
    world = own_world
    leg = await world.locked()
    cursor = (await world.chain.scan(None, [leg])).cursor
    await world.node.mine(2)
    cursor = (await world.chain.scan(cursor, [leg])).cursor
    assert (await world.chain.view(leg)).depth == 3
    lock_height = cursor.height - 2
    await world.node.invalidate(await world.node.rpc("getblockhash", lock_height))
    scan = await world.chain.scan(cursor, [leg])
    assert (scan.fork, scan.cursor.height, scan.sightings) == (lock_height - 1, lock_height - 1, ())
    assert (await world.chain.view(leg)).state is LegState.SEEN
    await _mine_another(world)
    scan = await world.chain.scan(scan.cursor, [leg])
    assert scan.fork is None
    assert [(s.kind, s.height) for s in scan.sightings] == [(SightingKind.LOCK, lock_height)]
    view = await world.chain.view(leg)
    assert (view.state, view.depth) == (LegState.LOCKED, 1)


async def test_a_lock_that_a_reorg_replaces_is_gone_and_another_exact_one_takes_its_place(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    address = world.chain.fingerprint(leg.leg.terms)
    coin = await _coin(world)
    await _pay_from(world, coin, address, fee=1000)
    hashes = await world.node.mine(1)
    leg = await world.seen(leg)
    first = await world.chain.view(leg)
    await world.node.invalidate(hashes[0])
    second_txid = await _pay_from(world, coin, address, fee=5000)  # the same coin: the first lock can never come back
    await world.node.mine(2)
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_txid) == (LegState.LOCKED, 2, second_txid)
    assert view.lock_txid != first.lock_txid
    assert view.strays == ()


async def test_a_claim_that_is_reorganised_out_is_pending_again_and_its_secret_stays_known(own_world: World) -> None:
    world = own_world
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    hashes = await world.node.mine(2)
    leg = await world.seen(leg)
    assert (await world.chain.view(leg)).depth == 2
    assert (await world.chain.fate(claim)).depth == 2
    await world.node.invalidate(hashes[0])
    view = await world.chain.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 0, world.vault.preimage(leg.index))
    assert (await world.chain.fate(claim)).state is TxState.PENDING
    await _mine_another(world)
    view = await world.chain.view(leg)  # no sighting names the new block: it is found all the same
    assert (view.state, view.depth) == (LegState.CLAIMED, 1)


async def test_a_claim_that_a_reorg_replaces_by_a_refund_was_replaced(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.locked(timelock=timelock)
    await world.node.set_time(timelock + 60)
    await world.node.mine(11)
    claim = await world.send(EffectKind.CLAIM, leg)
    hashes = await world.node.mine(1)
    await world.node.invalidate(hashes[0])
    assert (await world.chain.fate(claim)).state is TxState.PENDING
    refund = await world.send(EffectKind.REFUND, leg)  # outbids the claim, which is in the mempool again
    await world.node.mine(2)
    fate = await world.chain.fate(claim)
    assert (fate.state, fate.depth) == (TxState.REPLACED, 2)
    view = await world.view(leg)
    assert (view.state, view.spend_txid) == (LegState.REFUNDED, refund.txid)


async def test_a_scan_far_behind_stops_short_of_the_tip_and_goes_on_from_there(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    cursor = (await world.chain.scan(None, [leg])).cursor
    await world.node.mine(55)
    await world.pay(leg)
    first = await world.chain.scan(cursor, [leg])
    assert (first.cursor.height, first.sightings) == (cursor.height + 50, ())
    second = await world.chain.scan(first.cursor, [leg])
    assert second.cursor.height == cursor.height + 56
    assert [s.kind for s in second.sightings] == [SightingKind.LOCK]


async def test_a_scan_takes_as_many_requests_for_many_legs_as_for_one(own_world: World) -> None:
    world = own_world
    legs = [await world.leg() for _ in range(20)]
    cursor = (await world.chain.scan(None, [])).cursor
    for leg in legs:
        await world.pay(leg, confirm=False)
    await world.node.mine(3)
    counts = []
    for some in (legs[:1], legs):
        before = world.chain.rpc.calls
        found = await world.chain.scan(cursor, some)
        assert len(found.sightings) == len(some)
        counts.append(world.chain.rpc.calls - before)
    assert counts[0] == counts[1] == 3 + 3, "three requests, and one for each block"


async def test_a_scan_when_nothing_happened_takes_one_request(world: World) -> None:
    cursor = (await world.chain.scan(None, [])).cursor
    before = world.chain.rpc.calls
    assert await world.chain.scan(cursor, [await world.leg()]) == Scan(cursor)
    assert world.chain.rpc.calls - before == 1


async def test_a_lock_and_its_claim_in_one_block_are_both_found(own_world: World) -> None:
    world = own_world
    leg = await world.locked()
    cursor = (await world.chain.scan(None, [leg])).cursor
    block = (await world.node.best())[1]
    await world.send(EffectKind.CLAIM, leg)
    await world.node.invalidate(block)
    await world.node.mine(1)
    fresh = replace(leg, sightings=())
    scan = await world.chain.scan(cursor, [fresh])
    assert [s.kind for s in scan.sightings] == [SightingKind.LOCK, SightingKind.CLAIM]
    view = await world.chain.view(replace(fresh, sightings=scan.sightings[:1]))
    assert view.state is LegState.CLAIMED, "the lock's sighting alone leads to its claim"


async def test_a_reorg_deeper_than_the_trail_or_a_chain_made_anew_is_survived(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    cursor = (await world.chain.scan(None, [leg])).cursor
    strange = Cursor(cursor.height, "00" * 32, tuple((h, "00" * 32) for h, _ in cursor.trail[-5:]))
    scan = await world.chain.scan(strange, [leg])
    assert scan.fork == cursor.height - 5
    assert scan.cursor == replace(scan.cursor, height=cursor.height, hash=cursor.hash)
    higher = Cursor(cursor.height + 1000, "00" * 32, ((cursor.height + 1000, "00" * 32),))
    scan = await world.chain.scan(higher, [leg])
    assert (scan.fork, scan.cursor.hash) == (cursor.height, cursor.hash)


async def _mine_another(world: World) -> None:
    """A block unlike the one that was taken back, which the node would refuse a second time."""
    await world.node.mine(1, await world.node.rpc("getnewaddress", wallet="miner"))


async def _coin(world: World) -> dict[str, Any]:
    coins: list[dict[str, Any]] = await world.node.rpc("listunspent", wallet="miner")
    return max(coins, key=lambda coin: coin["amount"])


async def _pay_from(world: World, coin: dict[str, Any], address: str, *, fee: int) -> str:
    """Pay a leg's exact amount from one coin; the rest goes to the fee and a change output."""
    change = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    rest = to_satoshi(str(coin["amount"])) - AMOUNT - fee
    inputs = [{"txid": coin["txid"], "vout": coin["vout"]}]
    raw = await world.node.rpc("createrawtransaction", inputs, [{address: btc(AMOUNT)}, {change: btc(rest)}])
    signed = await world.node.rpc("signrawtransactionwithwallet", raw, wallet="miner")
    txid: str = await world.node.rpc("sendrawtransaction", signed["hex"])
    return txid
