"""The schema: made by migrations alone, equal to the models, and anything else is refused with what to do."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from store_samples import AesSealer, RawSql, add_swap, get

from swapd.errors import Invalid, Rejected, Unavailable
from swapd.store import Store, schema
from swapd.store.engine import create_file, make_engine, parse_url, writing
from swapd.store.models import NAMING, Base

HEAD = max(file.name[:4] for file in (schema.MIGRATIONS / "versions").glob("[0-9]*.py"))


async def refused(url: str, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        await Store.open(url, AesSealer())


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def constraint_names(connection: Connection) -> set[str | None]:
    inspector, names = inspect(connection), set()
    for table in Base.metadata.tables:
        names |= {unique["name"] for unique in inspector.get_unique_constraints(table)}
        names |= {key["name"] for key in inspector.get_foreign_keys(table)}
        names |= {inspector.get_pk_constraint(table)["name"]}
    return names


async def test_migrations_reproduce_the_models(url: str, store: Store) -> None:
    engine = make_engine(parse_url(url))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        names = await connection.run_sync(constraint_names)
    await engine.dispose()
    assert names == {str(c.name) for t in Base.metadata.tables.values() for c in t.constraints}
    assert Base.metadata.naming_convention == NAMING


async def test_upgrading_again_changes_nothing(url: str, store: Store) -> None:
    swap_id = await add_swap(store)
    await Store.upgrade(url)
    assert (await get(store, swap_id)).id == swap_id


async def test_a_database_of_the_first_schema_is_brought_to_the_newest(url: str) -> None:
    if url.startswith("sqlite"):
        create_file(Path(url.removeprefix("sqlite:///")))
    engine = make_engine(parse_url(url))
    async with writing(engine).begin() as connection:
        await connection.run_sync(lambda c: schema.upgrade(c, "0001"))
    await engine.dispose()
    await refused(url, f"has schema 0001, this swapd needs {HEAD}; `swapd init`")
    await Store.upgrade(url)
    await (await Store.open(url, AesSealer())).close()


async def test_an_empty_database_is_refused(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        await refused(url, "there is no database at .* `swapd init` makes one")
        assert modes(tmp_path) == {}  # looking does not make one
    else:
        await refused(url, "the database is empty; `swapd init`")


async def test_an_older_schema_is_refused_and_its_upgrade_named(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alembic.script.ScriptDirectory.get_current_head", lambda _: "0099")
    await refused(url, f"has schema {HEAD}, this swapd needs 0099; `swapd init`")


async def test_a_newer_schema_is_refused_and_not_upgraded(url: str, store: Store, raw_sql: RawSql) -> None:
    await raw_sql.run("UPDATE alembic_version SET version_num = '9999'")
    await refused(url, "schema 9999, made by a newer swapd")
    with pytest.raises(Rejected, match="newer swapd"):
        await Store.upgrade(url)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE swaps ADD COLUMN colour TEXT", "remove_column swaps colour"),
        ("ALTER TABLE swaps DROP COLUMN note", "add_column swaps note"),
        ("DROP TABLE sightings", "add_table sightings"),
        ("CREATE TABLE guests (name TEXT)", "remove_table guests"),
        ("DROP INDEX ix_swaps_owner_created_at", "add_index ix_swaps_owner_created_at"),
    ],
)
async def test_a_changed_schema_is_refused_and_the_change_named(
    url: str, store: Store, raw_sql: RawSql, change: str, words: str
) -> None:
    await raw_sql.run(change)
    await refused(url, f"changed by something other than swapd: .*{words}")


async def test_an_audit_table_without_its_triggers_is_refused(url: str, store: Store, raw_sql: RawSql) -> None:
    await raw_sql.drop_audit_triggers()
    await refused(url, "the audit trigger audit_no_delete is gone; the audit trigger audit_no_update is gone")


async def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Rejected("half-way")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.Operations.bulk_insert", fail)  # the last act of the first migration
        with pytest.raises(Rejected, match="half-way"):
            await Store.upgrade(url)
    await refused(url, "the database is empty")
    await Store.upgrade(url)
    await (await Store.open(url, AesSealer())).close()


async def test_the_file_and_its_wal_are_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "swapd.db"
    await Store.upgrade(f"sqlite:///{file}")
    store = await Store.open(f"sqlite:///{file}", AesSealer())
    await add_swap(store)
    assert modes(tmp_path) == {"swapd.db": 0o600, "swapd.db-wal": 0o600, "swapd.db-shm": 0o600}
    await store.close()
    file.chmod(0o640)
    await refused(f"sqlite:///{file}", "others can read the database .* `chmod 600")


@pytest.mark.parametrize(
    "url", ["", "mysql://root:hunter2@host/db", "sqlite://", "sqlite:///:memory:", "postgresql://user:hunter2@host"]
)
async def test_a_url_that_can_not_be_is_invalid_and_its_password_not_shown(url: str) -> None:
    with pytest.raises(Invalid, match="expected sqlite:///FILE or postgresql://") as caught:
        await Store.open(url, AesSealer())
    assert "hunter2" not in str(caught.value)


async def test_a_folder_that_is_not_there_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a folder that exists"):
        await Store.upgrade(f"sqlite:///{tmp_path}/nowhere/swapd.db")


async def test_a_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="the database does not answer") as caught:
        await Store.open(f"postgresql://me:hunter2@127.0.0.1:{unused_tcp_port}/swapd", AesSealer())
    assert "hunter2" not in str(caught.value)
