"""A turn of the daemon ends, whatever happens in it: the lifeboat goes to sea, and comes back, between two turns."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from apscheduler.schedulers import base as schedulers

from swapd.coordinator import daemon as daemons
from swapd.coordinator.daemon import Daemon
from swapd.errors import Unavailable
from swapd.protocol.observation import ABSENT_VIEW
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Lease, Store
from tests.coordinator.test_resting import long_after
from tests.coordinator.world import PACE, Rooms
from tests.store.store_samples import LOCK, add_swap, decision, get, lease

PATIENCE = 20


async def test_s8_a_swap_that_is_due_again_at_once_does_not_keep_a_turn_from_its_end(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With entry shut every open swap is looked at again after some seconds, and many take longer than that."""
    daemon, looked = rooms.daemon(), list[str]()
    for _ in range(3):
        await add_swap(rooms.store)

    async def slow(lease: Lease) -> None:
        looked.append(lease.swap_id)
        rooms.clock.now += 10
        async with rooms.store.write() as writing:
            await writing.postpone(lease.swap_id, rooms.clock.now - 5)

    monkeypatch.setattr(daemon, "_reconciler", _Reconciles(slow))
    await asyncio.wait_for(daemon.work(), PATIENCE)
    assert len(looked) == len(set(looked)) == 3
    await asyncio.wait_for(daemon.work(), PATIENCE)
    assert len(looked) == 6


