"""Bringing a backup back, so that an older state does no harm.

An old database does not know what was done since: which locks were signed and sent, whether a secret was shown. So all
of it is marked (`restored_at`, see `Memory.restored`): what it says was not sent may have been sent. Of what it says
was sent, everything still holds. And indexes go on far enough from the old ones that no hashlock comes twice (S13).

Everything or nothing: the new database is made whole and checked before the old one, if there is any, is put aside.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.errors import Invalid, Rejected
from swapd.protocol.status import ENDED
from swapd.store import audit, schema
from swapd.store import engine as engines
from swapd.store import models as m
from swapd.store.backup import BACKUP, Backup, copy_rows, read_backup, sync, write_backup
from swapd.store.clock import unix_now
from swapd.store.codec import Json
from swapd.store.reading import NEXT_INDEX

RESTORED = "restored"
"""The row of `meta` that says how old the backup was that this database came out of: Unix seconds."""


@dataclass(frozen=True)
class Restored:
    """What was done. aside: where the database that was there is now, None if there was none. open_swaps: those that
    had not ended when the backup was taken."""

    backup: Backup
    aside: Path | None
    open_swaps: int


@dataclass(frozen=True)
class Owner:
    """Whose database it is to be: the seed's fingerprint and the network's name."""

    seed: str
    network: str

    def require(self, backup: Backup) -> None:
        for field, mine, found in (("seed", self.seed, backup.seed), ("network", self.network, backup.network)):
            if mine != found:
                raise Invalid(field, mine, f"{found or 'nothing'}, to which the backup belongs")


async def restore(
    url: str, source: Path, owner: Owner, aside: Path, *, first_index: int, replaces: bool, actor: str
) -> Restored:
    """Make the database at `url` what it was when the backup was taken, marked as restored.

    first_index: new swaps are counted from here at least, past all that may have been given out since (S13).
    aside: where a database that is there is kept, if `replaces`; else one that is not empty is Rejected. The caller
    makes sure that no swapd runs. Raises Invalid for a backup of another seed or network, Rejected for one that is
    damaged, or newer than this code.
    """
    parsed = engines.parse_url(url)
    with tempfile.TemporaryDirectory(prefix="swapd-restore-") as folder:
        copy = Path(folder) / "backup.db"
        await asyncio.to_thread(_copy_file, source, copy)
        backup = replace(await read_backup(copy), path=source)
        owner.require(backup)
        if backup.trouble:
            raise Rejected(f"the audit chain of {source} does not hold: {backup.trouble}")
        await _upgrade(copy)
        file = engines.file_of(parsed)
        work = _Work(copy, backup, aside, first_index, replaces, actor)
        return await (_into_server(url, work) if file is None else _into_file(file, work))


async def mark(connection: AsyncConnection, backup_at: int, first_index: int, actor: str) -> int:
    """From here on nothing in this database counts that says "not sent". Returns how many swaps had not ended."""
    now = (await connection.execute(select(unix_now()))).scalar_one()
    await connection.execute(
        update(m.Swap).values(
            restored_at=now,
            version=m.Swap.version + 1,
            leased_by=None,
            leased_until=0,
            fence=m.Swap.fence + 1,
            next_due_at=case((m.Swap.watched, 0), else_=m.Swap.next_due_at),
        )
    )
    stored = (await connection.execute(select(m.Meta.value).where(m.Meta.key == NEXT_INDEX))).scalar_one()
    index = max(first_index, int(stored) if stored.isdigit() else 0)
    await connection.execute(update(m.Meta).where(m.Meta.key == NEXT_INDEX).values(value=str(index)))
    await connection.execute(delete(m.Meta).where(m.Meta.key.in_((BACKUP, RESTORED))))
    await connection.execute(insert(m.Meta).values(key=RESTORED, value=str(backup_at)))
    count = select(func.count()).select_from(m.Swap).where(m.Swap.status.not_in(list(ENDED)))
    going = (await connection.execute(count)).scalar_one()
    head = (await connection.execute(select(m.Meta.value).where(m.Meta.key == audit.HEAD))).scalar_one()
    said: dict[str, Json] = {"backup_at": backup_at, "audit_head": head, "open_swaps": going}
    await audit.append(connection, actor, [("database restored", None, said)])
    return going


def _copy_file(source: Path, target: Path) -> None:
    """By SQLite's own means: whoever copied a database may have left its newest part in a WAL file beside it."""
    if not source.is_file():
        raise Invalid("file", str(source), "a backup that exists")
    target.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise Rejected(f"the file {source} can not be read: {error}") from None


