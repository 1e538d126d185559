"""A deliverer in a process of its own, to be killed: `python -m tests.webhooks.sender URL`."""

from __future__ import annotations

import asyncio
import signal
import sys

from swapd.coordinator.feed import Feed
from swapd.coordinator.receivers import Doors, Postman
from swapd.coordinator.webhooks import Deliverer
from swapd.store import Store
from tests.store.store_samples import AesSealer
from tests.webhooks.conftest import SETTINGS


async def main(url: str) -> None:
    store = await Store.open(url, AesSealer())
    feed = Feed(store, poll_seconds=0.1)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    looking = asyncio.create_task(feed.run())
    await Deliverer(store, feed, SETTINGS, Postman(Doors(), 2), "the same name").run(stopping)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