async def test_s8_a_turn_ends_when_the_database_comes_into_trouble(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, looked = rooms.daemon(), list[str]()
    for _ in range(20):
        await add_swap(rooms.store)

    async def troubled(lease: Lease) -> None:
        looked.append(lease.swap_id)
        rooms.store._health.failed("disk I/O error")

    monkeypatch.setattr(daemon, "_reconciler", _Reconciles(troubled))
    await asyncio.wait_for(daemon.work(), PATIENCE)
    assert 0 < len(looked) < 20


async def test_a_swap_that_takes_too_long_is_looked_at_again_later(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = rooms.daemon()
    swap_id = await add_swap(rooms.store)

    async def hangs(lease: Lease) -> None:
        raise TimeoutError

    monkeypatch.setattr(daemon, "_reconciler", _Reconciles(hangs))
    await asyncio.wait_for(daemon.work(), PATIENCE)
    assert (await get(rooms.store, swap_id)).next_due_at > rooms.clock.now  # type: ignore[operator]


async def test_the_lifeboat_stops_with_its_daemon(rooms: Rooms) -> None:
    daemon = rooms.daemon()
    await daemon.lifeboat.work()
    boat = daemon.lifeboat._boat
    assert boat is not None
    daemon.stop()
    assert boat.stopping.is_set()
    await daemon.lifeboat.close()


# -- what is on board


async def test_s6_an_old_copy_is_told_which_secrets_were_shown_and_that_it_is_old(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = rooms.daemon()
    shown, kept = await add_swap(rooms.store), await add_swap(rooms.store)
    await daemon.lifeboat.stock()
    daemon.house.shown.add(shown)  # and the database that was told of it is gone
    monkeypatch.setattr(Store, "copy_open", _away)
    await daemon.lifeboat.work()
    boat = daemon.lifeboat._boat
    assert boat is not None
    first, second = [(await get(boat.house.store, each)).memory for each in (shown, kept)]
    assert (first.reveal_sent, first.restored) == (True, True)
    assert (second.reveal_sent, second.restored) == (False, True)
    await daemon.lifeboat.close()


async def test_s8_on_board_is_all_that_may_have_an_exit_and_what_rests_stays_ashore(rooms: Rooms) -> None:
    resting, going, sent, failed = [await add_swap(rooms.store) for _ in range(4)]
    ends = {
        resting: decision(status=Status.EXPIRED),
        sent: decision(LOCK, status=Status.EXPIRED),
        failed: decision(status=Status.FAILED),
    }
    for swap_id, over in ends.items():
        fence = await lease(rooms.store, swap_id)
        async with rooms.store.write() as writing:
            row = await get(rooms.store, swap_id)
            await writing.record_decision(row, fence, over, dict.fromkeys(Role, ABSENT_VIEW))
    rooms.clock.now = long_after(await get(rooms.store, resting))
    daemon = rooms.daemon()
    assert await daemon.lifeboat.stock()
    assert daemon.lifeboat._spare is not None
    async with daemon.lifeboat._spare.read() as reading:
        assert {row.id for row in (await reading.open_swaps()).swaps} == {going, sent, failed}
    await daemon.lifeboat.close()


async def test_a_copy_of_this_moment_is_believed(rooms: Rooms) -> None:
    daemon = rooms.daemon()
    swap_id = await add_swap(rooms.store)
    await daemon.lifeboat.work()
    boat = daemon.lifeboat._boat
    assert boat is not None
    assert not (await get(boat.house.store, swap_id)).memory.restored
    await daemon.lifeboat.close()


async def test_s8_an_empty_lifeboat_is_stocked_as_soon_as_the_database_can_be_read(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = rooms.daemon()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "copy_open", _away)
        await daemon.lifeboat.work()
        assert not daemon.lifeboat.afloat
    await daemon.lifeboat.work()
    assert daemon.lifeboat.afloat
    await daemon.lifeboat.close()


async def test_what_the_lifeboat_did_is_not_overwritten_while_it_is_at_sea(rooms: Rooms) -> None:
    daemon = rooms.daemon()
    swap_id = await add_swap(rooms.store)
    await daemon.lifeboat.work()
    boat = daemon.lifeboat._boat
    assert boat is not None
    async with boat.house.store.write() as writing:
        await writing.remember_shown({swap_id})
    await daemon.lifeboat.stock()
    assert (await get(boat.house.store, swap_id)).memory.reveal_sent
    await daemon.lifeboat.close()


# -- a chain that hangs


async def test_s8_many_swaps_wait_for_a_chain_that_hangs_once_and_not_one_after_the_other(rooms: Rooms) -> None:
    watcher, chain = rooms.daemon().watchers["bitcoin"], rooms.chains["bitcoin"]
    rows = [await get(rooms.store, await add_swap(rooms.store)) for _ in range(8)]
    await asyncio.gather(*(watcher.meet(row) for row in rows))
    assert chain.asked == 1
    await watcher.meet(rows[0])
    assert chain.asked == 1, "a moment ago it did not answer"
    looking = asyncio.create_task(watcher.look())
    await asyncio.sleep(0)
    await watcher.meet(rows[1])
    assert not looking.done(), "nobody waits for a look that will fail as the last one did"
    await looking


class _Reconciles:
    def __init__(self, reconcile: Any) -> None:
        self.reconcile = reconcile


async def _away(*_: object) -> Store:
    raise Unavailable("the database does not answer")


# -- the clock of the wall


async def test_s5_what_wakes_the_daemon_goes_on_when_the_clock_is_set_back(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = timedelta()

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - shift

    for module in (daemons, schedulers):
        monkeypatch.setattr(module, "datetime", Wall)
    daemon = Daemon(rooms.house, replace(PACE, tick=0.05), worker="worker")
    woken = asyncio.Event()
    monkeypatch.setattr(daemon, "_wake", woken)
    for work in ("turn", "_sweep", "_look", "_tell"):
        monkeypatch.setattr(Daemon, work, _nothing)
    running = asyncio.create_task(daemon.run())
    await asyncio.wait_for(woken.wait(), PATIENCE)
    shift = timedelta(hours=1)
    for _ in range(3):  # more than can have been on their way
        woken.clear()
        await asyncio.wait_for(woken.wait(), PATIENCE)
    daemon.stop()
    await running


# -- the end


async def test_the_daemon_ends_when_what_it_woke_has_let_go_of_the_database(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def sweeps(_: Daemon) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            let_go.set()

    for work in ("turn", "_look", "_tell"):
        monkeypatch.setattr(Daemon, work, _nothing)
    monkeypatch.setattr(Daemon, "_sweep", sweeps)
    daemon = Daemon(rooms.house, replace(PACE, sweep=0.05), worker="worker")
    running = asyncio.create_task(daemon.run())
    await asyncio.wait_for(begun.wait(), PATIENCE)
    daemon.stop()
    await asyncio.wait_for(running, PATIENCE)
    assert let_go.is_set()


async def test_what_is_woken_at_the_end_is_not_begun(rooms: Rooms) -> None:
    begun: list[bool] = []

    async def work() -> None:
        begun.append(True)

    daemon = rooms.daemon()
    await daemon._woken(work)
    assert begun == [True]
    daemon.stop()
    await daemon._woken(work)  # the scheduler had it in hand when the daemon was stopped
    assert begun == [True]


async def test_no_look_outlives_the_connections_to_its_chain(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever began it. It would go on with a client that is closed, and call that a mistake of its own."""
    for work in ("turn", "_look", "_sweep", "_tell"):
        monkeypatch.setattr(Daemon, work, _nothing)
    daemon = rooms.daemon()
    watcher, order = next(iter(daemon.watchers.values())), list[str]()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def looks(_: object = ()) -> bool:
        begun.set()
        await go_on.wait()
        order.append("looked")
        return True

    async def closes() -> None:
        order.append("closed")

    monkeypatch.setattr(watcher, "_look_once", looks)
    monkeypatch.setattr(daemon.house.chain(watcher.name), "close", closes, raising=False)
    look, running = asyncio.create_task(watcher.look()), asyncio.create_task(daemon.run())
    await asyncio.wait_for(begun.wait(), PATIENCE)
    daemon.stop()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await asyncio.wait_for(running, PATIENCE)
    assert order == ["looked", "closed"]
    assert await look
    assert not await watcher.look(), "there is none after the end"
    assert order == ["looked", "closed"]


async def test_a_mistake_in_the_loop_ends_what_runs_beside_it(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    async def turns(_: Daemon) -> None:
        raise ZeroDivisionError

    for work in ("_look", "_sweep", "_tell"):
        monkeypatch.setattr(Daemon, work, _nothing)
    monkeypatch.setattr(Daemon, "turn", turns)
    daemon = rooms.daemon()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(daemon.run(), PATIENCE)
    assert daemon.stopping.is_set(), "its doors would stay open"


async def _nothing(*_: object) -> None: ...
