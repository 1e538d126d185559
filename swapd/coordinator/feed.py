"""News of the audit chain, for all in this process who wait for some.

Whatever this process commits is known at once; what other workers wrote is found by asking for the chain's end at a
bounded rate, once for everybody. Nothing is lost by missing a piece of news: who is woken reads from where it stood.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from swapd.errors import Rejected, SwapdError, Unavailable
from swapd.store import Reading, Store
from swapd.store.events import Event, Sight

log = structlog.get_logger()

GAP_SECONDS = 0.2
"""Between two looks at the chain's end, however much is going on."""

READERS = 2
"""Streams that read at the same moment: the database's connections are there for exits first."""

PAGE = 100
"""Events that a stream reads at a time."""


MayStill = Callable[[Reading], Awaitable[bool]]


class Crowded(Rejected):
    """There are as many streams already as are allowed."""


@dataclass
class Feed:
    """poll_seconds: between two looks when this process has nothing to say. most: streams at the same time."""

    store: Store
    poll_seconds: float
    most: int = 100
    head: int = 0
    closed: bool = False
    streams: int = 0
    _bell: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))

    async def run(self) -> None:
        """Until it is cancelled. Trouble with the database is waited out; the daemon says it louder."""
        self.store.listeners.add(self._bell.set)
        try:
            while True:
                self._bell.clear()
                await self._look()
                await asyncio.sleep(GAP_SECONDS)
                await _wait(self._bell, self.poll_seconds)
        finally:
            self.store.listeners.discard(self._bell.set)
            self.close()

    def close(self) -> None:
        """All streams end in good order."""
        self.closed = True
        self._tell()

    @property
    def news(self) -> asyncio.Event:
        """Is set when there is some. Take it first, then look, then wait for it: so that none is missed."""
        return self._news

    @contextmanager
    def place(self) -> Iterator[None]:
        """One stream's place. Raises `Crowded`."""
        if self.closed:
            raise Unavailable("swapd is stopping")
        if self.streams >= self.most:
            raise Crowded(f"there are {self.streams} event streams, and no more are allowed")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    async def follow(self, sight: Sight, after: int, may_still: MayStill | None = None) -> AsyncIterator[Event]:
        """Every event behind entry `after`, as it comes, until `close`. While the database is away nothing comes; a
        caller who can not be served any more gets the error. may_still: asked before each page whether the reader may
        still hear any of it; if not, the stream ends."""
        while not self.closed:
            news = self._news
            try:
                async with self._turns, self.store.read() as reading:
                    if may_still is not None and not await may_still(reading):
                        return
                    found = await reading.events(sight, after, PAGE)
            except Unavailable:
                await _wait(news, self.poll_seconds)
                continue
            for event in found.events:
                yield event
            after = found.next
            if not found.more and not self.closed:
                await _wait(news, None)

    # -- inside

    async def _look(self) -> None:
        if self.store.trouble:
            return
        try:
            async with self.store.read() as reading:
                head = (await reading.audit_head()).seq
        except SwapdError as error:
            log.warning("feed.trouble", error=str(error))
            return
        except Exception:  # a mistake of ours here must not stop the streams for ever
            log.exception("feed.mistake")
            return
        if head != self.head:
            self.head = head
            self._tell()

    def _tell(self) -> None:
        """Wake all who wait, and have who comes next wait for the next news."""
        self._news.set()
        self._news = asyncio.Event()


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
