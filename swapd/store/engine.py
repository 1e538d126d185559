"""How swapd speaks to its two databases: what each must be told so that a commit is a commit.

SQLite: WAL, so that readers never wait; FULL, so that a commit survives a power cut; BEGIN IMMEDIATE for writing, so
that a transaction that has begun can not fail half-way for want of the write lock. PostgreSQL: READ COMMITTED for
writing, which is enough because every write is guarded by a row lock, a version, a fence or a UNIQUE; REPEATABLE READ
and read-only for reading, so that several queries see one moment, as they do in SQLite.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from swapd.errors import Invalid, Rejected
from swapd.store.driver import begin_with_next, sqlite_engine

WAIT_SECONDS = 15
"""Longest wait for a lock, a free connection or a connect. Writing transactions here take milliseconds, so a wait this
long means that somebody is stuck; the caller hears `Unavailable` and comes again."""

STATEMENT_SECONDS = 60
"""Longest statement on PostgreSQL. Longer than WAIT_SECONDS, so that a lock wait is reported as one."""

CONNECTIONS = 20
"""Kept open, and as many more for a moment: for swaps that are looked at together, chains, streams, and the API, which
has a limit of its own well below this. To find none free counts as trouble with the database."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
_WRITES = "swapd_writes"


def parse_url(text: str) -> URL:
    """A database URL: `sqlite:///path/to/file` or `postgresql://user:password@host/name`."""
    expected = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        url = make_url(text)
    except ArgumentError:
        raise Invalid("database", "an unreadable URL", expected) from None  # it may hold a password: do not show it
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS or not url.database or url.database == ":memory:":
        raise Invalid("database", url.render_as_string(hide_password=True), expected)
    return url.set(drivername=_DRIVERS[backend])


def file_of(url: URL) -> Path | None:
    """The database's file, None on PostgreSQL."""
    return Path(url.database or "") if url.drivername == _DRIVERS["sqlite"] else None


def make_engine(url: URL) -> AsyncEngine:
    # hide_parameters: statements in errors and logs must not show what is in them (S9)
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_timeout": WAIT_SECONDS,
        "pool_size": CONNECTIONS,
        "max_overflow": CONNECTIONS,
    }
    if file_of(url) is not None:
        engine = sqlite_engine(url, WAIT_SECONDS, **options)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", begin_sqlite)
        return engine
    settings = {
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": f"{WAIT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS}s",
        "synchronous_commit": "on",
    }
    connect_args = {
        "connect_timeout": WAIT_SECONDS,
        # a server that is gone without a word is noticed by the system, in some half a minute
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }
    return create_async_engine(url, connect_args=connect_args, pool_pre_ping=True, **options)


def make_file_engine(path: Path) -> AsyncEngine:
    """For one SQLite file that nobody else uses: no WAL beside it, so that it can be moved and copied as it is."""
    url = URL.create(_DRIVERS["sqlite"], database=str(path))
    engine = sqlite_engine(url, WAIT_SECONDS, hide_parameters=True, poolclass=NullPool)
    event.listen(engine.sync_engine, "connect", take_begin_over)
    event.listen(engine.sync_engine, "begin", begin_sqlite)
    return engine


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool, for transactions that see one moment and change nothing."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool, for transactions that take their write lock when they begin."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_WRITES: True})
    return engine.execution_options(isolation_level="READ COMMITTED")


def create_file(path: Path) -> None:
    """An empty database file that only its owner can read; SQLite gives the WAL files beside it the same mode."""
    if not path.parent.is_dir():
        raise Invalid("database", str(path), "a file in a folder that exists")
    path.touch(mode=0o600)


def check_file(path: Path) -> None:
    if not path.is_file():
        raise Rejected(f"there is no database at {path}; `swapd init` makes one")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Rejected(f"others can read the database {path}; `chmod 600 {path}` closes it")


def take_begin_over(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is said by us, not by Python's driver


def _prepare_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    take_begin_over(connection, entry)
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        begin_with_next(connection)
