"""Watching one chain: what happened since the cursor, what is pending, and which swaps have to be looked at again.

Nothing is decided here. A sighting only says where to look, and a missed one is found by the next look.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from swapd.chains.base import Sighting, WatchedLeg
from swapd.coordinator.house import House
from swapd.coordinator.places import Places
from swapd.coordinator.resting import Restless, is_at_rest
from swapd.crashpoint import crashpoint
from swapd.errors import SwapdError
from swapd.protocol.decide import legs_in_flight
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from swapd.store import DamagedRow, SwapRow

log = structlog.get_logger()

CLOCK_SECONDS = 10
"""Between two readings of the chain's clock."""

DEEPEST = 150
"""Blocks. More than any chain of value was ever reorganised by; adapters find a fork as far back."""

FAILED_SECONDS = 5
"""For which a look that failed stands for those that would follow it. The next one comes by itself."""


@dataclass
class Watcher:
    """Looks at one chain again and again. trouble: why the last look failed, "" if it did not.

    `_met` are the swaps that this process has looked for from their birth; `_hints` what was pending last time, so that
    a quiet mempool costs no write. `_time` is the chain's own clock as last read, `_read_at` when that was by ours.
    """

    house: House
    name: str
    trouble: str = "not looked at yet"
    _started: bool = False
    _ended: bool = False
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _met: set[str] = field(default_factory=set)
    _forgotten: set[str] = field(default_factory=set)
    """Since the look that is under way began."""
    _looked: bool = False
    _hints: frozenset[Sighting] = frozenset()
    _time: int | None = None
    _read_at: int = 0
    _failed_at: float | None = None
    """When the last look failed, by a clock that is never set; None if it did not."""
    _newcomers: dict[str, SwapRow] = field(default_factory=dict)
    """Whose reconciliation waits until they were looked for."""
    _restless: Restless = field(default_factory=Restless)
    _nodes: str = ""
    """What the chain itself says against resting anything new on its nodes."""
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.house, self.name)

    @property
    def doubt(self) -> str:
        """Why nothing new may rest on this chain at this moment, "" if it may. A chain that stands still comes into
        doubt by itself, since our clock goes on."""
        return self.trouble or self._nodes or ("" if self._time is None else self.house.drift(self.name, self._time))

    @property
    def lag(self) -> int | None:
        """Seconds by which the chain's clock, as last read, is behind ours now; None before it was read."""
        return None if self._time is None else self.house.clock() - self._time

    @property
    def drifts(self) -> bool:
        """Whether that is beyond what plans allow for."""
        return self._time is not None and bool(self.house.drift(self.name, self._time))

    def knows(self, swap_id: str) -> bool:
        """Whether everything that happened here to this swap has been looked for."""
        return swap_id in self._met

    def forget(self, swap_id: str) -> None:
        """Its sightings are gone from the database: it is looked for from its birth, as after a start."""
        self._met.discard(swap_id)
        self._forgotten.add(swap_id)

    def resumed(self) -> None:
        """The chain is started, and keeps what it has to keep: another watcher saw to it."""
        self._started = True

    async def start(self) -> None:
        """Connect, and keep what stored transactions use. Raises Invalid for a node of another network: nothing may go
        on with that."""
        chain = self.house.chain(self.name)
        await chain.start()
        async with self.house.store.read() as reading:
            effects = [each for swap_id in await reading.unfinished() for each in await reading.effects(swap_id)]
            rows = {row.id: row for row in (await reading.open_swaps(self.name)).swaps}
        here = [e for e in effects if e.swap_id in rows and self._here(rows[e.swap_id], e.effect.role)]
        crashpoint("watch.resume.before")
        await chain.resume([tx for effect in here for tx in effect.live])
        crashpoint("watch.resume.after")
        self._started = True

    async def end(self) -> None:
        """Wait for a look that is under way; from here on there is none. For before its chain is closed."""
        self._ended = True
        async with self._one_at_a_time:
            return

    async def look(self) -> bool:
        """One look, and no two at once. True if some swap has to be reconciled now."""
        async with self._one_at_a_time:
            return not self._ended and await self._look_once()

    async def meet(self, row: SwapRow) -> None:
        """Look for a swap that this process has not looked for yet. Not if a look has just failed, or is about to fail
        again: many swaps do not wait for a chain that hangs one after the other, since their other exits wait too."""
        if self.knows(row.id) or self._hangs:
            return
        self._newcomers[row.id] = row
        try:
            async with self._one_at_a_time:  # whoever comes first looks for all that wait
                if not (self.knows(row.id) or self._just_failed or self._ended):
                    await self._look_once(() if self.trouble else tuple(self._newcomers.values()))
        finally:
            self._newcomers.pop(row.id, None)

    @property
    def _just_failed(self) -> bool:
        return self._failed_at is not None and time.monotonic() - self._failed_at < FAILED_SECONDS

    @property
    def _hangs(self) -> bool:
        """The last look failed, and that was a moment ago or the next one does not end."""
        return self._just_failed or (self._failed_at is not None and self._one_at_a_time.locked())

    async def _look_once(self, newcomers: Sequence[SwapRow] = ()) -> bool:
        """newcomers: look for these alone."""
        self._forgotten.clear()
        try:
            if not self._started:
                await self.start()
            if newcomers:
                woken = await self._look_for(newcomers)
            else:
                woken = await self._look()
                woken |= await self._read_clock()
        except SwapdError as error:
            if not self.trouble:
                log.warning("chain.unhealthy", chain=self.name, reason=str(error))
            self.trouble, self._failed_at = str(error), time.monotonic()
            return False
        except Exception as error:  # without this the gate would stay open over a scan that is dead
            log.exception("look.mistake", chain=self.name)
            self.trouble, self._failed_at = f"{type(error).__name__}, a mistake of swapd's own", time.monotonic()
            return False
        if self.trouble:
            log.info("chain.healthy", chain=self.name)
        self.trouble, self._failed_at = "", None
        return woken

    async def _look_for(self, newcomers: Sequence[SwapRow]) -> bool:
        """Their past. What comes after that, and what is pending, the next look shows with what there is of all others:
        it goes on from where the last one ended, and that is not later than now."""
        strangers = self._legs(newcomers)
        early = await self.house.chain(self.name).rescan(strangers) if strangers else []
        if early:
            async with self.house.store.write() as writing:
                await writing.add_sightings(self.name, early)
        self._met |= {row.id for row in newcomers} - self._forgotten
        return bool(early)

    async def _read_clock(self) -> bool:
        """True if ours was set back: what is due was written down by the old one, so all of it is made due now."""
        now, before = self.house.clock(), self._read_at
        if self._time is None or not before <= now < before + CLOCK_SECONDS:
            clock = await self.house.chain(self.name).clock()
            self._time, self._nodes = clock.time, clock.doubt
            await self.places.look()
            self._read_at = now
        if now >= before:
            return False
        log.warning("clock.set_back", seconds=before - now)
        async with self.house.store.write() as writing:
            await writing.touch(self._met)
        return True

    async def _look(self) -> bool:
        chain = self.house.chain(self.name)
        async with self.house.store.read() as reading:
            found = await reading.open_swaps(self.name)
            try:
                cursor, lost = await reading.cursor(self.name), False
            except DamagedRow as error:
                log.error("cursor.damaged", chain=self.name, error=str(error))
                cursor, lost = None, True
        rows = {row.id: row for row in found.swaps}
        restless = self._restless.of(found.swaps, self.house.clock())
        legs = self._legs(found.swaps)
        # What happened since a cursor that can not be read is looked for from the birth of each leg. At the first look
        # a leg with sightings was looked for before the start, up to the cursor; later another worker may have moved
        # that past what it did not look for yet.
        strangers = [
            leg for leg in legs if lost or (leg.swap_id not in self._met and (self._looked or not leg.sightings))
        ]
        early = await chain.rescan(strangers) if strangers else []
        scan = await chain.scan(cursor, legs)
        # Whatever is pending of what is at rest can wait for its block.
        hints = frozenset(await chain.mempool(_with(self._legs(restless), (*early, *scan.sightings))))
        moved = cursor is None or scan.cursor.hash != cursor.hash
        if not (early or moved or hints - self._hints):
            self._looked_for(rows, hints)
            return False
        woken = {sighting.swap_id for sighting in (*early, *scan.sightings, *(hints - self._hints))}
        if scan.fork is not None:
            depth = 1 if cursor is None else max(1, cursor.height - scan.fork)
            log.warning("chain.reorg", chain=self.name, fork=scan.fork, depth=depth)
            self.house.telemetry.reorg(self.name, depth)
            woken |= self._shaken(found.swaps, scan.fork)
        if moved:
            woken |= await self._unsettled(rows, restless)
        crashpoint("watch.scanned")
        async with self.house.store.write() as writing:
            await writing.record_scan(self.name, scan)
            await writing.add_sightings(self.name, [*early, *(hints - self._hints)])
            await writing.touch(woken)
        crashpoint("watch.stored")
        self._looked_for(rows, hints)
        return bool(woken)

    def _looked_for(self, rows: Collection[str], hints: frozenset[Sighting]) -> None:
        self._met, self._hints, self._looked = {*rows} - self._forgotten, hints, True

    def _shaken(self, rows: Sequence[SwapRow], fork: int) -> set[str]:
        """Swaps that a reorganisation may have changed, even one that is deeper than what was told of it."""
        now, deepest = self.house.clock(), fork - DEEPEST

        def seen_lately(row: SwapRow) -> bool:
            here = (s for s in row.sightings if self._here(row, Role(s.role)))
            return any(sighting.height is not None and sighting.height > deepest for sighting in here)

        return {row.id for row in rows if not is_at_rest(row, now) or seen_lately(row)}

    def _legs(self, rows: Sequence[SwapRow]) -> list[WatchedLeg]:
        """Of these, what is on this chain."""
        name = self.name
        return [leg for row in rows for leg in row.legs_by_chain.get(name, ())]

    async def _unsettled(self, rows: Mapping[str, SwapRow], restless: Sequence[SwapRow]) -> set[str]:
        """Swaps that a new block may change: a leg here is not final, its refund falls due, or something was sent."""
        now = max(self.house.clock(), self._time or 0)  # ours may be late
        soon = now + self.house.markets[self.name].profile.clock_ahead
        async with self.house.store.read() as reading:
            sent = set(await reading.unfinished())
        flying = {
            row.id
            for row in restless
            for leg in legs_in_flight(row.terms, {role: row.legs[role].view for role in Role})
            if leg.terms.chain == self.name
        }
        flying |= {
            row.id
            for row in restless
            for role, leg in row.legs.items()
            if self._here(row, role)
            and leg.view.state is LegState.LOCKED
            and row.terms.leg(role).terms.timelock <= soon
        }
        return flying | (sent & rows.keys())

    def _here(self, row: SwapRow, role: Role) -> bool:
        return row.terms.leg(role).terms.chain == self.name


def _with(legs: Sequence[WatchedLeg], new: Sequence[Sighting]) -> list[WatchedLeg]:
    """The legs with what was sighted this very moment, so that the mempool is asked about that too."""
    if not new:
        return list(legs)
    fresh: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for sighting in new:
        fresh[sighting.swap_id, sighting.role].append(sighting)
    return [replace(leg, sightings=(*leg.sightings, *fresh[leg.swap_id, leg.leg.role])) for leg in legs]
