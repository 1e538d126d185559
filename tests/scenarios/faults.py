"""A swapd whose database fails, and comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from types import MethodType
from typing import Any

from sqlalchemy import event

from swapd.coordinator.daemon import Daemon
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side

NO_LIMIT = 1_073_741_823


def turns(side: Side) -> None:
    """From now on it looks as its daemon does by itself, troubles with its database included."""

    async def look(self: Side) -> bool:
        woken = [await watcher.look() for watcher in self.daemon.watchers.values()]
        await self.daemon.turn()
        return any(woken)

    side.look = MethodType(look, side)  # type: ignore[method-assign]


@asynccontextmanager
async def full(side: Side) -> AsyncIterator[None]:
    """The file may not grow by a single page: for SQLite that is `database or disk is full`."""
    limit = [0]

    def begin(connection: Any) -> None:
        pages = limit[0] or connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    engine = side.house.store._engine.sync_engine
    with closing(sqlite3.connect(side.database, timeout=10)) as other:
        free = other.execute("PRAGMA freelist_count").fetchone()[0]
        # pages that are free inside the file would keep it going for a while
        other.execute("INSERT INTO meta VALUES ('filler', ?)", ("x" * 4000 * free,))
        other.commit()
    event.listen(engine, "begin", begin)
    try:
        yield
    finally:
        limit[0] = NO_LIMIT


@asynccontextmanager
async def locked(side: Side) -> AsyncIterator[None]:
    """Somebody else holds the write lock and does not let go."""
    with closing(sqlite3.connect(side.database, timeout=10, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


Fault = Callable[[Side], Any]
FAULTS: dict[str, Fault] = {"full": full, "locked": locked}


async def remember_boat(rig: Rig, side: Side, daemon: Daemon | None = None) -> int:
    """The books ask databases who sent what, and this one will not know what was sent without it. How much that was."""
    spare = (daemon or side.daemon).lifeboat._spare
    if spare is None:
        return 0
    async with spare.read() as reading:
        rows = (await reading.open_swaps()).swaps
        found = [each for row in rows for each in await reading.effects(row.id)]
    txids = {attempt.tx.txid for each in found for attempt in each.attempts}
    new = txids - rig.books.payers.keys()
    rig.books.payers |= dict.fromkeys(new, side.name)
    return len(new)
