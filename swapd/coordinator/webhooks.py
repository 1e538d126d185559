"""The deliverer: events to those who registered a webhook.

It rests on the database alone: what is to be sent stands there before it is sent, and what came of it afterwards. If it
dies between the two, the same delivery is sent again under the same id, so each arrives at least once, and the events
of one swap in order.

Nothing here may hold an exit up: it works in short transactions, stands still while the database is in trouble, sends
no more to one receiver than a few at a time, and an error of its own ends in the log.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from swapd.coordinator.feed import Feed
from swapd.coordinator.receivers import Answer, Postman, sign
from swapd.errors import SwapdError
from swapd.settings.models import WebhookSettings
from swapd.store import LeaseLost, Store
from swapd.store.codec import canonical
from swapd.store.events import Event, event_json
from swapd.store.webhooks import Parcel

log = structlog.get_logger()

LEASE_SLACK = 30
"""Seconds that a delivery stays taken beyond the longest post: for the database to be told what came of it."""

PAUSE_SECONDS = 10
"""After a mistake of ours."""

GAP_SECONDS = 0.2
"""Between two turns, however much is going on: each asks the database some questions."""

MOST_REST = 10
"""Longest rest of a webhook at which nothing arrives, in seconds."""

PURGE_SECONDS = 600
"""Between two times that old deliveries are forgotten."""


@dataclass
class Rest:
    """A webhook at which nothing arrives is left alone for a while, however many deliveries wait for it."""

    failures: int = 0
    until: float = 0

    def failed(self, now: float, seconds: float) -> None:
        self.failures += 1
        self.until = now + min(MOST_REST, seconds * 2 ** min(self.failures - 1, 30))


@dataclass
class Deliverer:
    """worker: this process's name among those that share the database. clock: Unix seconds, for signatures."""

    store: Store
    feed: Feed
    settings: WebhookSettings
    postman: Postman
    worker: str
    clock: Callable[[], float] = time.time
    sending: Counter[str] = field(default_factory=Counter)
    rests: dict[str, Rest] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: bool = False
    _purged_at: float = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then what is being sent is finished, which is bounded by `timeout_seconds`."""
        try:
            while not stopping.is_set():
                pause, news = self.feed.poll_seconds, self.feed.news
                try:
                    await self.turn()
                except SwapdError as error:
                    log.warning("webhooks.trouble", error=str(error))
                except Exception:  # a mistake of ours here must not end the daemon, and with it its exits
                    log.exception("webhooks.mistake")
                    pause = PAUSE_SECONDS
                await asyncio.sleep(GAP_SECONDS)
                await self._rest(pause, news, stopping)
            await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.postman.close()

    async def turn(self) -> None:
        """Everything that can be begun at this moment. Sending goes on by itself afterwards."""
        if self.store.trouble:
            return
        if not self._begun:
            async with self.store.write(self.worker) as writing:
                await writing.release_deliveries(self.worker)
            self._begun = True
        self._done.clear()
        await self._collect()
        await self._send()
        await self._purge()

    # -- inside

    async def _collect(self) -> None:
        while not self.store.trouble:
            async with self.store.read() as reading:
                behind = await reading.webhooks_behind()
            if not behind:
                return
            for webhook_id in behind:
                async with self.store.write(self.worker) as writing:
                    await writing.collect(webhook_id)

    async def _send(self) -> None:
        async with self.store.read() as reading:
            due = await reading.webhooks_due()
        for webhook_id in due:
            rest = self.rests.get(webhook_id, Rest())
            free = (1 if rest.failures else self.settings.at_once) - self.sending[webhook_id]
            if free <= 0 or time.monotonic() < rest.until:
                continue
            lease = int(self.settings.timeout_seconds) + LEASE_SLACK
            try:
                async with self.store.write(self.worker) as writing:
                    parcels = await writing.take_deliveries(webhook_id, self.worker, lease, free)
            except SwapdError as error:  # of this webhook alone, if it is damaged; of all, if it is the database
                log.error("webhook.trouble", webhook=webhook_id, error=str(error))
                continue
            for parcel in parcels:
                self.sending[webhook_id] += 1
                task = asyncio.create_task(self._deliver(parcel))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            answer = await self._post(parcel)
            await self._record(parcel, answer)
        except LeaseLost as error:
            log.info("webhook.taken_over", delivery=parcel.id, error=str(error))
        except SwapdError as error:  # it stays taken for a while, and is sent again under the same id
            log.warning("webhook.not_recorded", delivery=parcel.id, error=str(error))
        except Exception:
            log.exception("webhook.mistake", delivery=parcel.id)
        finally:
            self.sending[parcel.webhook_id] -= 1
            self._done.set()

    async def _post(self, parcel: Parcel) -> Answer:
        body = body_of(parcel.event)
        headers = {"Content-Type": "application/json", "User-Agent": "swapd"}
        signed = sign(parcel.secrets, parcel.id, int(self.clock()), body)
        return await self.postman.post(parcel.url, body, {**headers, **signed}, house=not parcel.owner)

    async def _record(self, parcel: Parcel, answer: Answer) -> None:
        if not answer.error and answer.status is not None:
            self.rests.pop(parcel.webhook_id, None)
            async with self.store.write(self.worker) as writing:
                await writing.delivered(parcel, answer.status)
            log.debug("webhook.delivered", webhook=parcel.webhook_id, delivery=parcel.id)
            return
        rest = self.rests.setdefault(parcel.webhook_id, Rest())
        rest.failed(time.monotonic(), self.settings.retry_seconds)
        retry = self._retry_in(parcel.tries + 1)
        async with self.store.write(self.worker) as writing:
            await writing.not_delivered(parcel, answer.status, answer.error, retry)
        what = "webhook.not_delivered" if retry is not None else "webhook.dead"
        log.warning(what, webhook=parcel.webhook_id, delivery=parcel.id, tries=parcel.tries + 1, again_in=retry)

    def _retry_in(self, tries: int) -> int | None:
        """Seconds after so many tries in vain; None after the last one."""
        if tries >= self.settings.tries:
            return None
        most = self.settings.retry_max_seconds
        doublings = min(tries - 1, 30)
        pause = min(most, self.settings.retry_seconds * 2**doublings)
        return round(random.SystemRandom().uniform(pause / 2, pause))

    async def _purge(self) -> None:
        if time.monotonic() < self._purged_at + PURGE_SECONDS:
            return
        async with self.store.write(self.worker) as writing:
            purged = await writing.purge_deliveries(self.settings.keep_seconds)
        if not purged:  # else there may be more: at the next turn
            self._purged_at = time.monotonic()

    async def _rest(self, seconds: float, *for_events: asyncio.Event) -> None:
        """Until one of these happens, or a post has ended, or for so long."""
        waits = [asyncio.create_task(each.wait()) for each in (*for_events, self._done)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


@asynccontextmanager
async def telling(deliverer: Deliverer, stopping: asyncio.Event) -> AsyncIterator[None]:
    """The feed and the deliverer at work, until `stopping` is set or the block ends. Streams end at once then; what is
    being sent may end in its own time, which is bounded."""
    feed = deliverer.feed
    looking = asyncio.create_task(feed.run())
    sending = asyncio.create_task(deliverer.run(stopping))
    closing = asyncio.create_task(_close(feed, stopping))
    try:
        yield
    finally:
        stopping.set()
        feed.close()
        await asyncio.wait({sending}, timeout=deliverer.settings.timeout_seconds + 1)
        for task in (looking, closing, sending):
            task.cancel()
        await asyncio.gather(looking, closing, sending, return_exceptions=True)


async def _close(feed: Feed, stopping: asyncio.Event) -> None:
    await stopping.wait()
    feed.close()


def body_of(event: Event) -> bytes:
    """The same bytes at each try."""
    return canonical(event_json(event)).encode()
