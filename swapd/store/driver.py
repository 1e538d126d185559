"""SQLite with one hop to its thread for a statement: aiosqlite, but for its cursor.

SQLAlchemy makes a cursor, executes, fetches and closes, and with aiosqlite each of these waits its turn in the
connection's thread and then in the event loop. Statements here take tens of microseconds and a hop takes as many, so
the four of them were most of what the database cost (`docs/measurements.md`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Self, TypeVar, cast

import aiosqlite
import sqlalchemy
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

ROWS_AHEAD = 1_000
"""Fetched with the statement. What has more is fetched in further hops, as it is asked for."""

Row = tuple[Any, ...]
_T = TypeVar("_T")


def sqlite_engine(url: URL, timeout: float, **options: Any) -> AsyncEngine:
    """timeout: seconds for which a statement waits while others hold the file's lock. options: of
    `create_async_engine`."""

    async def connect() -> Connection:
        connection = Connection(lambda: sqlite3.connect(url.database or "", timeout=timeout), ROWS_AHEAD)
        connection._thread.daemon = True  # a process that ends does not wait for it
        await connection
        return connection

    return create_async_engine(url, async_creator=connect, **options)


def begin_with_next(connection: sqlalchemy.Connection) -> None:
    """For a reading transaction: it sees the moment of its first statement, so BEGIN goes with that."""
    cast(Connection, connection.connection.driver_connection).begins = "BEGIN"


class Connection(aiosqlite.Connection):
    """begins: said with the next statement, and never if there is none."""

    begins = ""

    def cursor(self) -> Cursor:  # type: ignore[override]  # no awaitable: nothing has to be waited for
        return Cursor(self)

    async def hop(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Run it in the connection's thread."""
        found: _T = await self._execute(function, *arguments)  # type: ignore[no-untyped-call]
        return found

    async def commit(self) -> None:
        await self._end(super().commit)

    async def rollback(self) -> None:
        await self._end(super().rollback)

    async def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        if self.begins:
            self.begins = ""
        else:
            await end()


class Answer(NamedTuple):
    """What a statement gave. whole: there are no more rows."""

    rows: list[Row]
    whole: bool
    description: Sequence[Row] | None
    rowcount: int
    lastrowid: int | None


_NOTHING = Answer([], True, None, -1, None)


class Cursor:
    """What SQLAlchemy needs of a cursor (`sqlalchemy.connectors.asyncio.AsyncIODBAPICursor`)."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self._answer = _NOTHING

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Sequence[Row] | None:
        return self._answer.description

    @property
    def rowcount(self) -> int:
        return self._answer.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._answer.lastrowid

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._answer = _NOTHING._replace(whole=False)  # for `close`, if nobody waits for the end of it
        self._answer = await self._connection.hop(self._execute, sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        self._answer = _NOTHING._replace(whole=False)
        self._answer = await self._connection.hop(self._execute, sqlite3.Cursor.executemany, statement, parameters)

    async def fetchone(self) -> Row | None:
        found = await self.fetchmany(1)
        return found[0] if found else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        wanted, rows = size or self.arraysize, self._answer.rows
        if len(rows) < wanted and not self._answer.whole:
            more = await self._connection.hop(self._fetch, max(wanted - len(rows), ROWS_AHEAD))
            rows = [*rows, *more.rows]
            self._answer = self._answer._replace(whole=more.whole)
        self._answer = self._answer._replace(rows=rows[wanted:])
        return rows[:wanted]

    async def fetchall(self) -> list[Row]:
        rows = self._answer.rows
        if not self._answer.whole:
            rows = [*rows, *(await self._connection.hop(self._fetch, None)).rows]
        self._answer = self._answer._replace(rows=[], whole=True)
        return rows

    async def close(self) -> None:
        if not self._answer.whole:
            await self._connection.hop(self._close)
        self._answer = _NOTHING

    # -- in the connection's thread --------------------------------------------------------------------------------

    def _execute(self, how: Callable[..., object], statement: str, parameters: Any) -> Answer:
        self._cursor = self._connection._conn.cursor()
        try:
            if self._connection.begins:
                self._cursor.execute(self._connection.begins)
                self._connection.begins = ""
            how(self._cursor, statement, parameters)
            return self._fetch(ROWS_AHEAD)
        except BaseException:
            self._close()
            raise

    def _fetch(self, most: int | None) -> Answer:
        """Closes the cursor behind the last row: one that is open keeps others from the file's end."""
        cursor = self._cursor
        if cursor is None:
            return _NOTHING
        rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
        whole = most is None or len(rows) < most
        answer = Answer(rows, whole, cursor.description, cursor.rowcount, cursor.lastrowid)
        if whole:
            self._close()
        return answer

    def _close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
