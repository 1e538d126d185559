"""A backup: the whole database at one moment as one SQLite file, whichever engine it came from.

Rows are copied as they are: sealed columns stay sealed, a damaged row stays what it was, and no key is needed. The file
says of itself that it is a backup, so that nobody runs on it by mistake: what came after it is not in it, and only
`restore` tells swapd so.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Boolean, ColumnElement, Table, column, func, insert, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.errors import Invalid, Rejected, Unavailable
from swapd.store import audit, schema
from swapd.store import engine as engines
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import Json, canonical, parse
from swapd.store.errors import AuditBroken
from swapd.store.records import AuditHead

BACKUP = "backup"
"""The row of `meta` by which a backup is known."""

_ROWS = 500
"""Copied at a time."""


Which = Callable[[Table], ColumnElement[bool]]
"""A condition on a table's columns."""


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself. taken_at: Unix seconds by the database's clock. seed, network: what the database
    belongs to. rows: how many, by table. audit: the end of its audit chain; trouble: why that can not be relied on."""

    path: Path
    taken_at: int
    schema: str
    seed: str
    network: str
    rows: Mapping[str, int]
    audit: AuditHead
    trouble: str = ""


async def write_backup(source: AsyncConnection, path: Path) -> Backup:
    """Copy what this connection's transaction sees. The file appears whole, checked, and for its owner only, or not at
    all. Raises Invalid for a path that is taken or can not be, Unavailable when the disk is full."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with _disk_errors(path):
        await asyncio.to_thread(_begin, temporary, path)
    try:
        await _fill(source, temporary)
        made = await read_backup(temporary)
        with _disk_errors(path):
            await asyncio.to_thread(_publish, temporary, path)
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    return Backup(path, made.taken_at, made.schema, made.seed, made.network, made.rows, made.audit, made.trouble)


async def _fill(source: AsyncConnection, path: Path) -> None:
    engine = engines.make_file_engine(path)
    try:
        async with engines.writing(engine).begin() as target:
            await target.run_sync(schema.upgrade)
            rows = await copy_rows(source, target)
            now = (await source.execute(select(unix_now()))).scalar_one()
            said: Json = {"at": now, "engine": source.dialect.name, "rows": dict(rows)}
            await target.execute(insert(m.Meta).values(key=BACKUP, value=canonical(said)))
    finally:
        await engine.dispose()


async def copy_rows(
    source: AsyncConnection,
    target: AsyncConnection,
    which: Mapping[str, Which] | None = None,
    without: Collection[str] = (),
) -> dict[str, int]:
    """All rows of all tables, as they are; returns how many by table. target: tables that the migrations just made.
    which: of these tables not all rows, without: of these none."""
    copied = {}
    for each in m.Base.metadata.sorted_tables:
        if each.name in without:
            continue
        plain, flags = _plain(each), [c.name for c in each.columns if isinstance(c.type, Boolean)]
        if each.name == m.Meta.__tablename__:
            await target.execute(plain.delete())  # what the migrations put there
        count = 0
        query = select(*plain.columns).order_by(*(plain.c[k.name] for k in each.primary_key))
        if which and each.name in which:
            query = query.where(which[each.name](plain))
        result = await source.stream(query)
        async for part in result.mappings().partitions(_ROWS):
            rows = [{**row, **{f: None if row[f] is None else bool(row[f]) for f in flags}} for row in part]
            await target.execute(plain.insert(), rows)
            count += len(rows)
        copied[each.name] = count
    return copied


async def read_backup(path: Path) -> Backup:
    """Check a backup, or a copy that SQLite's own means made of a database, and say what it is.

    Raises Rejected for a file that is neither, or that is not whole; Invalid for one that is not there.
    """
    if not await asyncio.to_thread(path.is_file):
        raise Invalid("file", str(path), "a backup that exists")
    engine = engines.make_file_engine(path)
    try:
        async with engine.connect() as connection:
            return await _describe(connection, path)
    finally:
        await engine.dispose()


async def _describe(connection: AsyncConnection, path: Path) -> Backup:
    damage = (await connection.execute(text("PRAGMA integrity_check(1)"))).scalar_one()
    if damage != "ok":
        raise Rejected(f"the file {path} is damaged: {damage}")
    found = await connection.run_sync(schema.version)
    if found is None:
        raise Rejected(f"the file {path} is no backup of swapd's")
    meta = {row.key: row.value for row in await connection.execute(select(m.Meta.key, m.Meta.value))}
    said = parse(meta[BACKUP]) if BACKUP in meta else None
    rows = await _count(connection)
    if isinstance(said, dict):
        promised = said.get("rows")
        if promised != {**rows, "meta": rows["meta"] - 1}:
            raise Rejected(f"the file {path} does not hold the rows that were written: {promised}, but {rows}")
    last = (await connection.execute(select(func.max(m.Audit.at)))).scalar_one()
    try:
        head, trouble = await audit.verify(connection), ""
    except AuditBroken as error:
        head, trouble = audit.GENESIS, str(error)
    taken_at = said["at"] if isinstance(said, dict) else last or 0
    if not isinstance(taken_at, int):
        raise Rejected(f"the file {path} does not say when it was made")
    return Backup(path, taken_at, found, meta.get("seed", ""), meta.get("network", ""), rows, head, trouble)


async def _count(connection: AsyncConnection) -> dict[str, int]:
    """By table, of those that there are: a backup may be of an older schema."""
    there = await connection.run_sync(schema.tables)
    names = [each.name for each in m.Base.metadata.sorted_tables if each.name in there]
    return {n: (await connection.execute(select(func.count()).select_from(table(n)))).scalar_one() for n in names}


def _plain(each: Table) -> Table:
    """The same table without types: what is in a row goes through unread."""
    found: Table = table(each.name, *(column(c.name) for c in each.columns))  # type: ignore[assignment]
    return found


def _begin(temporary: Path, path: Path) -> None:
    if path.exists():
        raise FileExistsError
    engines.create_file(temporary)


def _publish(temporary: Path, path: Path) -> None:
    """Give it its name, for good, unless somebody took that meanwhile."""
    sync(temporary)
    os.link(temporary, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """A file's content, or a folder's names, are on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise Invalid("file", str(path), "a name that is not taken: a backup is never overwritten") from None
    except PermissionError:
        raise Rejected(f"this user may not write to {path.parent}") from None
    except OSError as error:
        raise Unavailable(f"the backup {path} could not be written: {error.strerror}") from None
