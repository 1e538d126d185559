"""The database fails: what the store says of it, and that nothing is half written."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from proxy import At, Wire
from sqlalchemy import event, text
from store_samples import AesSealer, add_swap, due, get, insert_swap

from swapd.devnet.postgres import PostgresServer
from swapd.errors import Rejected, SwapdError, Unavailable, Unknown
from swapd.store import Store
from swapd.store import store as stores
from swapd.store.health import PROOFS

PROGRAM = Path(__file__).with_name("store_process.py")


def fill_disk(store: Store) -> None:
    """The file may not grow any more: SQLite says `database or disk is full`, as it does when the disk says it."""
    empty_disk(store)

    def full(connection: object) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()  # type: ignore[attr-defined]
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    store._engine.sync_engine._full = full  # type: ignore[attr-defined]
    event.listen(store._engine.sync_engine, "begin", full)


def empty_disk(store: Store) -> None:
    engine = store._engine.sync_engine
    if hasattr(engine, "_full"):
        event.remove(engine, "begin", engine._full)
        del engine._full

        def roomy(connection: object) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")  # type: ignore[attr-defined]

        event.listen(engine, "begin", roomy)


async def write_much(store: Store) -> None:
    for number in range(200):
        async with store.write() as tx:
            tx.audit("words", None, number=number, words="x" * 2000)


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/swapd.db"
    await Store.upgrade(url)
    store = await Store.open(url, AesSealer())
    yield store
    await store.close()


async def healthy_again(store: Store) -> None:
    for _ in range(PROOFS):
        assert store.trouble
        await store.probe()
    assert store.trouble == ""


async def test_a_full_disk_is_unavailable_with_what_is_needed_and_leaves_the_rest_whole(file_store: Store) -> None:
    swap_id = await add_swap(file_store)
    fill_disk(file_store)
    with pytest.raises(Unavailable, match="full"):
        await write_much(file_store)
    assert "needed: free disk space for" in file_store.trouble
    assert "swapd.db" in file_store.trouble
    async with file_store.read() as tx:
        assert (await tx.swap(swap_id)).id == swap_id, "reading goes on"
        await tx.verify_audit()
    with pytest.raises(Unavailable):
        await file_store.probe()

    empty_disk(file_store)
    await healthy_again(file_store)
    await add_swap(file_store)
    async with file_store.read() as tx:
        await tx.verify_audit()


async def test_trouble_is_over_only_after_several_proofs_in_a_row(file_store: Store) -> None:
    fill_disk(file_store)
    with pytest.raises(Unavailable):
        await write_much(file_store)
    empty_disk(file_store)
    await file_store.probe()
    fill_disk(file_store)
    with pytest.raises(Unavailable):
        await write_much(file_store)
    empty_disk(file_store)
    await healthy_again(file_store)


async def test_a_disk_that_refuses_every_byte_is_noticed(file_store: Store, tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow by the system's order."""
    await add_swap(file_store)
    await file_store.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, PROGRAM, "full", f"sqlite:///{tmp_path}/swapd.db", "1"), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    said = output.decode()
    assert "needed: look at the disk" in said or "needed: free disk space" in said
    assert "swaps: 1" in said, "reading goes on"
    again = await Store.open(f"sqlite:///{tmp_path}/swapd.db", AesSealer())
    await add_swap(again)
    async with again.read() as tx:
        assert (await tx.verify_audit()).seq == 2, "what was refused left no trace"
    await again.close()


async def test_another_process_that_holds_the_lock_is_named_and_its_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/swapd.db"
    await Store.upgrade(url)
    monkeypatch.setattr("swapd.store.engine.WAIT_SECONDS", 1)
    store = await Store.open(url, AesSealer())
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, PROGRAM, "hold", url, "1"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await asyncio.wait_for(holder.stdout.readline(), 60)
    try:
        with pytest.raises(Unavailable, match="locked"):
            await add_swap(store)
        assert "another process does not let go of" in store.trouble
        async with store.read() as tx:
            assert await due(tx, 0) == [], "reading goes on"
    finally:
        holder.kill()
        await holder.wait()
    await healthy_again(store)
    await add_swap(store)
    await store.close()


