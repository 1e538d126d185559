"""The door to the database: opens it, checks it, and hands out transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from swapd.crashpoint import crashpoint
from swapd.errors import Rejected, Unavailable, Unknown
from swapd.store import engine as engines
from swapd.store import models as m
from swapd.store import restore as restoring
from swapd.store import schema
from swapd.store import spare as spares
from swapd.store.backup import BACKUP, Backup, write_backup
from swapd.store.health import AWAY, Health, is_trouble, words
from swapd.store.records import SwapRow
from swapd.store.remembered import Remembered
from swapd.store.restore import Owner, Restored
from swapd.store.sealing import Sealer, seal, unseal
from swapd.store.transaction import Reading, Transaction

WRITE_SECONDS = 90
"""Longest writing transaction. Each of its statements has a limit of its own (`engine.STATEMENT_SECONDS`); this one is
for a database that took the connection and never answers."""

READ_SECONDS = 600
"""The same for reading, where the walk through a long audit chain takes a while."""

COPY_SECONDS = 15
"""Longest reading of what is open into memory: some rows for each swap. Who waits for it has exits to carry out."""

COMMIT_SECONDS = 60
"""Longest wait for the answer to a commit. It may have happened: the outcome is then unknown."""

_DOUBTFUL = "disk I/O error"
_PROBE_BYTES = 8_192


class Store:
    """A database of swapd's.

        store = await Store.open("sqlite:///swapd.db", sealer)
        async with store.write("operator") as tx:
            await tx.cancel(swap_id, "asked for by the customer")
        await store.close()

    Errors, beside those of the methods: `Unavailable` when the database does not answer or is busy for too long
    (nothing was written), `Unknown` when the connection broke during a commit, `Rejected` when the database refuses.
    """

    def __init__(self, engine: AsyncEngine, sealer: Sealer, *, spare: bool = False) -> None:
        """spare: in memory, so what is written to it can not be relied on."""
        self._engine = engine
        self._reader = engines.reading(engine)
        self._writer = engines.writing(engine)
        self._sealer = sealer
        self.spare = spare
        self.remembered = Remembered()
        self.listeners: set[Callable[[], None]] = set()
        """Called when a commit of this process has said something in the audit chain."""
        self._health = Health(None if spare else engines.file_of(engine.url))
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
                    if (await connection.execute(select(m.Meta).where(m.Meta.key == BACKUP))).first() is not None:
                        raise Rejected("this is a backup and no database to work with: `swapd restore` makes it one")
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

    @staticmethod
    async def restore(
        url: str, source: Path, owner: Owner, aside: Path, *, first_index: int, replaces: bool, actor: str
    ) -> Restored:
        """See `restore.restore`."""
        with _plain_errors():
            return await restoring.restore(
                url, source, owner, aside, first_index=first_index, replaces=replaces, actor=actor
            )

    async def copy_open(self, spare: Store | None = None, wanted: Callable[[SwapRow], bool] = lambda _: True) -> Store:
        """What is open at this moment, in memory. spare: an earlier one, to be filled anew; then its old state is kept
        if this fails. wanted: of these at least, and of all that has something unfinished or can not be read."""
        with _plain_errors():
            async with _bounded(COPY_SECONDS), self._reader.connect() as connection:
                reading = Reading(connection, self._sealer, self.remembered)
                unfinished, found = set(await reading.unfinished()), await reading.open_swaps()
                named = {row.id for row in found.swaps if row.id in unfinished or wanted(row)}
                named |= {damaged.key.partition("/")[0] for damaged in found.damaged}
                made = spare or Store(await spares.make(), self._sealer, spare=True)
                try:
                    await spares.fill(made._engine, connection, named)
                except BaseException:
                    if made is not spare:
                        await made.close()
                    raise
                made.remembered.forget()
        return made

    async def mark_restored(self, first_index: int, actor: str) -> int:
        """The database was brought back by other means than `restore`. Returns how many swaps had not ended."""
        with _plain_errors(self._health):
            async with self._writer.begin() as connection:
                last = (await connection.execute(select(func.max(m.Audit.at)))).scalar_one()
                return await restoring.mark(connection, last or 0, first_index, actor)

    async def close(self) -> None:
        await self._engine.dispose()

    def seal(self, place: str, content: bytes) -> bytes:
        """For what is handed out and comes back, such as the cursor of a page: opens nowhere but at this place."""
        return seal(self._sealer, place, content)

    def unseal(self, place: str, sealed: bytes) -> bytes:
        """Raises a `SwapdError` for whatever was not sealed for this place."""
        return unseal(self._sealer, place, sealed)

    @property
    def trouble(self) -> str:
        """Why nothing new may rest on the database, and what it needs from a person; "" while all is well. Of a spare
        nobody can mend anything: what fails is tried again."""
        return "" if self.spare else self._health.trouble

    async def probe(self) -> None:
        """Find out whether the trouble is over: something the size of a signed transaction must fit, and stay."""
        for size in (_PROBE_BYTES, 0):
            async with self.write() as writing:
                await writing.write_probe(size)
        self._health.proven()

    async def backup(self, path: Path) -> Backup:
        """All of it at this moment, as a file for `restore`; others may go on working meanwhile."""
        with _plain_errors():
            async with self._reader.connect() as connection:
                return await write_backup(connection, path)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reading]:
        """Several questions about one moment."""
        with _plain_errors(self._health):
            async with _bounded(READ_SECONDS), self._reader.connect() as connection:
                yield Reading(connection, self._sealer, self.remembered)

    @asynccontextmanager
    async def write(self, actor: str = "swapd") -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block, or is as if it never was if the block raises.

        Keep it short and wait for nothing but the database in it: on SQLite everybody else waits meanwhile.
        actor: who does it, for the audit chain.
        """
        with _plain_errors(self._health):
            async with self._in_turn(), _bounded(WRITE_SECONDS), self._writer.connect() as connection:
                await connection.begin()
                transaction = Transaction(connection, self._sealer, actor)
                yield transaction
                audited = await transaction.close_books()
                if audited:
                    crashpoint("store.commit.before")
                await _commit(connection)
                if audited:
                    crashpoint("store.commit.after")
                    for told in tuple(self.listeners):
                        told()

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


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise _Silent(f"no answer within {seconds:g} s") from None


