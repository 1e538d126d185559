"""How much one key, and all together, may ask for; and how much of it at the same moment.

Each key waits in a line of its own: a flood fills its own line and no other. Exits are never limited (rule S8): see
`access.exit_route`. The counters are of this process, so a fleet of n workers allows n times as much.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from swapd.api.problems import Problem
from swapd.settings.models import ApiLimits

WINDOW = 60
"""Seconds that limits are about."""

WAIT_SECONDS = 10
"""Longest wait in one's own line."""


LOOKUPS = 4
"""Keys that are looked up at the same moment, by whomever: who knocks with a wrong one uses the database as well."""


@dataclass
class _Line:
    inside: asyncio.Semaphore
    there: int = 0


class Rates:
    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._all = RateLimitItemPerMinute(limits.requests_per_minute_all)
        self._lines: dict[str, _Line] = {}
        self._all_inside = asyncio.Semaphore(limits.concurrent_all)
        self.asking = asyncio.Semaphore(LOOKUPS)
        self._streams: defaultdict[str, int] = defaultdict(int)

    async def take(self, key_id: str, rate: int | None) -> dict[str, str]:
        """Count a request. Returns headers that say what is left (draft-ietf-httpapi-ratelimit-headers)."""
        most = rate or self._limits.requests_per_minute
        item = RateLimitItemPerMinute(most)
        allowed = await self._limiter.hit(item, "key", key_id)
        stats = await self._limiter.get_window_stats(item, "key", key_id)
        wait = max(1, math.ceil(stats.reset_time - time.time()))
        headers = {
            "RateLimit-Policy": f'"key";q={most};w={WINDOW}',
            "RateLimit": f'"key";r={stats.remaining};t={wait}',
        }
        if not allowed:
            words = f"this key may send {most} requests a minute"
            raise Problem("too-many-requests", words, headers=headers | {"Retry-After": str(wait)})
        if not await self._limiter.hit(self._all, "all"):
            stats = await self._limiter.get_window_stats(self._all, "all")
            wait = max(1, math.ceil(stats.reset_time - time.time()))
            raise Problem("too-many-requests", "all keys together ask for too much", headers={"Retry-After": str(wait)})
        return headers

    @asynccontextmanager
    async def turn(self, key_id: str) -> AsyncIterator[None]:
        """One of the key's requests that are worked on at a time; the next ones wait for a while."""
        limits = self._limits
        line = self._lines.setdefault(key_id, _Line(asyncio.Semaphore(limits.concurrent_per_key)))
        if line.there >= limits.concurrent_per_key + limits.waiting_per_key:
            raise _busy()
        line.there += 1
        try:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await line.inside.acquire()
            except TimeoutError:
                raise _busy() from None
            try:
                async with self._place():
                    yield
            finally:
                line.inside.release()
        finally:
            line.there -= 1
            if not line.there:
                del self._lines[key_id]

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Among all keys' requests: what works on them, the database's connections above all, is the daemon's first."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._all_inside.acquire()
        except TimeoutError:
            raise _busy("swapd has too many requests under way") from None
        try:
            yield
        finally:
            self._all_inside.release()

    @asynccontextmanager
    async def stream(self, key_id: str) -> AsyncIterator[None]:
        """One of the key's answers that do not end."""
        if self._streams[key_id] >= self._limits.streams_per_key:
            words = f"this key may have {self._limits.streams_per_key} streams open"
            raise Problem("too-many-requests", words, headers={"Retry-After": str(WAIT_SECONDS)})
        self._streams[key_id] += 1
        try:
            yield
        finally:
            self._streams[key_id] -= 1
            if not self._streams[key_id]:
                del self._streams[key_id]


def _busy(words: str = "this key has too many requests under way") -> Problem:
    return Problem("too-many-requests", words, headers={"Retry-After": "1"})
