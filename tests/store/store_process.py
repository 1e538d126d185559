"""A process of its own that uses a store: `python store_process.py ACT URL COUNT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from store_samples import START, AesSealer, insert_swap

from swapd.chains.base import Cursor, Scan
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
            await tx.due(START)  # reading first is what a deferred transaction in SQLite fails on
            await insert_swap(tx, START + number)
    await store.close()


if __name__ == "__main__":
    asyncio.run({"die": die, "add": add}[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
