"""Cursors and sightings: always together, the same twice, and back again after a reorg."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import START, add_swap, due, get, preimage_of

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind
from swapd.protocol.terms import Role
from swapd.store import Store

CURSOR = Cursor(101, "block 101", ((100, "block 100"), (101, "block 101")))


def sighting(swap_id: str, height: int | None = 101) -> Sighting:
    block = None if height is None else f"block {height}"
    return Sighting(swap_id, Role.INITIATOR, SightingKind.CLAIM, "lock:0", "claim", block, height, preimage_of(0), "n")


async def quiet_swap(store: Store) -> str:
    """A swap that is not due."""
    swap_id = await add_swap(store)
    async with store.write() as tx:
        await tx.postpone(swap_id, START)
    return swap_id


async def test_a_scan_is_stored_and_wakes_its_swaps(store: Store) -> None:
    swap_id, other = await quiet_swap(store), await quiet_swap(store)
    async with store.write() as tx:
        assert await tx.record_scan("bitcoin", Scan(CURSOR, (sighting(swap_id),))) == {swap_id}
    async with store.read() as tx:
        assert await tx.cursor("bitcoin") == CURSOR
        assert await tx.cursor("ethereum") is None
        assert await due(tx, 0) == [swap_id]
    assert (await get(store, swap_id)).watched_leg(Role.INITIATOR).sightings == (sighting(swap_id),)
    assert (await get(store, swap_id)).watched_leg(Role.PARTICIPANT).sightings == ()
    assert (await get(store, other)).sightings == ()


async def test_a_sighting_that_comes_twice_is_one_and_wakes_nobody(store: Store) -> None:
    swap_id = await quiet_swap(store)
    for known in (sighting(swap_id), sighting(swap_id, height=None)):
        async with store.write() as tx:
            assert await tx.add_sightings("bitcoin", [known]) == {swap_id}
            await tx.postpone(swap_id, START)
        async with store.write() as tx:
            assert await tx.add_sightings("bitcoin", [known, known]) == frozenset()
            assert await due(tx, 0) == []
    assert (await get(store, swap_id)).sightings == (sighting(swap_id), sighting(swap_id, height=None))


async def test_s7_a_reorg_wakes_whom_orphaned_blocks_showed_and_hides_nothing(store: Store) -> None:
    swap_id = await quiet_swap(store)
    below, above, pending = sighting(swap_id, 100), sighting(swap_id, 101), sighting(swap_id, None)
    async with store.write() as tx:
        await tx.record_scan("bitcoin", Scan(CURSOR, (below, above, pending)))
        await tx.add_sightings("ethereum", [replace(above, role=Role.PARTICIPANT)])
        await tx.postpone(swap_id, START)
    moved = Cursor(100, "block 100")
    async with store.write() as tx:
        assert await tx.record_scan("bitcoin", Scan(moved, (), fork=100)) == {swap_id}
    row = await get(store, swap_id)
    assert row.sightings == (below, above, pending, replace(above, role=Role.PARTICIPANT))
    assert row.next_due_at == 0
    async with store.read() as tx:
        assert await tx.cursor("bitcoin") == moved


async def test_s6_a_secret_that_only_an_orphaned_block_showed_stays_public(store: Store) -> None:
    swap_id, other = await quiet_swap(store), await quiet_swap(store)
    row = await get(store, swap_id)
    shown = replace(sighting(swap_id), preimage=preimage_of(row.terms.index))
    wrong = replace(sighting(other), preimage=bytes(32))
    async with store.write() as tx:
        await tx.record_scan("bitcoin", Scan(CURSOR, (shown, wrong)))
    async with store.write() as tx:
        await tx.record_scan("bitcoin", Scan(Cursor(100, "block 100"), (), fork=100))
    after = await get(store, swap_id)
    assert after.memory.preimage == preimage_of(row.terms.index)
    assert (await get(store, other)).memory.preimage is None, "what opens nothing is no secret"


async def test_a_scan_that_fails_half_way_moves_no_cursor(store: Store) -> None:
    swap_id = await quiet_swap(store)

    async def scan_and_fail() -> None:
        async with store.write() as tx:
            await tx.record_scan("bitcoin", Scan(CURSOR, (sighting(swap_id),)))
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await scan_and_fail()
    async with store.read() as tx:
        assert await tx.cursor("bitcoin") is None
    assert (await get(store, swap_id)).sightings == ()
