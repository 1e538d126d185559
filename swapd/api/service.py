"""What the routes work with: the house, the settings, the daemon of this process, and the API's own memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import Depends, Request

from swapd.api.lockout import Lockout
from swapd.api.rates import Rates
from swapd.coordinator.daemon import Daemon
from swapd.coordinator.feed import Feed
from swapd.coordinator.house import House
from swapd.errors import SwapdError
from swapd.settings import Settings
from swapd.store import Store

log = structlog.get_logger()

USES_SECONDS = 60
"""Between two writings of when keys were last used."""

PURGE_SECONDS = 3_600
DAY = 86_400


@dataclass
class Uses:
    """When which key was last used, by id: kept here, and written down now and then, because a write for each request
    would make every reader wait for the disk."""

    clock: Callable[[], int]
    _seen: dict[str, int] = field(default_factory=dict)

    def note(self, key_id: str) -> None:
        self._seen[key_id] = self.clock()

    async def write(self, store: Store) -> None:
        seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            async with store.write() as writing:
                await writing.note_use(seen)
        except SwapdError:
            self._seen = seen | self._seen
            raise


@dataclass
class Service:
    """daemon: the one of this process; None where only the API runs (tests). under_way: idempotency keys of requests
    that are being worked on."""

    house: House
    settings: Settings
    daemon: Daemon | None = None
    lockout: Lockout = field(init=False)
    rates: Rates = field(init=False)
    uses: Uses = field(init=False)
    under_way: set[tuple[str, str]] = field(init=False, default_factory=set)
    feed: Feed = field(init=False)

    def __post_init__(self) -> None:
        limits = self.settings.api.limits
        self.lockout = Lockout(limits.wrong_keys, limits.lockout_seconds)
        self.rates = Rates(limits)
        self.uses = Uses(self.house.clock)
        self.feed = Feed(self.house.store, self.settings.events.poll_seconds, self.settings.events.streams_max)

    async def keep(self) -> None:
        """What has to be done now and then, until cancelled."""
        purged = 0
        while True:
            await asyncio.sleep(USES_SECONDS)
            try:
                await self.uses.write(self.house.store)
                if self.house.clock() - purged >= PURGE_SECONDS:
                    await self.purge()
                    purged = self.house.clock()
            except SwapdError as error:
                log.warning("api.keeping", error=str(error))  # again in a minute
            except Exception:  # a mistake of ours here must not be the last time that it was done
                log.exception("api.keeping_mistake")

    async def purge(self) -> None:
        """Forget first answers that nobody asks for again."""
        async with self.house.store.write() as writing:
            await writing.forget_answers(self.settings.api.idempotency_days * DAY)


async def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]
"""A route's parameter: the service."""
