"""A house on a real database, and chains that fail as they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swapd.chains.base import ChainClock, Cursor, Health, Scan, Sighting, Tip, WatchedLeg
from swapd.coordinator.daemon import Daemon, Pace
from swapd.coordinator.house import House, Market
from swapd.coordinator.limits import Limits
from swapd.errors import Unavailable
from swapd.protocol.terms import LegTerms
from swapd.store import Store
from tests.protocol.world import profile
from tests.store.store_samples import START, AesSealer
from tests.tables import make_tables

PACE = Pace(tick=1, sweep=60, lease=60, stop=5)


@dataclass
class Away:
    """A chain whose node takes a while to say that it does not answer. asked: how often."""

    name: str
    asked: int = 0
    sees_all: bool = False
    board: None = None

    async def start(self) -> None:
        self.asked += 1
        await asyncio.sleep(0.01)
        raise Unavailable(f"{self.name} is away")

    async def rescan(self, legs: object) -> None:
        await self.start()

    async def examine(self, now: int) -> list[Health]:
        return []

    async def close(self) -> None: ...

    def fingerprint(self, terms: LegTerms) -> str:
        return f"{self.name}-{terms.hashlock.hex()}"


@dataclass
class Calm(Away):
    """A chain on which nothing happens. found: what a look from a leg's birth finds nevertheless. told: what it was
    asked for, and of which swaps. meanwhile: called while it looks."""

    found: list[Sighting] = field(default_factory=list)
    told: list[tuple[str, set[str]]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    async def start(self) -> None: ...

    async def resume(self, live: object) -> None: ...

    async def clock(self) -> ChainClock:
        return ChainClock(Tip(1, "block", START), START)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> list[Sighting]:  # type: ignore[override]
        self._say("rescan", legs)
        return self.found

    async def scan(self, cursor: object, legs: Sequence[WatchedLeg]) -> Scan:
        self._say("scan", legs)
        self.meanwhile()
        return Scan(Cursor(1, "block"))

    async def mempool(self, legs: Sequence[WatchedLeg]) -> list[Sighting]:
        self._say("mempool", legs)
        return []

    def _say(self, what: str, legs: Sequence[WatchedLeg]) -> None:
        if legs:
            self.told.append((what, {leg.swap_id for leg in legs}))


@dataclass
class Time:
    """Unix seconds, moved by hand."""

    now: int

    def __call__(self) -> int:
        return self.now


@dataclass
class Rooms:
    store: Store
    clock: Time
    chains: dict[str, Away] = field(default_factory=dict)

    @property
    def house(self) -> House:
        markets = {name: Market(_any(chain), profile(name), {}, 1.0) for name, chain in self.chains.items()}
        return House(markets, self.store, _any(None), Limits(10, 10, 10, 2, 86_400), 60, self.clock)

    def daemon(self) -> Daemon:
        return Daemon(self.house, PACE, worker="worker")


@asynccontextmanager
async def new_rooms(folder: Path) -> AsyncIterator[Rooms]:
    url = f"sqlite:///{folder}/swapd.db"
    await make_tables(url)
    store = await Store.open(url, AesSealer())
    try:
        yield Rooms(store, Time(START), {name: Away(name) for name in ("bitcoin", "ethereum")})
    finally:
        await store.close()


def _any(value: Any) -> Any:
    return value
