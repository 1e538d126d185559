"""How swapd is, for people: a line for each chain, for the store and for entry, in words.

Each says what is wrong, what swapd does about it, what it needs from a person, and until when: the next moment at which
money of some open swap hangs on it. Nothing is decided by these lines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import structlog

from swapd.chains.base import Health
from swapd.coordinator.gate import Gate
from swapd.coordinator.house import House
from swapd.coordinator.places import ALONE
from swapd.coordinator.reconcile import Keeper
from swapd.errors import SwapdError
from swapd.protocol.outlook import outlook
from swapd.protocol.terms import Role
from swapd.store import SwapRow

log = structlog.get_logger()

HEALTH_SECONDS = 10
"""Between two looks."""

PATIENCE = 30.0
"""Seconds for a chain to say how it is. A chain that says nothing for so long is not well."""


@dataclass(frozen=True)
class Line:
    """name: of a chain, "store" or "entry". says: how it is. doing: what swapd does about it. needs: what a person has
    to do. until: Unix seconds; the next deadline of a swap that depends on it. since: Unix seconds it has been so."""

    name: str
    ok: bool
    says: str
    doing: str = ""
    needs: str = ""
    until: int | None = None
    since: int = 0


STUCK_SECONDS = 660
"""The longest single wait of the loop is a reading of the database, 600 s. One that did nothing for longer is stuck."""


@dataclass
class Pulse:
    """When the loop last did something, by a clock that nobody sets."""

    at: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        self.at = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds."""
        return time.monotonic() - self.at


@dataclass
class HealthBoard:
    """lines: as they were last looked at. keeper: whose troubles are told too, if there is one."""

    house: House
    gate: Gate
    keeper: Keeper | None = None
    lines: tuple[Line, ...] = field(default=())

    async def look(self) -> tuple[Line, ...]:
        """All lines anew; what has changed goes to the log. Never raises for what it can report."""
        swaps, store = await self._store()
        chains = await asyncio.gather(*(self._chain(name, swaps) for name in self.house.markets))
        before = {line.name: line for line in self.lines}
        self.lines = tuple(
            self._aged(line, before.get(line.name)) for line in (*chains, store, self._entry(), *self._copies())
        )
        return self.lines

    def _aged(self, line: Line, before: Line | None) -> Line:
        if before is not None and (before.ok, before.says) == (line.ok, line.says):
            return replace(line, since=before.since)
        if not line.ok:
            log.warning("health.bad", name=line.name, says=line.says, needs=line.needs, until=line.until)
        elif before is not None and not before.ok:
            log.info("health.well", name=line.name)
        return replace(line, since=self.house.clock())

    # -- lines -----------------------------------------------------------------------------------------------------

    async def _chain(self, name: str, swaps: Iterable[SwapRow]) -> Line:
        watcher = self.gate.watchers[name]
        doubt, notice = watcher.doubt, watcher.places.notice
        bad = [health for health in await self._examined(name) if not health.ok]
        if notice:
            bad.append(Health("account", False, notice, ALONE))
        if not doubt and not bad:
            return Line(name, True, "well")
        mends = list(dict.fromkeys(health.mend for health in bad if health.mend))
        if doubt:
            doing = (
                "looks again and again; begins nothing new here, and goes on with claims and refunds as far as it can"
            )
        else:
            doing = "goes on"
        return Line(
            name,
            False,
            "; ".join(
                dict.fromkeys([*([doubt] if doubt else []), *(f"{health.name}: {health.says}" for health in bad)])
            ),
            doing,
            "; ".join(mends) or f"look at the nodes of [chains.{name}]: `swapd doctor`",
            self._until(row for row in swaps if name in {leg.terms.chain for leg in row.terms.legs}),
        )

    async def _examined(self, name: str) -> list[Health]:
        try:
            async with asyncio.timeout(PATIENCE):
                return list(await self.house.chain(name).examine(self.house.clock()))
        except TimeoutError:
            return [Health("node", False, f"it has not answered for {PATIENCE:g} s", "look whether it is alive")]
        except SwapdError as error:
            return [Health("node", False, str(error), "look whether it is alive")]

    async def _store(self) -> tuple[tuple[SwapRow, ...], Line]:
        try:
            async with self.house.store.read() as reading:
                found = await reading.open_swaps()
        except SwapdError as error:
            return (), Line("store", False, str(error), _WITHOUT_STORE, _LOOK_AT_STORE)
        if trouble := self.house.store.trouble:
            says, _, needs = trouble.partition("; needed: ")
            return found.swaps, Line("store", False, says, _WITHOUT_STORE, needs, self._until(found.swaps))
        if found.damaged:
            says = "; ".join(map(str, found.damaged))
            needs = "restore these rows from a backup, or `swapd recover` into a new database: docs/backup.md"
            return found.swaps, Line("store", False, says, "goes on with all other swaps", needs)
        return found.swaps, Line("store", True, f"{len(found.swaps)} swaps are watched")

    def _entry(self) -> Line:
        closed = self.gate.closed
        if not closed:
            return Line("entry", True, "open")
        return Line("entry", False, closed, "begins nothing new; what is locked goes on to its end", "")

    def _copies(self) -> list[Line]:
        if self.keeper is None:
            return []
        trouble = self.keeper.trouble
        if not trouble:
            return [Line("watchtower", True, "has a copy of all that is open")]
        why = "; ".join(f"{swap}: {words}" for swap, words in sorted(trouble.items()))
        needs = "let swapd write into watchtower.folder"
        return [Line("watchtower", False, f"its copies are out of date: {why}", "tries again at each look", needs)]

    def _until(self, swaps: Iterable[SwapRow]) -> int | None:
        now = self.house.clock()
        ahead = (
            deadline.at
            for row in swaps
            for deadline in outlook(row.terms, {role: row.legs[role].view for role in Role}, row.status)
        )
        return min((at for at in ahead if at > now), default=None)


_WITHOUT_STORE = "begins nothing new; claims and refunds go on from memory (docs/store.md)"
_LOOK_AT_STORE = "mend the database: docs/store.md tells how"