async def _commit(connection: AsyncConnection) -> None:
    """Raises Unknown if nobody can say whether it happened."""
    limit = asyncio.timeout(COMMIT_SECONDS)
    try:
        async with limit:
            await connection.commit()
    except TimeoutError:
        if not limit.expired():
            raise
        raise Unknown(f"the database did not answer to a commit within {COMMIT_SECONDS:g} s") from None
    except DBAPIError as error:
        # SQLite may find a commit in the WAL later whose last write to the disk was reported as failed
        if error.connection_invalidated or _DOUBTFUL in words(error):
            raise Unknown(f"the connection to the database broke during a commit: {words(error)}") from error
        raise


@contextmanager
def _plain_errors(health: Health | None = None) -> Iterator[None]:
    """The database's errors as swapd's. Their parameters are not shown (`engine.make_engine`)."""
    try:
        yield
    except _Silent as error:
        _note(health, str(error))
        raise Unavailable(f"the database does not answer: {error}") from error
    except Unknown as error:
        _note(health, str(error))
        raise
    except SQLAlchemyError as error:
        if is_trouble(error):
            _note(health, words(error))
        if isinstance(error, AWAY):
            raise Unavailable(f"the database does not answer: {words(error)}") from error
        raise Rejected(f"the database refuses: {words(error)}") from error


def _note(health: Health | None, why: str) -> None:
    if health is not None:
        health.failed(why)


class _Silent(Exception):
    """It took the connection, and does not answer."""
