"""The PostgreSQL of the tests is a real one, whoever runs the tests and wherever it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from swapd.devnet import fetch
from swapd.devnet.cache import cache_folder
from swapd.devnet.postgres import PostgresServer
from swapd.devnet.state import ProcessId
from swapd.errors import Invalid
from tests.devnet.proc import owner_of

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")


async def answer(url: str, query: str) -> object:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return (await connection.execute(text(query))).scalar_one()
    finally:
        await engine.dispose()


async def test_answers_over_loopback_with_its_password(postgres: PostgresServer) -> None:
    assert "PostgreSQL" in str(await answer(postgres.url, "select version()"))


async def test_refuses_a_wrong_password(postgres: PostgresServer) -> None:
    password = postgres.url.split(":")[2].split("@")[0]
    with pytest.raises(Exception, match="password authentication failed"):
        await answer(postgres.url.replace(password, "wrong"), "select 1")


async def test_each_database_is_empty_and_apart(postgres: PostgresServer, postgres_url: str) -> None:
    tables = "select count(*) from information_schema.tables where table_schema = 'public'"
    assert await answer(postgres_url, tables) == 0
    assert await postgres.create_database("another-name") != postgres_url


async def test_databases_survive_a_restart() -> None:
    async with PostgresServer() as server:
        url = await server.create_database("shop")
        await server.restart()
        assert await answer(url, "select current_database()") == "shop"


@needs_apt
async def test_runs_without_a_system_installation_also_as_root_and_leaves_nothing() -> None:
    async with PostgresServer(system=False) as server:
        identity = ProcessId.of(server.process.pid)
        assert await answer(server.url, "select 1") == 1
        assert str(server.process.command[0]).startswith(str(cache_folder())), "the fetched one runs"
        assert owner_of(server.process.pid) != 0
    assert identity is not None
    assert not identity.alive()
    assert not server.folder.exists()


@needs_apt
async def test_runs_from_a_cache_that_only_its_owner_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = fetch.postgres(system=False).root
    assert fetched is not None
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(fetched, private / "postgresql", symlinks=True)
    monkeypatch.setenv("SWAPD_CACHE", str(private))
    async with PostgresServer(system=False) as server:
        assert await answer(server.url, "select 1") == 1


async def test_a_folder_without_the_programs_is_refused() -> None:
    with pytest.raises(Invalid, match=r"binaries: got '/', expected a folder with the programs initdb and postgres"):
        async with PostgresServer(binaries="/"):
            pass
