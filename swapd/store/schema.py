"""The schema a database has against the schema this code needs. They are the same, or the store does not open.

The migrations are the `migrations/` folder of the checkout, where swapd runs from (an editable install).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from swapd.errors import Rejected
from swapd.store.models import AUDIT_TRIGGERS, Base

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

VERSION_TABLE = "alembic_version"
"""Alembic's own."""

_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}
_UPGRADE_LOCK = 0x73776170  # "swap": two workers that start together upgrade one after the other


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the database to the newest schema, inside the caller's transaction. There is no way back but a backup."""
    config = _config()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
    _refuse_newer(connection, ScriptDirectory.from_config(config))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def check(connection: Connection) -> None:
    """Refuse (Rejected, with what to do) a schema that is missing, older, newer or not what the migrations made."""
    scripts = ScriptDirectory.from_config(_config())
    current, head = _refuse_newer(connection, scripts), scripts.get_current_head()
    if current is None:
        raise Rejected("the database is empty; `swapd init` sets it up")
    if current != head:
        raise Rejected(f"the database has schema {current}, this swapd needs {head}; `swapd init` brings it there")
    differences = [*_table_differences(connection), *_trigger_differences(connection)]
    if differences:
        raise Rejected(
            f"the database was changed by something other than swapd: {'; '.join(differences)}. Restore a backup, or "
            "mend it by hand; swapd does not run on tables it does not know"
        )


def version(connection: Connection) -> str | None:
    """The schema that the database has, None if it has none. Refuses (Rejected) one that is newer than this code."""
    return _refuse_newer(connection, ScriptDirectory.from_config(_config()))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def drop(connection: Connection) -> None:
    """Take away everything that the migrations made, audit chain and all, inside the caller's transaction: only for a
    database that is replaced whole."""
    Base.metadata.drop_all(connection)
    connection.execute(text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION IF EXISTS audit_is_append_only()"))


def _config() -> Config:
    if not MIGRATIONS.is_dir():
        raise Rejected(f"swapd's migrations are not at {MIGRATIONS}; run swapd from its checkout")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """The database's schema, None if it has none."""
    current = MigrationContext.configure(connection).get_current_revision()
    try:
        if current is not None:
            scripts.get_revision(current)
    except CommandError:
        raise Rejected(f"the database has schema {current}, made by a newer swapd; run that one") from None
    return current


def _table_differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [_words(difference) for difference in compare_metadata(context, Base.metadata)]


def _words(difference: object) -> str:
    """`('add_column', None, 'swaps', Column(...))` is autogenerate's form; changes of one column come as a list."""
    if isinstance(difference, list):
        return ", ".join(_words(part) for part in difference)
    action, *subject = difference if isinstance(difference, tuple) else (difference,)
    names = [getattr(part, "name", part) for part in subject]
    return " ".join(str(part) for part in (action, *names[:3]) if isinstance(part, str))


def _trigger_differences(connection: Connection) -> list[str]:
    found = set(connection.scalars(text(_TRIGGERS[connection.dialect.name])))
    return [f"the audit trigger {name} is gone" for name in sorted(AUDIT_TRIGGERS - found)]
