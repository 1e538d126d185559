"""What new blocks show of many legs at once, scanned on a real anvil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind, WatchedLeg
from swapd.chains.ethereum.watch import NEAR, TRAIL
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import EffectKind
from tests.chains.ethereum import proxy
from tests.chains.ethereum.world import PREIMAGE, World, lock_strays, preimage

CLAIM, REFUND = EffectKind.CLAIM, EffectKind.REFUND


async def scan_to_tip(world: World, cursor: Cursor, legs: Sequence[WatchedLeg]) -> tuple[Cursor, list[Sighting]]:
    """As a caller does it: until the cursor stands on the tip."""
    found: list[Sighting] = []
    tip = (await world.node.best())[0]
    while cursor.height < tip:
        scan = await world.chain.scan(cursor, legs)
        assert scan.cursor.height > cursor.height
        cursor, found = scan.cursor, found + list(scan.sightings)
    return cursor, found


async def test_a_first_scan_starts_at_the_tip_and_shows_nothing(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    height, block_hash = await world.node.best()
    assert await world.chain.scan(None, [leg]) == Scan(Cursor(height, block_hash, ((height, block_hash),)))


async def test_a_scan_shows_lock_and_claim_with_block_transaction_and_secret(world: World) -> None:
    leg, cursor = world.leg(), await world.cursor()
    lock = await world.lock(leg)
    claim = await world.claim_by(world.bob, leg)
    await world.node.mine()
    height, block_hash = await world.node.best()
    scan = await world.chain.scan(cursor, [leg])
    ref = world.chain.fingerprint(leg.leg.terms)
    (first, second) = scan.sightings
    assert (first.kind, first.ref, first.txid, first.height) == (SightingKind.LOCK, ref, lock.txid, height - 1)
    assert second == Sighting("one", "participant", SightingKind.CLAIM, ref, claim, block_hash, height, PREIMAGE)
    assert (scan.cursor.height, scan.cursor.hash, scan.fork) == (height, block_hash, None)


async def test_a_scan_shows_a_refund(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    cursor = await world.cursor()
    await world.time_is(leg.leg.terms.timelock)
    await world.send(REFUND, leg)
    await world.node.mine()
    assert [s.kind for s in (await world.chain.scan(cursor, [leg])).sightings] == [SightingKind.REFUND]


async def test_what_is_not_about_the_legs_is_not_shown(world: World) -> None:
    cursor = await world.cursor()
    await world.lock(world.leg(preimage=preimage(1), amount=1))
    assert (await world.chain.scan(cursor, [])).sightings == ()
    other = world.leg(preimage=preimage(2), amount=2, timelock=world.start + 9_000, fund_by=world.start + 99)
    assert (await world.chain.scan(cursor, [other])).sightings == ()


async def test_s11_no_more_strays_are_told_of_a_leg_than_a_person_reads(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    cursor = await world.cursor()
    await lock_strays(world, leg, 40)
    await world.node.mine()
    first = await world.chain.scan(cursor, [leg])
    assert len(first.sightings) == 40
    more = world.leg(sender=world.bob, receiver=world.own, timelock=leg.leg.terms.timelock + 1)
    await lock_strays(world, more, 40)
    true = await world.lock_by(world.bob, leg.leg.terms)
    leg = replace(leg, sightings=first.sightings)
    second = (await world.chain.scan(first.cursor, [leg])).sightings
    assert len([s for s in second if s.kind is SightingKind.STRAY]) == 10
    assert [s.ref for s in second if s.kind is SightingKind.LOCK] == [true]
    again = (await world.chain.scan(cursor, [replace(leg, sightings=(*first.sightings, *second))])).sightings
    assert {s.ref for s in again} == {s.ref for s in (*first.sightings, *second)}, "those that are known are told again"


async def test_a_scan_at_the_tip_changes_nothing_and_asks_one_question(world: World) -> None:
    cursor = await world.cursor()
    world.proxy.calls.clear()
    assert await world.chain.scan(cursor, []) == Scan(cursor)
    assert world.proxy.calls.total() == 1


@pytest.mark.parametrize("number", [1, 300])
async def test_a_new_block_costs_two_calls_however_many_legs_there_are(world: World, number: int) -> None:
    legs = [world.leg(preimage=preimage(n), swap_id=str(n)) for n in range(number)]
    cursor = await world.cursor()
    await world.lock(legs[-1])
    world.proxy.calls.clear()
    scan = await world.chain.scan(cursor, legs)
    assert [s.swap_id for s in scan.sightings] == [str(number - 1)]
    assert world.proxy.calls == {"eth_getBlockByNumber": 1, "eth_getLogs": 1}
    world.proxy.calls.clear()
    await world.chain.mempool(legs)
    assert world.proxy.calls.total() == 1


async def test_a_scan_far_behind_is_bounded_misses_nothing_and_arrives(world: World) -> None:
    legs = [world.leg(preimage=preimage(n), swap_id=str(n)) for n in range(5)]
    cursor = await world.cursor()
    for leg in legs:
        await world.lock(leg)
        await world.node.mine(60)
    async with world.another_chain(log_range=50) as chain:
        world.proxy.calls.clear()
        scan = await chain.scan(cursor, legs)
        assert scan.cursor.height == cursor.height + 50
        assert world.proxy.calls.total() <= 4
        world.chain, original = chain, world.chain
        last, found = await scan_to_tip(world, cursor, legs)
        world.chain = original
    assert (last.height, last.hash) == await world.node.best()
    assert [(s.swap_id, s.kind) for s in found] == [(str(n), SightingKind.LOCK) for n in range(5)]


async def test_the_trail_remembers_the_last_blocks_only(world: World) -> None:
    cursor = await world.cursor()
    for _ in range(4):
        await world.node.mine(NEAR)
        cursor, _found = await scan_to_tip(world, cursor, [])
    assert len(cursor.trail) == TRAIL
    assert cursor.trail[-1] == (cursor.height, cursor.hash)
    heights = [height for height, _ in cursor.trail]
    assert heights == list(range(cursor.height - TRAIL + 1, cursor.height + 1))


# -- rule S7 -----------------------------------------------------------------------------------------------------------


async def test_s7_a_reorg_is_reported_with_its_fork_point_and_the_new_blocks_are_scanned(world: World) -> None:
    leg, cursor = world.leg(), await world.cursor()
    await world.node.mine(5)
    lock = await world.lock(leg)
    await world.node.mine(2)
    cursor, found = await scan_to_tip(world, cursor, [leg])
    assert [s.kind for s in found] == [SightingKind.LOCK]
    await world.node.reorg(3)
    await world.chain.broadcast(lock)
    await world.node.mine()
    scan = await world.chain.scan(cursor, [leg])
    height, block_hash = await world.node.best()
    assert (scan.fork, scan.cursor.height, scan.cursor.hash) == (height - 4, height, block_hash)
    (again,) = scan.sightings
    assert (again.kind, again.block_hash) == (SightingKind.LOCK, block_hash)
    assert again.block_hash != found[0].block_hash
    assert (await world.chain.scan(scan.cursor, [leg])) == Scan(scan.cursor), "and is over"


@pytest.mark.parametrize("depth", [1, 2, 7, 40])
async def test_s7_a_reorg_of_any_remembered_depth_is_found(world: World, depth: int) -> None:
    cursor = await world.cursor()
    await world.node.mine(50)
    cursor, _ = await scan_to_tip(world, cursor, [])
    await world.node.reorg(depth)
    world.proxy.calls.clear()
    scan = await world.chain.scan(cursor, [])
    assert scan.fork == cursor.height - depth
    assert (scan.cursor.height, scan.cursor.hash) == await world.node.best()
    assert world.proxy.calls["eth_getBlockByNumber"] <= depth + 10, "the fork point is found by bisection"


async def test_s7_a_chain_that_got_shorter_is_a_fork_too(world: World) -> None:
    cursor = await world.cursor()
    await world.node.mine(5)
    cursor, _ = await scan_to_tip(world, cursor, [])
    await world.node.rpc("anvil_rollback", 3)
    scan = await world.chain.scan(cursor, [])
    assert scan.fork == cursor.height - 3
    assert (scan.cursor.height, scan.cursor.hash) == await world.node.best()


async def test_s7_a_reorg_deeper_than_anything_remembered_starts_below_it(world: World) -> None:
    leg = world.leg()
    await world.node.mine(5)
    cursor = await world.cursor()
    await world.node.reorg(3)
    await world.lock(leg)
    scan = await world.chain.scan(cursor, [leg])
    assert scan.fork == cursor.height - 1
    assert scan.cursor.height == cursor.height + 1
    assert [s.kind for s in scan.sightings] == [SightingKind.LOCK]


async def test_s7_a_reorg_in_the_middle_of_a_scan_ends_it_at_the_last_block_that_fits(world: World) -> None:
    cursor = await world.cursor()
    await world.node.mine(4)
    middle = hex(cursor.height + 2)

    def moved(params: Any, answer: Any) -> Any:
        if params[0] != middle:
            return answer
        return {**answer, "result": {**answer["result"], "parentHash": "0x" + "ab" * 32}}

    world.proxy.instead["eth_getBlockByNumber"] = moved
    scan = await world.chain.scan(cursor, [])
    assert scan.cursor.height == cursor.height + 1
    world.proxy.instead.clear()
    assert (await world.chain.scan(scan.cursor, [])).cursor.height == cursor.height + 4


async def test_s7_events_near_the_tip_are_asked_for_by_block_hash(world: World) -> None:
    cursor = await world.cursor()
    await world.node.mine(3)
    asked: list[Any] = []

    def noted(params: Any, answer: Any) -> Any:
        asked.append(params[0])
        return answer

    world.proxy.instead["eth_getLogs"] = noted
    await world.chain.scan(cursor, [])
    assert len(asked) == 3
    assert all("blockHash" in question and "fromBlock" not in question for question in asked)


async def test_s7_removed_events_are_passed_over(world: World) -> None:
    leg, cursor = world.leg(), await world.cursor()
    await world.lock(leg)
    world.proxy.instead["eth_getLogs"] = lambda params, answer: {
        **answer,
        "result": [{**log, "removed": True} for log in answer["result"]],
    }
    assert (await world.chain.scan(cursor, [leg])).sightings == ()


# -- nodes that fail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_getLogs"])
@pytest.mark.parametrize(
    "fault", [proxy.status(503), proxy.garbage, proxy.hang_up, proxy.error(-32000, "unknown block")]
)
async def test_the_cursor_does_not_move_on_when_a_call_fails(world: World, method: str, fault: proxy.Answer) -> None:
    """A lock whose block was passed over because of an error would be missed for good (boltz-backend #1096)."""
    leg, cursor = world.leg(), await world.cursor()
    await world.lock(leg)
    await world.node.mine(3)
    answered = iter(range(100))
    world.proxy.instead[method] = lambda params, answer: answer if next(answered) < 1 else fault(params, answer)
    with pytest.raises(Unavailable):
        await world.chain.scan(cursor, [leg])
    world.proxy.instead.clear()
    assert [s.kind for s in (await world.chain.scan(cursor, [leg])).sightings] == [SightingKind.LOCK]


async def test_a_failure_far_behind_moves_nothing_either(world: World) -> None:
    leg, cursor = world.leg(), await world.cursor()
    await world.lock(leg)
    await world.node.mine(100)
    world.proxy.instead["eth_getLogs"] = proxy.status(502)
    with pytest.raises(Unavailable):
        await world.chain.scan(cursor, [leg])
    world.proxy.instead.clear()
    assert len((await world.chain.scan(cursor, [leg])).sightings) == 1


@pytest.mark.parametrize("code", [-32005, -32000])
async def test_more_events_than_the_node_gives_at_once_are_asked_for_in_smaller_ranges(world: World, code: int) -> None:
    leg, cursor = world.leg(), await world.cursor()
    for n in range(5):
        await world.lock(world.leg(preimage=preimage(n), amount=5, timelock=world.start + 50_000))
    await world.lock(leg)
    await world.node.mine(NEAR)
    too_many = proxy.error(code, "query returned more than 2 results")
    world.proxy.instead["eth_getLogs"] = lambda params, answer: (
        answer if len(answer["result"]) <= 2 else too_many(params, answer)
    )
    world.proxy.calls.clear()
    assert [s.kind for s in (await world.chain.scan(cursor, [leg])).sightings] == [SightingKind.LOCK]
    assert [s.kind for s in await world.chain.rescan([leg])] == [SightingKind.LOCK]
    assert world.proxy.calls["eth_getLogs"] <= 40
    world.proxy.instead["eth_getLogs"] = too_many
    with pytest.raises((Unavailable, Rejected), match="more than 2"):
        await world.chain.scan(cursor, [leg])


async def test_a_range_that_comes_back_with_events_of_other_blocks_is_refused(world: World) -> None:
    leg, cursor = world.leg(), await world.cursor()
    await world.lock(leg)
    await world.node.mine(100)
    world.proxy.instead["eth_getLogs"] = lambda params, answer: {
        **answer,
        "result": [{**log, "blockNumber": "0x1"} for log in answer["result"]],
    }
    with pytest.raises(Unavailable, match="outside"):
        await world.chain.scan(cursor, [leg])


# -- from nothing ------------------------------------------------------------------------------------------------------


async def test_s14_a_rescan_finds_what_happened_since_birth_whatever_was_forgotten(world: World) -> None:
    legs = [world.leg(preimage=preimage(n), swap_id=str(n), birth=2) for n in range(3)]
    for n, leg in enumerate(legs):
        await world.lock(leg)
        await world.node.mine(40)
        if n == 1:
            await world.claim_by(world.bob, leg, preimage(1))
            await world.node.mine()
    async with world.another_chain(log_range=25) as chain:
        found = await chain.rescan(legs)
    assert [(s.swap_id, s.kind) for s in found] == [
        ("0", SightingKind.LOCK),
        ("1", SightingKind.LOCK),
        ("1", SightingKind.CLAIM),
        ("2", SightingKind.LOCK),
    ]
    assert next(s for s in found if s.kind is SightingKind.CLAIM).preimage == preimage(1)


async def test_a_rescan_asks_as_much_for_many_legs_as_for_one_and_nothing_for_none(world: World) -> None:
    legs = [world.leg(preimage=preimage(n), swap_id=str(n)) for n in range(50)]
    counts = []
    for asked in (legs, legs[:1], []):
        world.proxy.calls.clear()
        await world.chain.rescan(asked)
        counts.append(world.proxy.calls.total())
    assert counts == [2, 2, 0]


async def test_a_rescan_does_not_look_before_the_contracts_birth(world: World) -> None:
    await world.node.mine(100)
    async with world.another_chain(log_range=10, from_block=95) as chain:
        world.proxy.calls.clear()
        await chain.rescan([replace(world.leg(), birth=0)])
        assert world.proxy.calls["eth_getLogs"] <= 2
