"""A process of its own that uses a store: `python store_process.py ACT URL COUNT`."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys

from store_samples import START, AesSealer, due, insert_swap

from swapd.chains.base import Cursor, Scan
from swapd.errors import SwapdError
from swapd.store import Store


async def die(url: str, after: int) -> None:
    """Be killed in the middle of a writing transaction, after so many of its statements."""
    store = await Store.open(url, AesSealer())
    async with store.write() as tx:
        steps = 0
        while True:
            if steps == after:
                os.kill(os.getpid(), signal.SIGKILL)
            if steps == 0:
                await tx.next_index()
            elif steps == 1:
                await insert_swap(tx)
            elif steps == 2:
                await tx.record_scan("bitcoin", Scan(Cursor(1, "hash")))
            else:
                tx.audit("the end")
                await tx.close_books()
            steps += 1


async def add(url: str, count: int) -> None:
    """Add so many swaps, one transaction each, as a daemon or a command line would."""
    store = await Store.open(url, AesSealer())
    for number in range(count):
        async with store.write(f"process {os.getpid()}") as tx:
            await due(tx, START)  # reading first is what a deferred transaction in SQLite fails on
            await insert_swap(tx, START + number)
    await store.close()


async def full(url: str, count: int) -> None:
    """Try to add swaps while the system lets no file of this process grow; say what came of it."""
    store = await Store.open(url, AesSealer())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    for _ in range(count):
        try:
            async with store.write() as tx:
                await insert_swap(tx)
        except SwapdError:
            print(store.trouble)
    async with store.read() as tx:
        print("swaps:", len((await tx.swaps()).swaps), flush=True)
    os._exit(0)  # closing would write


async def hold(url: str, _: int) -> None:
    """Take the write lock and keep it until killed."""
    store = await Store.open(url, AesSealer())
    async with store.write() as tx:
        await tx.next_index()
        print("held", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"die": die, "add": add, "full": full, "hold": hold}[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
