"""The tables of a new database, made once in a process: migrations take a fifth of a second, to compare what they made
with what is wanted a tenth, and there are thousands of databases."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from swapd.store import Store, schema
from swapd.store.engine import create_file

_SQLITE = "sqlite:///"
_empty: list[bytes] = []
"""The file of a database with all its tables, once there is one."""


async def make_tables(url: str) -> None:
    """`Store.upgrade` for a new database; one of SQLite is a copy of the first that was made."""
    if not url.startswith(_SQLITE):
        await Store.upgrade(url)
    elif _empty:
        _copy(Path(url.removeprefix(_SQLITE)))
    else:
        await Store.upgrade(url)
        _keep(Path(url.removeprefix(_SQLITE)))


def _copy(file: Path) -> None:
    create_file(file)
    file.write_bytes(_empty[0])


def _keep(file: Path) -> None:
    _empty.append(file.read_bytes())


def compare_once() -> None:
    """From here on. SQLite's tables are what their text says: of a text that was compared the answer is known."""
    compare, known = schema._table_differences, dict[tuple[str | None, ...], list[str]]()

    def differences(connection: Connection) -> list[str]:
        if connection.dialect.name != "sqlite":
            return compare(connection)
        said = tuple(connection.scalars(text("SELECT sql FROM sqlite_master ORDER BY name")))
        if said not in known:
            known[said] = compare(connection)
        return known[said]

    schema._table_differences = differences