async def _upgrade(copy: Path) -> None:
    """A backup of an older swapd is brought to the newest schema, as `swapd init` does."""
    engine = engines.make_file_engine(copy)
    try:
        async with engines.writing(engine).begin() as connection:
            await connection.run_sync(schema.upgrade)
            await connection.run_sync(schema.check)
    finally:
        await engine.dispose()


@dataclass(frozen=True)
class _Work:
    """copy: of the backup, checked and of the newest schema."""

    copy: Path
    backup: Backup
    aside: Path
    first_index: int
    replaces: bool
    actor: str

    async def fill(self, target: AsyncConnection) -> int:
        engine = engines.make_file_engine(self.copy)
        try:
            async with engine.connect() as source:
                await copy_rows(source, target)
        finally:
            await engine.dispose()
        return await mark(target, self.backup.taken_at, self.first_index, self.actor)


async def _into_file(file: Path, work: _Work) -> Restored:
    aside = file.with_name(work.aside.name)  # beside it: a rename does not leave its disk
    there = await asyncio.to_thread(file.exists)
    if there and not work.replaces and not await asyncio.to_thread(_is_new, file):
        raise _not_empty(str(file))
    fresh = file.with_name(f"{file.name}.restoring")
    await asyncio.to_thread(_begin_file, fresh)
    engine = engines.make_file_engine(fresh)
    try:
        async with engines.writing(engine).begin() as target:
            await target.run_sync(schema.upgrade)
            going = await work.fill(target)
    finally:
        await engine.dispose()
    await asyncio.to_thread(_exchange, file, fresh, aside)
    return Restored(work.backup, aside if there else None, going)


async def _into_server(url: str, work: _Work) -> Restored:
    engine = engines.make_engine(engines.parse_url(url))
    kept = None
    try:
        async with engines.reading(engine).connect() as connection:
            if not await _is_empty(connection):
                if not work.replaces:
                    raise _not_empty("the server")
                kept = (await write_backup(connection, work.aside)).path
        async with engines.writing(engine).begin() as target:
            await _require_alone(target)
            await target.run_sync(schema.drop)
            await target.run_sync(schema.upgrade)
            going = await work.fill(target)
            await _count_on(target)
    finally:
        await engine.dispose()
    return Restored(work.backup, kept, going)


async def _count_on(connection: AsyncConnection) -> None:
    """Rows came with their numbers: new ones are counted from there."""
    for each in (m.Sighting, m.Effect, m.Transaction):
        last = select(func.coalesce(func.max(each.id), 0) + 1).scalar_subquery()
        sequence = func.pg_get_serial_sequence(each.__tablename__, "id")
        await connection.execute(select(func.setval(sequence, last, False)))


async def _is_empty(connection: AsyncConnection) -> bool:
    """Whether nothing was ever done in it: `swapd init` alone does nothing that is told in the audit chain."""
    if "audit" not in await connection.run_sync(schema.tables):
        return True
    done = select(func.count()).select_from(m.Audit)
    return (await connection.execute(done)).scalar_one() == 0


def _is_new(file: Path) -> bool:
    """The same for a file, which may be damaged: then it holds something."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            (known,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit'").fetchone()
            if not known:
                return True
            (done,) = connection.execute("SELECT count(*) FROM audit").fetchone()
            return not done
    except sqlite3.Error:
        return False


async def _require_alone(connection: AsyncConnection) -> None:
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    if (await connection.execute(others)).scalar_one():
        raise Rejected("others are connected to the database: stop every swapd that uses it, and close its consoles")


def _begin_file(path: Path) -> None:
    path.unlink(missing_ok=True)  # of an earlier attempt
    engines.create_file(path)


def _exchange(file: Path, fresh: Path, aside: Path) -> None:
    """If it dies between the two, there is no database: both are there under their other names."""
    sync(fresh)
    for ending in ("", "-wal", "-shm"):
        old = file.with_name(file.name + ending)
        if old.exists():
            old.rename(aside.with_name(aside.name + ending))
    fresh.rename(file)
    sync(file.parent)


def _not_empty(where: str) -> Rejected:
    return Rejected(
        f"there are swaps in the database at {where}; --replace puts it aside, whole, and the backup in its place"
    )
