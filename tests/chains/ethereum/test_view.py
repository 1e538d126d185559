"""One leg as the chain shows it, read from a real anvil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import Sighting, SightingKind
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.errors import Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView
from tests.chains.ethereum import proxy
from tests.chains.ethereum.world import PREIMAGE, World, lock_strays, preimage

LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND
NO_HASH = "0x" + "ab" * 32


def hint(kind: SightingKind, ref: str, txid: str, **more: Any) -> Sighting:
    return Sighting("one", "participant", kind, ref, txid, **more)


async def test_a_leg_goes_from_absent_to_locked_to_claimed_and_gets_deeper(world: World) -> None:
    leg = world.leg()
    ref = world.chain.fingerprint(leg.leg.terms)
    assert await world.view(leg) == ABSENT_VIEW
    lock = await world.lock(leg)
    assert await world.view(leg) == LegView(LegState.LOCKED, 1, None, ref, lock.txid)
    await world.node.mine(4)
    assert await world.view(leg) == LegView(LegState.LOCKED, 5, None, ref, lock.txid)
    claim = await world.claim_by(world.bob, leg)
    await world.node.mine()
    assert await world.view(leg) == LegView(LegState.CLAIMED, 1, PREIMAGE, ref, lock.txid, claim)


async def test_a_leg_that_ended_after_fund_by_and_left_no_trace_in_storage_is_seen_as_ended(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.time_is(leg.leg.terms.timelock)
    refund = await world.send(REFUND, leg)
    await world.node.mine(2)
    view = await world.view(leg)
    assert (view.state, view.depth, view.spend_txid) == (LegState.REFUNDED, 2, refund.txid)


async def test_a_batch_of_claims_shows_every_preimage(world: World) -> None:
    legs = [world.leg(preimage=preimage(n), swap_id=str(n)) for n in range(3)]
    for leg in legs:
        await world.lock(leg)
    claims = [(preimage(n), *HtlcTerms.of(leg.leg.terms).words[1:]) for n, leg in enumerate(legs)]
    call = world.htlc.claim(HtlcTerms.of(legs[0].leg.terms), preimage(0))
    data = world.htlc._abi.call("batchClaim", claims)
    await world.call(world.bob, replace(call, data=data))
    pending = [await world.view(await world.with_mempool(leg)) for leg in legs]
    assert [(view.state, view.depth, view.preimage) for view in pending] == [
        (LegState.CLAIMED, 0, preimage(n)) for n in range(3)
    ]
    await world.node.mine()
    mined = [await world.view(leg) for leg in legs]
    assert [(view.depth, view.preimage) for view in mined] == [(1, preimage(n)) for n in range(3)]


# -- what is pending ---------------------------------------------------------------------------------------------------


async def test_s6_a_claim_is_seen_with_its_secret_before_it_is_in_a_block(world: World) -> None:
    leg = world.leg()
    lock = await world.lock(leg)
    claim = await world.claim_by(world.bob, leg)
    ref = world.chain.fingerprint(leg.leg.terms)
    sightings = await world.chain.mempool([leg])
    assert list(sightings) == [hint(SightingKind.CLAIM, ref, claim, preimage=PREIMAGE)]
    assert (await world.view(leg)).state is LegState.LOCKED, "a view looks only where sightings say"
    seen = replace(leg, sightings=tuple(sightings))
    assert await world.view(seen) == LegView(LegState.CLAIMED, 0, PREIMAGE, ref, lock.txid, claim)
    await world.node.rpc("anvil_dropTransaction", claim)
    assert (await world.view(seen)).state is LegState.LOCKED


async def test_a_pending_lock_is_seen(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    seen = await world.with_mempool(leg)
    ref = world.chain.fingerprint(leg.leg.terms)
    assert await world.view(seen) == LegView(LegState.SEEN, 0, None, ref, lock.txid)
    await world.node.mine()
    assert (await world.view(seen)).state is LegState.LOCKED


async def test_a_pending_lock_and_its_claim_are_seen_together(world: World) -> None:
    leg = world.leg()
    await world.send(LOCK, leg)
    claim = await world.claim_by(world.bob, leg)
    view = await world.view(await world.with_mempool(leg))
    assert (view.state, view.depth, view.preimage, view.spend_txid) == (LegState.CLAIMED, 0, PREIMAGE, claim)


async def test_our_own_pending_claim_leaves_the_leg_open_so_that_its_fee_is_still_looked_after(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.send(CLAIM, leg, secret=PREIMAGE)
    seen = await world.with_mempool(leg)
    assert seen.sightings
    assert (await world.view(seen)).state is LegState.LOCKED


async def test_a_pending_claim_of_what_was_never_locked_is_not_a_claim(world: World) -> None:
    leg = world.leg()
    await world.claim_by(world.bob, leg)
    assert await world.view(await world.with_mempool(leg)) == ABSENT_VIEW


async def test_a_claim_that_was_mined_and_ran_out_of_gas_leaves_the_leg_locked(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    claim = await world.claim_by(world.bob, leg, gas=hex(30_000))
    seen = await world.with_mempool(leg)
    await world.node.mine()
    assert (await world.node.rpc("eth_getTransactionReceipt", claim))["status"] == "0x0"
    view = await world.view(seen)
    assert (view.state, view.depth, view.preimage) == (LegState.LOCKED, 2, None)


async def test_pending_calldata_that_makes_no_sense_is_passed_over(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    claim = world.htlc.claim(HtlcTerms.of(leg.leg.terms), PREIMAGE)
    for sender, data in ((world.alice, claim.data[:-1]), (world.bob, claim.data[:4]), (world.alice, b"\xff" * 4)):
        await world.call(sender, replace(claim, data=data))
    await world.claim_by(world.bob, leg, secret=preimage(5))
    assert list(await world.chain.mempool([leg])) == []


# -- rule S7 -----------------------------------------------------------------------------------------------------------


async def test_s7_a_lock_that_is_reorged_out_is_absent_again(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.mine(2)
    await world.node.reorg(3)
    assert await world.view(leg) == ABSENT_VIEW


async def test_s7_a_claim_that_is_reorged_out_leaves_the_leg_locked(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.mine()
    await world.claim_by(world.bob, leg)
    await world.node.mine(2)
    assert (await world.view(leg)).state is LegState.CLAIMED
    await world.node.reorg(2)
    view = await world.view(leg)
    assert (view.state, view.depth) == (LegState.LOCKED, 4)


async def test_s7_a_leg_that_asks_for_finality_is_not_deep_enough_until_its_block_is_finalized(world: World) -> None:
    leg, low = world.leg(confirmations=64), world.leg(confirmations=63)
    await world.lock(leg)
    for blocks, depth, low_depth in ((62, 63, 63), (1, 63, 64), (1, 65, 65)):  # anvil finalizes what is 64 blocks old
        await world.node.mine(blocks)
        assert (await world.view(leg)).depth == depth
        assert (await world.view(low)).depth == low_depth


async def test_s7_a_claim_of_such_a_leg_waits_for_finality_too(world: World) -> None:
    async with world.another_chain(finalized_from=3) as chain:
        leg = world.leg(confirmations=3)
        await world.lock(leg)
        await world.claim_by(world.bob, leg)
        await world.node.mine(10)
        view = await chain.view(leg)
        assert (view.state, view.depth) == (LegState.CLAIMED, 2)
        await world.node.mine(60)
        assert (await chain.view(leg)).depth == 70


# -- rule S11 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda t, w: replace(t, amount=t.amount - 1), "amount is 99999999999999999, agreed 100000000000000000"),
        (lambda t, w: replace(t, amount=t.amount + 1), "amount is 100000000000000001, agreed 100000000000000000"),
        (lambda t, w: replace(t, receiver=w.alice), "receiver is 0xf39F"),
        (lambda t, w: replace(t, timelock=t.timelock + 1), "timelock is "),
        (lambda t, w: replace(t, fund_by=t.fund_by + 1), "fund_by is "),
        (lambda t, w: replace(t, hashlock=b"\x11" * 32), "hashlock is 0x1111"),
    ],
    ids=["less", "more", "receiver", "timelock", "fund_by", "hashlock"],
)
async def test_s11_a_lock_with_other_terms_is_shown_with_its_way_back_and_never_counted(
    world: World, wrong: Callable[[Any, World], Any], why: str
) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    cursor = await world.cursor()
    ref = await world.lock_by(world.bob, wrong(leg.leg.terms, world))
    scanned = await world.with_scan(leg, cursor)
    assert [(s.kind, s.ref) for s in scanned.sightings] == [(SightingKind.STRAY, ref)]
    assert why in scanned.sightings[0].note
    view = await world.view(scanned)
    assert view.state is LegState.ABSENT
    (stray,) = view.strays
    assert (stray.ref, stray.refundable) == (ref, False)
    assert stray.why == scanned.sightings[0].note
    # the way back is exact: what it says, sent by anybody, pays the sender
    await world.time_is(leg.leg.terms.timelock + 1)
    before, data = await world.balance(world.bob), stray.way_back.rpartition("data 0x")[2]
    await world.call(world.alice, replace(world.htlc.refund(HtlcTerms.of(leg.leg.terms)), data=bytes.fromhex(data)))
    await world.node.mine()
    assert await world.balance(world.bob) == before + stray.amount
    assert (await world.view(scanned)).strays == ()


async def test_s11_a_lock_by_another_sender_is_a_stray(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    ref = await world.lock_by(world.alice, leg.leg.terms)
    view = await world.view(leg)
    assert (view.state, [s.ref for s in view.strays]) == (LegState.ABSENT, [ref]), "found by hashlock, without a scan"
    assert view.strays[0].why.startswith("sender is 0xf39F")


async def test_s11_strays_beside_the_true_lock_change_nothing_about_it(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    stray = await world.lock_by(world.bob, replace(leg.leg.terms, amount=1))
    true = await world.lock_by(world.bob, leg.leg.terms)
    view = await world.view(leg)
    assert (view.state, view.lock_ref, [s.ref for s in view.strays]) == (LegState.LOCKED, true, [stray])


async def test_s11_ten_times_as_many_strays_as_are_shown_do_not_hide_the_leg(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    await lock_strays(world, leg, 500)
    await world.lock_by(world.bob, leg.leg.terms)
    view = await world.view(leg)
    assert (view.state, len(view.strays)) == (LegState.LOCKED, 50)


def about_strays(world: World, answer: proxy.Answer) -> proxy.Answer:
    """That answer to the question for locks with a hashlock, and the true one to the question for the leg's own."""
    return lambda params, true: answer(params, true) if params[0]["topics"][0] == world.htlc.locked_topic else true


