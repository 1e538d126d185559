"""The daemon: everything open first, then the one loop, until it is told to stop.

APScheduler only wakes: it holds no job of value, so nothing is lost with it. What is due stands in the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from swapd.coordinator.execute import RETRY_SECONDS, Executor
from swapd.coordinator.figures import Observatory
from swapd.coordinator.gate import Gate
from swapd.coordinator.health import HEALTH_SECONDS, HealthBoard, Line, Pulse
from swapd.coordinator.house import House
from swapd.coordinator.lifeboat import Lifeboat
from swapd.coordinator.reconcile import Keeper, Reconciler
from swapd.coordinator.requests import Intake, intakes
from swapd.coordinator.resting import is_at_rest, to_sweep
from swapd.coordinator.watch import Watcher
from swapd.crashpoint import crashpoint
from swapd.errors import Rejected, SwapdError, Unavailable
from swapd.store import Conflict, DamagedRow, Lease, LeaseLost

log = structlog.get_logger()

AT_ONCE = 8
"""Swaps reconciled at the same time: most of each is waiting for a node."""


CLOCK_STEP = 1
"""Seconds by which the clock of the wall is set back and not merely slowed down."""


def _ahead() -> float:
    """Seconds by which it is ahead of the clock that is never set."""
    return datetime.now(UTC).timestamp() - time.monotonic()


@dataclass(frozen=True)
class Pace:
    """How often and how long, in seconds: see `[daemon]` in `config/default.toml`."""

    tick: float
    sweep: float
    lease: int
    stop: float


@dataclass
class Daemon:
    """worker: this process's name among those that share the database. keeper: hears of every swap that was looked at.
    tell: is given the lines of health again and again, with the time. settle: is called when everything that is watched
    was read. stopping: set, it finishes what is under way."""

    house: House
    pace: Pace
    worker: str
    halted: bool = False
    keeper: Keeper | None = None
    tell: Callable[[tuple[Line, ...], int], None] | None = None
    settle: Callable[[], None] = lambda: None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    pulse: Pulse = field(default_factory=Pulse)
    watchers: dict[str, Watcher] = field(init=False)
    gate: Gate = field(init=False)
    health: HealthBoard = field(init=False)
    intakes: dict[str, Intake] = field(init=False)
    lifeboat: Lifeboat = field(init=False)
    observatory: Observatory = field(init=False)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _jobs: set[asyncio.Task[None]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.watchers = {name: Watcher(self.house, name) for name in self.house.markets}
        self.gate = Gate(self.watchers, self.halted, store=lambda: self.house.store.trouble)
        self.health = HealthBoard(self.house, self.gate, self.keeper)
        self.lifeboat = Lifeboat(self)
        self.observatory = Observatory(self)
        self.intakes = intakes(self.house, self.gate)
        self._reconciler = Reconciler(self.house, self.gate, Executor(self.house), self.keeper)

    def stop(self) -> None:
        """Finish what is under way and end `run`. May be called from a signal handler."""
        self.stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises Invalid for a node on the wrong network."""
        await self._connect()
        scheduler = AsyncIOScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}, timezone="UTC"
        )
        for name, market in self.house.markets.items():
            for each in (self.watchers[name], self.intakes.get(name)):
                if each is not None:
                    scheduler.add_job(
                        self._woken, "interval", [partial(self._look, name, each)], seconds=market.poll_seconds
                    )
        scheduler.add_job(self._wake.set, "interval", seconds=self.pace.tick, name="tick")
        scheduler.add_job(self._woken, "interval", [self._sweep], seconds=self.pace.sweep, name="sweep")
        scheduler.add_job(self._woken, "interval", [self._tell], seconds=HEALTH_SECONDS, name="health")
        scheduler.start()
        log.info("daemon.running", worker=self.worker, chains=sorted(self.house.markets))
        loop = asyncio.create_task(self._loop())
        ward = asyncio.create_task(self._ward(scheduler))
        told = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({loop, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stopping.set()  # whatever it was that ended it
            scheduler.shutdown(wait=False)  # a moment later: until then it goes on waking
            told.cancel()
            ward.cancel()
            _, unfinished = await asyncio.wait({loop, *self._jobs}, timeout=self.pace.stop)
            for task in unfinished:
                log.warning("daemon.cut_short", after=self.pace.stop)  # safe at any line: see `execute.py`
                task.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await self._end()
        if not loop.cancelled():
            loop.result()

    async def _woken(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """What the scheduler starts. When it is shut down it cancels that, and waits for nothing: so it is kept here
        until it has let go of the database, whose driver may never end if it is cancelled once more meanwhile."""
        if self.stopping.is_set():
            return  # nobody would wait for it: it would go on without its chains and its database
        task = asyncio.create_task(work())
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        try:
            await task
        except asyncio.CancelledError:
            if not self.stopping.is_set():
                raise  # else it is the scheduler

    async def _loop(self) -> None:
        while not self.stopping.is_set():
            self._wake.clear()
            await self.turn()
            await self._wake.wait()

    async def _ward(self, scheduler: AsyncIOScheduler) -> None:
        """The scheduler goes by the clock of the wall: set back by an hour, it would wake nothing for an hour."""
        before = _ahead()
        while True:
            await asyncio.sleep(self.pace.tick)
            ahead = _ahead()
            if ahead < before - CLOCK_STEP:
                log.warning("clock.set_back", seconds=round(before - ahead))
                for job in scheduler.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))
            before = ahead

    async def turn(self) -> None:
        """All that can be done now. While the database is in trouble that is to find out whether it still is, and the
        exits that need none."""
        self.pulse.beat()
        try:
            await self._mend()
            if self.gate.starting:
                await self._begin()
            await self.work()
        except SwapdError as error:
            log.error("store.trouble", error=str(error), needed=self.house.store.trouble)
        if self.house.store.trouble:
            await self.lifeboat.work()

    async def _mend(self) -> None:
        """Raises while the database is not to be relied on."""
        if not self.house.store.trouble:
            return
        await self.house.store.probe()
        if not self.house.store.trouble:
            log.warning("store.healthy")
            self.lifeboat.land()
            await self.sweep()

    async def start(self) -> None:
        """All of `run` that comes before its loop: for those who turn the loop themselves."""
        await self._connect()
        await self._begin()

    async def _connect(self) -> None:
        for watcher in self.watchers.values():
            try:
                await watcher.start()
            except (Unavailable, Rejected) as error:
                log.warning("chain.unhealthy", chain=watcher.name, reason=str(error))
            except SwapdError:
                raise
            except Exception:  # a mistake of ours with one chain must not keep the exits on others from going out
                log.exception("start.mistake", chain=watcher.name)

    async def _begin(self) -> None:
        """Everything open is looked at once, and its exits are carried out, before anything new is begun."""
        crashpoint("daemon.release_all.before")
        async with self.house.store.write(self.worker) as writing:
            await writing.release_all(self.worker)
        crashpoint("daemon.release_all.after")
        async with self.house.store.read() as reading:
            await reading.open_swaps()  # once for all looks
        await asyncio.gather(*(watcher.look() for watcher in self.watchers.values()))
        await self._make_due()
        async with self.house.store.read() as reading:
            unfinished = set(await reading.unfinished())
            found = await reading.open_swaps()
        now = self.house.clock()
        waiting = [row.id for row in found.swaps if row.id in unfinished or not is_at_rest(row, now)]
        while waiting and not self.stopping.is_set():
            if self.house.store.trouble:
                return  # begun again when that is over; until then what is on board
            batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            async with self.house.store.write(self.worker) as writing:
                fences = {each: await writing.lease(each, self.worker, self.pace.lease) for each in batch}
            await asyncio.gather(
                *(self._reconcile(Lease(i, fence)) for i, fence in fences.items() if fence is not None)
            )
        crashpoint("daemon.begun")
        await self.lifeboat.stock()  # nothing new before there are exits for it whatever becomes of the database
        self.settle()
        self.gate.starting = False
        await self._make_due()

    async def sweep(self) -> None:
        """Read all of it anew, so that damage to the database is found, and make due what has to be looked at however
        quiet the chains are."""
        self.house.store.remembered.forget()
        await self._make_due()

    async def _make_due(self) -> None:
        """Everything that is not at rest, and some of what is."""
        async with self.house.store.read() as reading:
            found = await reading.open_swaps()
            busy = {*(await reading.unfinished()), *(self.keeper.trouble if self.keeper else ())}
        due = to_sweep(found.swaps, self.house.clock(), busy, AT_ONCE)
        async with self.house.store.write(self.worker) as writing:
            await writing.touch(due)
        for damaged in found.damaged:
            log.error("swap.damaged", error=str(damaged))
            await self._look_again(damaged)
        self._wake.set()

    async def _look_again(self, damaged: DamagedRow) -> None:
        """What a chain showed once it shows again: such damage needs no person."""
        if not damaged.by_looking:
            return
        async with self.house.store.write(self.worker) as writing:
            await writing.forget_sightings(damaged.key)
        for watcher in self.watchers.values():
            watcher.forget(damaged.key)

    async def _tell(self) -> None:
        try:
            lines = await self.health.look()
            if self.tell is not None:
                self.tell(lines, self.house.clock())
        except OSError as error:
            log.error("health.not_told", error=str(error))

    async def _sweep(self) -> None:
        try:
            await self.sweep()
            await self.lifeboat.stock()
            self.settle()
        except SwapdError as error:
            log.error("store.trouble", error=str(error))

    async def work(self) -> None:
        """Reconcile what is due at this moment. What falls due meanwhile is for the next turn, and so is everything
        else once the database is in trouble: whoever waits for a turn's end must not wait for ever."""
        now = self.house.clock()
        while not self.stopping.is_set() and not self.house.store.trouble:
            async with self.house.store.write(self.worker) as writing:
                leases = await writing.lease_due(self.worker, now, self.pace.lease, AT_ONCE)
            if not leases:
                return
            crashpoint("daemon.leased")
            await asyncio.gather(*(self._reconcile(lease) for lease in leases))

    async def _look(self, name: str, looker: Watcher | Intake) -> None:
        try:
            woken = await looker.look()
        except SwapdError as error:
            log.error("look.failed", chain=name, error=str(error))
            return
        if woken:
            self._wake.set()

    async def _reconcile(self, lease: Lease) -> None:
        """One swap; whatever goes wrong with it, the others go on."""
        later = 0
        try:
            async with asyncio.timeout(self.pace.lease):
                with self.house.telemetry.reconcile(lease.swap_id):
                    await self._reconciler.reconcile(lease)
        except (Conflict, LeaseLost) as error:
            log.info("swap.changed_meanwhile", swap=lease.swap_id, error=str(error))
        except TimeoutError:
            later = RETRY_SECONDS
            log.error("swap.took_too_long", swap=lease.swap_id, seconds=self.pace.lease)
        except SwapdError as error:
            later = RETRY_SECONDS
            log.error("swap.trouble", swap=lease.swap_id, error=str(error))
        except Exception:  # a mistake of ours in one swap must not hold up the money of another
            later = 10 * RETRY_SECONDS
            log.exception("swap.mistake", swap=lease.swap_id)
        crashpoint("daemon.release.before")
        try:
            async with self.house.store.write(self.worker) as writing:
                if later:
                    await writing.postpone(lease.swap_id, self.house.clock() + later)
                await writing.release(lease)
            crashpoint("daemon.release.after")
        except SwapdError as error:
            log.error("lease.kept", swap=lease.swap_id, error=str(error))  # it ends by itself
        self.pulse.beat()

    async def _end(self) -> None:
        for watcher in (*self.watchers.values(), *self.lifeboat.watchers):
            try:
                async with asyncio.timeout(self.pace.stop):
                    await watcher.end()
            except TimeoutError:
                log.warning("look.cut_short", chain=watcher.name, after=self.pace.stop)
        for watcher in self.watchers.values():
            await self.house.chain(watcher.name).close()
        await self.lifeboat.close()
        log.info("daemon.stopped", worker=self.worker)
