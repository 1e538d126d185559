"""Every store test runs on both databases."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from store_samples import AesSealer, RawSql

from swapd.errors import SwapdError
from swapd.store import Store
from swapd.store.transaction import Transaction
from tests.tables import make_tables


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/swapd.db"
    server = request.getfixturevalue("postgres")  # only started when asked for
    created: str = asyncio.run(server.create_database(f"store_{secrets.token_hex(8)}"))
    return created


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    await make_tables(url)
    store = await Store.open(url, AesSealer())
    yield store
    await store.close()


@pytest.fixture
def raw_sql(url: str) -> RawSql:
    return RawSql(url)


@pytest.fixture(autouse=True)
def what_is_remembered_is_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every write of every test here: `Remembered` keeps nothing that has changed."""
    plain = Store.write

    @asynccontextmanager
    async def write(store: Store, actor: str = "swapd") -> AsyncIterator[Transaction]:
        async with plain(store, actor) as transaction:
            yield transaction
        with suppress(SwapdError):  # of a database that was broken on purpose
            async with store.read() as reading:
                remembered = (await reading.open_swaps()).swaps
                reading._remembered = None
                stored = {row.id: row for row in (await reading.open_swaps()).swaps}
            assert {row.id: row for row in remembered if row.id in stored} == stored

    monkeypatch.setattr(Store, "write", write)