async def test_a_file_that_is_no_database_any_more_is_trouble_with_the_way_out(file_store: Store) -> None:
    await add_swap(file_store)
    file = file_store._health.file
    assert file is not None
    async with file_store.write() as tx:
        await tx._connection.execute(text("SELECT 1"))
    await file_store._engine.dispose()
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    content = bytearray(file.read_bytes())
    content[:4096] = b"\x00" * 4096
    file.write_bytes(content)
    with pytest.raises((Rejected, Unavailable)):
        async with file_store.read() as tx:
            await tx.open_swaps()
    assert "swapd restore" in file_store.trouble


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Store, Wire]]:
    await Store.upgrade(url)
    async with Wire(url) as wire:
        store = await Store.open(wire.url, AesSealer())
        yield store, wire
        await store.close()


@pytest.mark.parametrize(("breaks", "committed"), [(At.ANSWER, True), (At.REQUEST, False)], ids=["after", "before"])
async def test_s10_a_connection_lost_between_commit_and_answer_is_unknown_and_found_out_by_reading(
    postgres_url: str, breaks: At, committed: bool
) -> None:
    async with wired(postgres_url) as (store, wire):

        async def add() -> None:
            async with store.write() as tx:
                await insert_swap(tx)
                wire.breaks = breaks

        with pytest.raises(Unknown, match="during a commit"):
            await add()
        assert wire.broke == 1
        assert store.trouble
        async with store.read() as tx:
            assert len((await tx.swaps()).swaps) == committed
            assert (await tx.verify_audit()).seq == committed
        await healthy_again(store)


async def test_s10_a_commit_that_is_never_answered_is_unknown_after_a_while_and_blocks_nobody(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "COMMIT_SECONDS", 1)
    async with wired(postgres_url) as (store, wire):

        async def add() -> None:
            async with store.write() as tx:
                await insert_swap(tx)
                wire.breaks = At.SILENCE

        with pytest.raises(Unknown, match="did not answer to a commit"):
            await asyncio.wait_for(add(), 30)
        await add_swap(store)
        async with store.read() as tx:
            assert len((await tx.swaps()).swaps) == 2, "the server had heard of it"


async def test_s8_a_server_that_answers_nothing_delays_a_copy_in_memory_by_seconds_and_the_old_one_stays(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "COPY_SECONDS", 1)
    async with wired(postgres_url) as (store, wire):
        swap_id = await add_swap(store)
        spare = await store.copy_open()
        wire.frozen = True
        with pytest.raises(Unavailable, match="does not answer: no answer within 1 s"):
            await asyncio.wait_for(store.copy_open(spare), 30)
        assert (await get(spare, swap_id)).id == swap_id
        wire.frozen = False
        assert await asyncio.wait_for(store.copy_open(spare), 30) is spare
        await spare.close()


async def test_postgres_restarted_under_load_loses_nothing_that_was_said_to_be_written() -> None:
    async with PostgresServer() as server:
        url = await server.create_database("load")
        await Store.upgrade(url)
        store = await Store.open(url, AesSealer())
        written, failed = [], []
        enough, away = asyncio.Event(), asyncio.Event()

        async def write(count: int) -> None:
            for _ in range(count):
                try:
                    written.append(await add_swap(store))
                    if len(written) >= 20:
                        enough.set()
                except SwapdError as error:
                    failed.append(error)
                    away.set()
                    await asyncio.sleep(0.05)  # as the daemon's tick does

        work = asyncio.gather(*(write(25) for _ in range(4)))
        await asyncio.wait_for(enough.wait(), 60)
        await server.process.stop()
        await asyncio.wait_for(away.wait(), 60)
        await server.start()
        await asyncio.wait_for(work, 60)

        assert failed
        assert {type(error) for error in failed} <= {Unavailable, Unknown}
        for swap_id in written:
            assert (await get(store, swap_id)).id == swap_id
        async with store.read() as tx:
            kept = (await tx.swaps(limit=1000)).swaps
            await tx.verify_audit()
        doubtful = sum(isinstance(error, Unknown) for error in failed)
        assert len(written) <= len(kept) <= len(written) + doubtful
        await store.close()
