"""All or nothing: whatever ends a transaction, and whoever else is writing."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from store_samples import START, AesSealer, RawSql, add_swap, due, insert_swap

from swapd.errors import Unavailable, Unknown
from swapd.store import Store

PROGRAM = Path(__file__).with_name("store_process.py")
SECONDS = 60


async def run(act: str, url: str, count: int) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, PROGRAM, act, url, str(count))
    try:
        return await asyncio.wait_for(process.wait(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()


async def count_swaps(store: Store) -> int:
    async with store.read() as tx:
        return len((await tx.swaps(limit=1000)).swaps)


async def test_an_exception_in_the_middle_takes_everything_back(store: Store) -> None:
    async def fail() -> None:
        async with store.write() as tx:
            await insert_swap(tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await count_swaps(store) == 0
    async with store.write() as tx:
        assert await tx.next_index() == 0


async def test_a_cancelled_task_takes_everything_back_and_blocks_nobody(store: Store) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with store.write() as tx:
            await insert_swap(tx)
            inside.set()
            while True:
                await tx.next_index()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await add_swap(store)
    assert await count_swaps(store) == 1


@pytest.mark.parametrize("after", range(5))
async def test_s4_kill_9_in_a_transaction_leaves_no_trace_of_it(url: str, store: Store, after: int) -> None:
    await add_swap(store)
    assert await run("die", url, after) == -signal.SIGKILL
    await add_swap(store)  # nothing is blocked by the dead
    reopened = await Store.open(url, AesSealer())
    async with reopened.read() as tx:
        assert {swap.terms.index for swap in (await tx.swaps()).swaps} == {0, 1}
        assert await tx.cursor("bitcoin") is None
        assert (await tx.verify_audit()).seq == 2
    await reopened.close()


async def test_two_processes_write_at_once_and_both_succeed(url: str, store: Store) -> None:
    assert set(await asyncio.gather(run("add", url, 15), run("add", url, 15))) == {0}
    async with store.read() as tx:
        found = await tx.swaps(limit=100)
        assert sorted(swap.terms.index for swap in found.swaps) == list(range(30))
        assert (await tx.verify_audit()).seq == 30
        assert len({entry.actor for entry in await tx.audit_trail()}) == 2


async def test_reading_goes_on_while_somebody_writes_and_sees_one_moment(store: Store) -> None:
    await add_swap(store)
    async with store.read() as reading:
        assert await due(reading, START) != []
        async with store.write() as tx:
            await insert_swap(tx)
        assert len(await due(reading, START)) == 1
    assert await count_swaps(store) == 2


async def test_a_writer_that_does_not_end_makes_others_unavailable_not_stuck(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapd.store.engine.WAIT_SECONDS", 1)
    one, other = await Store.open(url, AesSealer()), await Store.open(url, AesSealer())
    async with one.write() as tx:
        await tx.next_index()
        for busy in (one, other):
            with pytest.raises(Unavailable):
                async with busy.write() as waiting:
                    await waiting.next_index()
    await add_swap(other)
    await one.close()
    await other.close()


async def test_s10_a_connection_that_breaks_during_a_commit_leaves_the_outcome_unknown(postgres_url: str) -> None:
    await Store.upgrade(postgres_url)
    store = await Store.open(postgres_url, AesSealer())
    thief = RawSql(postgres_url)

    async def write() -> None:
        async with store.write() as tx:
            await tx.next_index()
            await thief.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            )

    with pytest.raises(Unknown, match="broke during a commit"):
        await write()
    await add_swap(store)  # with a new connection
    await store.close()