@pytest.mark.parametrize(
    "fault",
    [
        proxy.error(-32005, "query returned more than 10000 results"),
        proxy.error(-32602, "query exceeds max results 20000"),
        proxy.status(413),
        proxy.silence,
        lambda _, true: {**true, "result": true["result"] * 1001},
    ],
    ids=["limit", "refusal", "413", "too slow", "too many"],
)
async def test_s11_more_strays_than_the_node_tells_of_do_not_blind_us_to_the_leg(
    world: World, fault: proxy.Answer
) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    cursor = await world.cursor()
    await world.lock_by(world.alice, leg.leg.terms)
    true = await world.lock_by(world.bob, leg.leg.terms)
    leg = await world.with_scan(leg, cursor)
    assert len((await world.view(leg)).strays) == 1
    world.proxy.instead["eth_getLogs"] = about_strays(world, fault)
    async with world.another_chain(timeout_seconds=0.5) as chain:
        view = await chain.view(leg)
        assert (view.state, view.lock_ref, view.strays) == (LegState.LOCKED, true, ())
        await world.claim_by(world.alice, leg)
        await world.node.mine()
        assert (await chain.view(leg)).preimage == PREIMAGE


async def test_s11_a_stray_of_the_legs_own_sender_is_shown_before_those_of_others(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    await lock_strays(world, leg, 120)
    ref = await world.lock_by(world.bob, replace(leg.leg.terms, amount=7))
    strays = (await world.view(leg)).strays
    assert (len(strays), strays[0].ref) == (50, ref)


async def test_s11_another_swap_of_the_same_parties_is_no_stray(world: World) -> None:
    one = world.leg(swap_id="one", preimage=preimage(1))
    two = world.leg(
        swap_id="two", preimage=preimage(2), amount=5, timelock=world.start + 50_000, fund_by=world.start + 4_000
    )
    cursor = await world.cursor()
    for leg in (one, two):
        await world.lock(leg)
    sightings = (await world.chain.scan(cursor, [one, two])).sightings
    assert [(s.swap_id, s.kind) for s in sightings] == [("one", SightingKind.LOCK), ("two", SightingKind.LOCK)]
    alone = (await world.chain.scan(cursor, [two])).sightings
    assert [(s.swap_id, s.kind) for s in alone] == [("two", SightingKind.LOCK)]


# -- rule S1: what was stored is never believed ------------------------------------------------------------------------


async def test_s1_poisoned_sightings_are_harmless(world: World) -> None:
    leg, other = world.leg(), world.leg(preimage=preimage(1))
    ref, others = (world.chain.fingerprint(each.leg.terms) for each in (leg, other))
    lock = await world.lock(other)
    claim = await world.claim_by(world.bob, other, preimage(1))
    transfer = await world.node.rpc("eth_sendTransaction", {"from": world.bob, "to": world.own, "value": "0x1"})
    poison = tuple(
        hint(kind, a_ref, txid, preimage=PREIMAGE if kind is SightingKind.CLAIM else None, **more)
        for kind in SightingKind
        for a_ref in (ref, others, NO_HASH, "", "0x", "'; drop table legs; --", "0x" + "zz" * 32)
        for txid in (lock.txid, claim, transfer, NO_HASH, "", "not a hash")
        for more in ({}, {"block_hash": NO_HASH, "height": 1})
    )
    view = await world.view(replace(leg, sightings=poison))
    assert replace(view, strays=()) == ABSENT_VIEW
    assert {stray.ref for stray in view.strays} <= {others}, "at worst, something real is shown to a person"
    assert world.proxy.calls["eth_getTransactionByHash"] <= 16


async def test_s1_a_preimage_comes_from_the_chain_and_never_from_a_sighting(world: World) -> None:
    leg = world.leg()
    lock = await world.lock(leg)
    ref = world.chain.fingerprint(leg.leg.terms)
    poison = (hint(SightingKind.CLAIM, ref, lock.txid, preimage=PREIMAGE), hint(SightingKind.REFUND, ref, lock.txid))
    view = await world.view(replace(leg, sightings=poison))
    assert (view.state, view.preimage) == (LegState.LOCKED, None)


# -- nodes that are wrong ----------------------------------------------------------------------------------------------


def drop_logs(*_: Any) -> Any:
    return {"jsonrpc": "2.0", "id": 0, "result": []}


async def test_s1_events_that_the_node_lost_are_a_contradiction_and_not_an_absence(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_getLogs"] = drop_logs
    with pytest.raises(Unavailable, match="contradicts itself"):
        await world.view(leg)


async def test_a_lost_claim_is_a_contradiction_and_not_an_open_leg(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.claim_by(world.bob, leg)
    await world.node.mine()

    def only_locks(params: Any, answer: Any) -> Any:
        locked = world.htlc.locked_topic
        return {**answer, "result": [log for log in answer["result"] if log["topics"][0] == locked]}

    world.proxy.instead["eth_getLogs"] = only_locks
    with pytest.raises(Unavailable, match="contradicts itself"):
        await world.view(leg)


async def test_s1_an_invented_lock_is_a_contradiction(world: World) -> None:
    real, leg = world.leg(preimage=preimage(1)), world.leg()
    await world.lock(real)
    (log,) = await world.node.rpc("eth_getLogs", {"address": world.htlc.address, "fromBlock": "0x0"})
    lock_id, hashlock = world.chain.fingerprint(leg.leg.terms), "0x" + leg.leg.terms.hashlock.hex()
    invented = {**log, "topics": [log["topics"][0], lock_id, hashlock]}
    world.proxy.instead["eth_getLogs"] = proxy.result([invented])
    with pytest.raises(Unavailable, match=r"contradicts itself.*events and storage disagree"):
        await world.view(leg)


async def test_s1_a_lock_event_with_the_legs_id_and_other_terms_is_a_contradiction(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    (log,) = await world.node.rpc("eth_getLogs", {"address": world.htlc.address, "fromBlock": "0x0"})
    world.proxy.instead["eth_getLogs"] = proxy.result([{**log, "data": log["data"][:-2] + "00"}])
    with pytest.raises(Unavailable, match="other terms"):
        await world.view(leg)


@pytest.mark.parametrize(
    ("field", "value"), [("status", "0x0"), ("blockHash", NO_HASH)], ids=["reverted", "in another block"]
)
async def test_s1_an_event_whose_receipt_does_not_fit_is_a_contradiction(world: World, field: str, value: str) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_getTransactionReceipt"] = lambda params, answer: {
        **answer,
        "result": {**answer["result"], field: value},
    }
    with pytest.raises(Unavailable, match="receipt"):
        await world.view(leg)


async def test_an_event_without_a_receipt_is_a_contradiction(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_getTransactionReceipt"] = proxy.result(None)
    with pytest.raises(Unavailable, match="receipt"):
        await world.view(leg)


async def test_s7_a_reorg_while_a_leg_is_read_makes_no_view(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.mine(2)
    headers = iter(range(100))

    def changed(params: Any, answer: Any) -> Any:
        return answer if next(headers) == 0 else {**answer, "result": {**answer["result"], "hash": NO_HASH}}

    world.proxy.instead["eth_getBlockByNumber"] = changed
    with pytest.raises(Unavailable, match="reorganised"):
        await world.view(leg)


async def test_a_node_that_lags_behind_the_swaps_birth_says_nothing(world: World) -> None:
    with pytest.raises(Unavailable, match="behind block"):
        await world.view(world.leg(birth=1000))


async def test_events_of_another_contract_are_refused(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_getLogs"] = lambda params, answer: {
        **answer,
        "result": [{**log, "address": "0x" + "22" * 20} for log in answer["result"]],
    }
    with pytest.raises(Unavailable, match="another contract"):
        await world.view(leg)


@pytest.mark.parametrize(
    "fault",
    [
        proxy.status(500),
        proxy.status(429),
        proxy.garbage,
        proxy.hang_up,
        proxy.silence,
        proxy.error(-32005, "limit exceeded"),
        proxy.error(-32000, "header not found"),
        proxy.result("0x"),
        proxy.result(None),
        proxy.result([{}]),
        lambda *_: ["not an object"],
    ],
    ids=[
        "500", "429", "html", "hangs up", "is silent", "limits", "lost a block", "empty", "null", "odd", "batch",
    ],
)  # fmt: skip
async def test_a_node_that_fails_in_any_way_makes_no_view(world: World, fault: proxy.Answer) -> None:
    leg = world.leg()
    await world.lock(leg)
    async with world.another_chain(timeout_seconds=0.3) as chain:
        for method in ("eth_getBlockByNumber", "eth_getLogs", "eth_getTransactionReceipt", "eth_getStorageAt"):
            world.proxy.instead = {method: fault}
            with pytest.raises(Unavailable) as caught:
                await chain.view(leg)
            assert "key-of-the-operator" not in str(caught.value)


async def test_a_view_reads_from_the_swaps_birth_in_ranges_that_the_node_answers_for(world: World) -> None:
    await world.node.mine(30)
    leg = world.leg(birth=10)
    await world.lock(leg)
    asked: list[tuple[int, int]] = []

    def noted(params: Any, answer: Any) -> Any:
        asked.append((int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)))
        return answer

    world.proxy.instead["eth_getLogs"] = noted
    tip = (await world.node.best())[0]
    async with world.another_chain(log_range=10) as chain:
        assert (await chain.view(leg)).state is LegState.LOCKED
    ranges = [(start, min(start + 9, tip)) for start in range(10, tip + 1, 10)]
    assert asked == ranges * 2
