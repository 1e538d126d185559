"""News of the chain: at once within a process, soon from others, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swapd.coordinator.feed import Crowded, Feed
from swapd.errors import Unavailable
from swapd.store import Store
from swapd.store.events import Event, Sight
from tests.store.store_samples import AesSealer
from tests.webhooks.news import happen


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[Feed]:
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def first(feed: Feed, number: int, after: int = 0, sight: Sight | None = None) -> list[Event]:
    """So many events, or fewer if the stream ends."""
    found = []
    stream = feed.follow(sight or Sight(), after)
    async for event in stream:
        found.append(event)
        if len(found) == number:
            break
    return found


async def test_a_reader_gets_everything_from_where_it_stood_and_what_comes(store: Store) -> None:
    await happen(store, 2, ("swap",))
    async with running(Feed(store, 3600)) as feed:
        reader = asyncio.create_task(first(feed, 5, after=1))
        await happen(store, 4, ("swap",))
        async with asyncio.timeout(5):  # far below poll_seconds: within the process nobody has to look
            assert [event.id for event in await reader] == [2, 3, 4, 5, 6]


async def test_what_another_worker_wrote_is_found_soon(url: str, store: Store) -> None:
    other = await Store.open(url, AesSealer())
    try:
        async with running(Feed(store, 0.1)) as feed:
            reader = asyncio.create_task(first(feed, 2))
            await asyncio.sleep(0.2)
            await happen(other, 2, ("swap",))
            async with asyncio.timeout(5):
                assert [event.id for event in await reader] == [1, 2]
    finally:
        await other.close()


async def test_the_end_of_the_chain_is_asked_for_at_a_bounded_rate_whatever_happens(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, looks = Feed(store, 3600), 0
    look = feed._look

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    monkeypatch.setattr(feed, "_look", counted)
    monkeypatch.setattr("swapd.coordinator.feed.GAP_SECONDS", 0.5)
    async with running(feed):
        began = asyncio.get_running_loop().time()
        await happen(store, 20, ("swap",))
        spent = asyncio.get_running_loop().time() - began
        assert looks <= 2 + spent / 0.5


async def test_many_readers_get_the_same_and_few_read_at_a_time(store: Store) -> None:
    async with running(Feed(store, 0.1)) as feed:
        readers = [asyncio.create_task(first(feed, 30)) for _ in range(20)]
        await happen(store, 10)
        async with asyncio.timeout(20):
            for reader in readers:
                assert [event.id for event in await reader] == list(range(1, 31))


async def test_streams_end_when_it_closes_and_none_begins(store: Store) -> None:
    async with running(Feed(store, 3600)) as feed:
        reader = asyncio.create_task(first(feed, 1))
        await asyncio.sleep(0.05)
        feed.close()
        async with asyncio.timeout(5):
            assert await reader == []
        with pytest.raises(Unavailable, match="swapd is stopping"), feed.place():
            pass
    assert not store.listeners


async def test_there_are_only_so_many_places(store: Store) -> None:
    feed = Feed(store, 1, most=2)
    with feed.place():
        with feed.place(), pytest.raises(Crowded, match="2 event streams"), feed.place():
            pass
        with feed.place():
            pass
    assert feed.streams == 0


async def test_trouble_with_the_database_is_waited_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read, fails = store.read, True

    @asynccontextmanager
    async def breaks() -> AsyncIterator[object]:
        if fails:
            raise Unavailable("the database does not answer")
        async with read() as reading:
            yield reading

    monkeypatch.setattr(store, "read", breaks)
    async with running(Feed(store, 0.05)) as feed:
        reader = asyncio.create_task(first(feed, 2))
        await happen(store, 2, ("swap",))
        await asyncio.sleep(0.2)
        assert not reader.done()
        fails = False
        async with asyncio.timeout(5):
            assert len(await reader) == 2
