"""Scans of the canister's log: what they show, what they cost, and from where they go on."""

from __future__ import annotations

from dataclasses import replace

from swapd.chains.base import SightingKind
from tests.chains.icp.world import ALICE, BOB, ICP, PREIMAGE, World


async def test_a_scan_shows_lock_and_claim_of_a_leg_with_its_secret(world: World) -> None:
    leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
    swap = world.lock_by(ALICE, leg.leg.terms)
    world.complete_by(BOB, swap.id)
    scan = await world.chain.scan(cursor, [leg])
    kinds = [(sighting.kind, sighting.preimage) for sighting in scan.sightings]
    assert kinds == [(SightingKind.LOCK, None), (SightingKind.CLAIM, PREIMAGE), (SightingKind.CLAIM, None)]
    assert {sighting.ref for sighting in scan.sightings} == {swap.id.hex()}
    assert scan.fork is None


async def test_nothing_is_told_twice(world: World) -> None:
    leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
    world.lock_by(ALICE, leg.leg.terms)
    scan = await world.chain.scan(cursor, [leg])
    assert scan.sightings
    assert not (await world.chain.scan(scan.cursor, [leg])).sightings


async def test_a_rescan_finds_what_came_before(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    sightings = await world.chain.rescan([leg])
    assert [sighting.kind for sighting in sightings] == [SightingKind.LOCK]
    assert not await world.chain.rescan([replace(leg, birth=(await world.cursor()).height)])


async def test_a_long_log_is_read_in_pages(world: World) -> None:
    async with world.another_chain(most_blocks=3) as chain:
        leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
        for number in range(4):
            world.lock_by(ALICE, replace(leg.leg.terms, amount=ICP // 2 + number))
        world.lock_by(ALICE, leg.leg.terms)
        scan = await chain.scan(cursor, [leg])
        assert [s.kind for s in scan.sightings] == [SightingKind.STRAY] * 4 + [SightingKind.LOCK]
        assert world.proxy.calls["icrc3_get_blocks"] == 4


async def test_a_quiet_log_costs_one_call_whatever_the_number_of_legs(world: World) -> None:
    legs = [world.leg(sender=ALICE.text, amount=ICP + number, swap_id=str(number)) for number in range(50)]
    cursor = await world.cursor()
    world.proxy.calls.clear()
    await world.chain.scan(cursor, legs)
    assert world.proxy.calls == {"icrc3_get_tip_certificate": 1}


async def test_the_cursor_moves_with_time_so_that_what_falls_due_is_looked_at(world: World) -> None:
    cursor = await world.cursor()
    world.replica.advance(2)
    moved = (await world.chain.scan(cursor, [])).cursor
    assert moved.hash != cursor.hash
    assert moved.hash.partition("@")[0] == cursor.hash.partition("@")[0]


async def test_the_clock_is_certified_time(world: World) -> None:
    clock = await world.chain.clock()
    world.replica.advance(100)
    later = await world.chain.clock()
    assert 100 <= later.time - clock.time <= 110
    assert later.tip.height == clock.tip.height


async def test_strays_are_told_up_to_a_bound(world: World) -> None:
    leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
    for number in range(55):
        world.lock_by(BOB, replace(leg.leg.terms, amount=1_000 + number, receiver=ALICE.text))
    scan = await world.chain.scan(cursor, [leg])
    assert len(scan.sightings) == 50
    assert not (await world.chain.scan(cursor, [replace(leg, sightings=scan.sightings)])).sightings[50:]
