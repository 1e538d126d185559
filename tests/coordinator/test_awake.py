"""What wakes a swap that has ended: a look at it that failed, and a reorganisation near what was seen of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from swapd.chains.base import Sighting, SightingKind
from swapd.coordinator.execute import RETRY_SECONDS, Executor
from swapd.coordinator.places import Places
from swapd.coordinator.resting import is_at_rest
from swapd.coordinator.watch import DEEPEST, Watcher
from swapd.protocol.observation import ABSENT_VIEW
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Lease, SwapRow
from tests.coordinator.test_resting import FINAL, at_the_end, long_after
from tests.coordinator.world import Calm, Rooms
from tests.store.store_samples import add_swap, decision, get, lease


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


async def test_blocks_are_read_for_all_and_mempools_for_what_does_not_rest(rooms: Rooms) -> None:
    """Whatever is pending of a swap at rest can wait for its block; whatever is in a block can not."""
    resting, going = [await add_swap(rooms.store) for _ in range(2)]
    fence = await lease(rooms.store, resting)
    async with rooms.store.write() as writing:
        over = decision(status=Status.EXPIRED)
        views = dict.fromkeys(Role, ABSENT_VIEW)
        await writing.record_decision(await get(rooms.store, resting), fence, over, views)
        await writing.release(Lease(resting, fence))
    rooms.clock.now = long_after(await get(rooms.store, resting))
    chain = Calm("bitcoin")
    await _watcher(rooms, chain)._look()
    assert chain.told[1:] == [("scan", {resting, going}), ("mempool", {going})]


async def test_a_newcomer_is_looked_for_alone_from_its_birth_and_the_cursor_stays(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at everything for each swap that is made would be one look too many for each of those that are there."""
    monkeypatch.setattr(Places, "look", _nothing)
    first = await get(rooms.store, await add_swap(rooms.store))
    chain = Calm("bitcoin")
    watcher = _watcher(rooms, chain)
    await watcher.meet(first)
    everything = [("scan", {first.id}), ("mempool", {first.id})]
    assert chain.told == [("rescan", {first.id}), *everything], "nothing was looked at yet: so all of it"
    assert not watcher.trouble

    chain.told.clear()
    newcomer = await get(rooms.store, await add_swap(rooms.store))
    chain.found.append(_lock(newcomer))
    others = [await get(rooms.store, await add_swap(rooms.store)) for _ in range(3)]
    await asyncio.gather(*(watcher.meet(row) for row in (newcomer, *others)))
    waiting = {row.id for row in others}
    assert chain.told == [("rescan", {newcomer.id}), ("rescan", waiting)], "once for all that waited for the first"
    assert watcher.knows(newcomer.id)
    assert not watcher._newcomers
    assert (await get(rooms.store, newcomer.id)).sightings == tuple(chain.found)
    await watcher.meet(newcomer)
    assert len(chain.told) == 2

    chain.told.clear()
    chain.found.clear()
    await watcher.look()
    everybody = {row.id for row in (first, newcomer, *others)}
    assert chain.told == [("scan", everybody), ("mempool", everybody)], "nobody is looked for twice"


async def test_s7_what_another_worker_has_sighted_is_looked_for_from_its_birth_since_the_cursor_may_be_past_the_rest(
    rooms: Rooms,
) -> None:
    """Two workers share a cursor, and each moves it past blocks that it read for the swaps that it knew."""
    before = await get(rooms.store, await add_swap(rooms.store))
    chain = Calm("bitcoin")
    watcher = _watcher(rooms, chain)
    async with rooms.store.write() as writing:
        await writing.add_sightings("bitcoin", [_lock(before)])
    await watcher._look()
    assert "rescan" not in dict(chain.told), "before the start it was, up to the cursor"
    since = [await get(rooms.store, await add_swap(rooms.store)) for _ in range(2)]
    async with rooms.store.write() as writing:
        await writing.add_sightings("bitcoin", [_lock(row) for row in since])
    chain.told.clear()
    await watcher._look_for([since[0]])
    assert chain.told == [("rescan", {since[0].id})]
    chain.told.clear()
    await watcher._look()
    assert chain.told[0] == ("rescan", {since[1].id})


async def test_what_is_forgotten_during_a_look_is_looked_for_after_it(rooms: Rooms) -> None:
    chain = Calm("bitcoin")
    watcher = _watcher(rooms, chain)
    swap_id = await add_swap(rooms.store)
    chain.meanwhile = lambda: watcher.forget(swap_id)
    await watcher._look_once()
    assert not watcher.knows(swap_id)
    chain.meanwhile, chain.told[:] = (lambda: None), []
    await watcher._look_once()
    assert chain.told[0] == ("rescan", {swap_id})
    assert watcher.knows(swap_id)


def _watcher(rooms: Rooms, chain: Calm) -> Watcher:
    rooms.chains[chain.name] = chain
    return Watcher(rooms.house, chain.name)


def _lock(row: SwapRow) -> Sighting:
    """Of its leg on Bitcoin."""
    role = next(leg.role for leg in row.terms.legs if leg.terms.chain == "bitcoin")
    return Sighting(row.id, role, SightingKind.LOCK, f"{row.id}:0", "lock", "block", 1)


async def _nothing(_: object) -> None: ...
