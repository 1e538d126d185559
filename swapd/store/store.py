"""The door to the database: opens it, checks it, and hands out transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from swapd.crashpoint import crashpoint
from swapd.errors import Rejected, Unavailable, Unknown
from swapd.store import engine as engines
from swapd.store import schema
from swapd.store.sealing import Sealer
from swapd.store.transaction import Reading, Transaction

_AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)


class Store:
    """A database of swapd's.

        store = await Store.open("sqlite:///swapd.db", sealer)
        async with store.write("operator") as tx:
            await tx.cancel(swap_id, "asked for by the customer")
        await store.close()

    Errors, beside those of the methods: `Unavailable` when the database does not answer or is busy for too long
    (nothing was written), `Unknown` when the connection broke during a commit, `Rejected` when the database refuses.
    """

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self._reader = engines.reading(engine)
        self._writer = engines.writing(engine)
        self._sealer = sealer
        # SQLite has one writer at a time: within this process they queue here, in order, instead of polling the file
        self._turn = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @classmethod
    async def open(cls, url: str, sealer: Sealer) -> Self:
        """Open a database whose schema is exactly what this code needs; any other is Rejected, with what to do."""
        parsed = engines.parse_url(url)
        file = engines.file_of(parsed)
        if file is not None:
            engines.check_file(file)
        engine = engines.make_engine(parsed)
        try:
            with _plain_errors():
                async with engines.reading(engine).connect() as connection:
                    await connection.run_sync(schema.check)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, sealer)

    @staticmethod
    async def upgrade(url: str) -> None:
        """Make a database, or bring it to the newest schema: all steps or none. There is no downgrade."""
        parsed = engines.parse_url(url)
        file = engines.file_of(parsed)
        if file is not None:
            engines.create_file(file)
        engine = engines.make_engine(parsed)
        try:
            with _plain_errors():
                async with engines.writing(engine).begin() as connection:
                    await connection.run_sync(schema.upgrade)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reading]:
        """Several questions about one moment."""
        with _plain_errors():
            async with self._reader.connect() as connection:
                yield Reading(connection, self._sealer)

    @asynccontextmanager
    async def write(self, actor: str = "swapd") -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block, or is as if it never was if the block raises.

        Keep it short and wait for nothing but the database in it: on SQLite everybody else waits meanwhile.
        actor: who does it, for the audit chain.
        """
        with _plain_errors():
            async with self._in_turn(), self._writer.connect() as connection:
                await connection.begin()
                transaction = Transaction(connection, self._sealer, actor)
                yield transaction
                await transaction.close_books()
                crashpoint("store.commit.before")
                with _doubtful_commit():
                    await connection.commit()
                crashpoint("store.commit.after")

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        try:
            async with asyncio.timeout(engines.WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable("the database is busy: another write of this process does not end") from None
        try:
            yield
        finally:
            self._turn.release()


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The database's errors as swapd's. Their parameters are not shown (`engine.make_engine`)."""
    try:
        yield
    except _AWAY as error:
        raise Unavailable(f"the database does not answer: {_words(error)}") from error
    except SQLAlchemyError as error:
        raise Rejected(f"the database refuses: {_words(error)}") from error


@contextmanager
def _doubtful_commit() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unknown(f"the connection to the database broke during a commit: {_words(error)}") from error
        raise


def _words(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()
