"""What wakes a swap that has ended: a look at it that failed, and a reorganisation near what was seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from swapd.chains.base import ChainClock, Cursor, Scan, Sighting, SightingKind, Tip, WatchedLeg
from swapd.coordinator.execute import RETRY_SECONDS, Executor
from swapd.coordinator.places import Places
from swapd.coordinator.resting import is_at_rest
from swapd.coordinator.watch import DEEPEST, Watcher
from swapd.protocol.observation import ABSENT_VIEW
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Lease
from tests.coordinator.test_resting import FINAL, at_the_end, long_after
from tests.coordinator.world import Away, Rooms
from tests.store.store_samples import START, add_swap, decision, get, lease


class Death(BaseException):
    """The process ends here."""


async def test_s12_after_a_failed_look_comes_another_even_if_the_process_dies_right_after_it(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap_id = await add_swap(rooms.store)
    fence = await lease(rooms.store, swap_id)
    async with rooms.store.write() as writing:
        over = decision(status=Status.EXPIRED)
        await writing.record_decision(await get(rooms.store, swap_id), fence, over, {})
    rooms.clock.now = long_after(await get(rooms.store, swap_id))
    assert (await get(rooms.store, swap_id)).next_due_at is None

    async def dies(*_: object) -> None:
        raise Death

    monkeypatch.setattr(Executor, "carry_out", dies)
    with pytest.raises(Death):
        await rooms.daemon()._reconciler.reconcile(Lease(swap_id, fence))
    row = await get(rooms.store, swap_id)
    assert row.status is Status.EXPIRED
    assert row.next_due_at == rooms.clock.now + RETRY_SECONDS
    assert not is_at_rest(row, rooms.clock.now), "a start looks at it too, and each sweep"


@pytest.mark.parametrize(("above", "woken"), [(1, True), (0, True), (1 - DEEPEST, True), (-DEEPEST, False)])
async def test_s7_a_fork_wakes_what_was_seen_near_it_although_it_rests(rooms: Rooms, above: int, woken: bool) -> None:
    fork = 1_000
    row = at_the_end(await get(rooms.store, await add_swap(rooms.store)), Status.COMPLETED, FINAL)
    rooms.clock.now = long_after(row)
    lock = Sighting(row.id, Role.INITIATOR, SightingKind.LOCK, "lock", "txid", "block", fork + above)
    chain, other = (leg.terms.chain for leg in row.terms.legs)
    seen = replace(row, sightings=(lock,))
    assert is_at_rest(seen, rooms.clock.now)
    assert Watcher(rooms.house, chain)._shaken([seen], fork) == ({row.id} if woken else set())
    assert Watcher(rooms.house, other)._shaken([seen], fork) == set()
    going = replace(seen, status=Status.REDEEMING)
    assert Watcher(rooms.house, other)._shaken([going], fork) == {row.id}


async def test_blocks_are_read_for_all_and_mempools_for_what_does_not_rest(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is pending of a swap at rest can wait for its block; whatever is in a block can not."""
    resting, going = [await add_swap(rooms.store) for _ in range(2)]
    fence = await lease(rooms.store, resting)
    async with rooms.store.write() as writing:
        over = decision(status=Status.EXPIRED)
        views = dict.fromkeys(Role, ABSENT_VIEW)
        await writing.record_decision(await get(rooms.store, resting), fence, over, views)
        await writing.release(Lease(resting, fence))
    rooms.clock.now = long_after(await get(rooms.store, resting))
    asked: dict[str, set[str]] = {}

    async def scan(_: object, cursor: object, legs: Sequence[WatchedLeg]) -> Scan:
        asked["scan"] = {leg.swap_id for leg in legs}
        return Scan(Cursor(1, "block"))

    async def mempool(_: object, legs: Sequence[WatchedLeg]) -> list[Sighting]:
        asked["mempool"] = {leg.swap_id for leg in legs}
        return []

    async def rescan(_: object, legs: object) -> list[Sighting]:
        return []

    for each in (scan, mempool, rescan):
        monkeypatch.setattr(Away, each.__name__, each, raising=False)
    await Watcher(rooms.house, "bitcoin")._look()
    assert asked == {"scan": {resting, going}, "mempool": {going}}


async def test_a_newcomer_is_looked_for_alone_from_its_birth_and_the_cursor_stays(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at everything for each swap that is made would be one look too many for each of those that are there."""
    first = await get(rooms.store, await add_swap(rooms.store))
    asked: list[tuple[str, set[str]]] = []
    found: list[Sighting] = []

    async def start(_: object) -> None:
        pass

    async def resume(_: object, live: object) -> None:
        pass

    async def clock(_: object) -> ChainClock:
        return ChainClock(Tip(1, "block", START), START)

    async def scan(_: object, cursor: object, legs: Sequence[WatchedLeg]) -> Scan:
        asked.append(("scan", {leg.swap_id for leg in legs}))
        return Scan(Cursor(1, "block"))

    async def mempool(_: object, legs: object) -> list[Sighting]:
        return []

    async def rescan(_: object, legs: Sequence[WatchedLeg]) -> list[Sighting]:
        asked.append(("rescan", {leg.swap_id for leg in legs}))
        return found

    for each in (start, resume, clock, scan, mempool, rescan):
        monkeypatch.setattr(Away, each.__name__, each, raising=False)
    monkeypatch.setattr(Places, "look", start)
    watcher = Watcher(rooms.house, "bitcoin")
    await watcher.meet(first)
    assert asked == [("rescan", {first.id}), ("scan", {first.id})], "nothing was looked at yet: so all of it"
    assert not watcher.trouble

    asked.clear()
    newcomer = await get(rooms.store, await add_swap(rooms.store))
    role = next(leg.role for leg in newcomer.terms.legs if leg.terms.chain == "bitcoin")
    found.append(Sighting(newcomer.id, role, SightingKind.LOCK, "lock:0", "lock", "block", 1))
    others = [await get(rooms.store, await add_swap(rooms.store)) for _ in range(3)]
    await asyncio.gather(*(watcher.meet(row) for row in (newcomer, *others)))
    waiting = {row.id for row in others}
    assert asked == [("rescan", {newcomer.id}), ("rescan", waiting)], "once for all that waited for the first"
    assert watcher.knows(newcomer.id)
    assert not watcher._newcomers
    assert (await get(rooms.store, newcomer.id)).sightings == tuple(found)
    await watcher.meet(newcomer)
    assert len(asked) == 2

    asked.clear()
    found.clear()
    await watcher.look()
    assert asked == [("scan", {row.id for row in (first, newcomer, *others)})], "nobody is looked for twice"
