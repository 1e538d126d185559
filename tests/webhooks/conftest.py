"""A store, a receiver, and a deliverer between them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from swapd.coordinator.feed import Feed
from swapd.coordinator.receivers import Doors, Postman
from swapd.coordinator.webhooks import Deliverer
from swapd.settings.models import WebhookSettings
from swapd.store import Store
from tests.store.store_samples import AesSealer
from tests.tables import make_tables
from tests.webhooks.receiver import Receiver

SETTINGS = WebhookSettings(
    most=10,
    most_per_owner=5,
    timeout_seconds=2,
    at_once=4,
    retry_seconds=0.02,
    retry_max_seconds=0.1,
    tries=50,
    rotation_seconds=3600,
    keep_seconds=3600,
)

Delivering = Callable[..., AbstractAsyncContextManager[Deliverer]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/swapd.db"
    server = request.getfixturevalue("postgres")
    created: str = asyncio.run(server.create_database(f"hooks_{secrets.token_hex(8)}"))
    return created


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    await make_tables(url)
    store = await Store.open(url, AesSealer())
    yield store
    await store.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def delivering() -> Delivering:
    """A deliverer at work, until the block ends: in good order, or cut off as by a kill."""

    @asynccontextmanager
    async def start(
        store: Store, worker: str = "worker", *, doors: Doors | None = None, **changes: object
    ) -> AsyncIterator[Deliverer]:
        feed = Feed(store, poll_seconds=0.1)
        settings = SETTINGS.model_copy(update=changes)
        postman = Postman(doors or Doors(), settings.timeout_seconds)
        deliverer = Deliverer(store, feed, settings, postman, worker)
        stopping = asyncio.Event()
        looking, working = asyncio.create_task(feed.run()), asyncio.create_task(deliverer.run(stopping))
        try:
            yield deliverer
        finally:
            stopping.set()
            looking.cancel()
            await asyncio.wait({working}, timeout=1)
            working.cancel()
            await asyncio.gather(looking, working, return_exceptions=True)

    return start
