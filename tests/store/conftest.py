"""Every store test runs on both databases."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_samples import AesSealer, RawSql

from swapd.store import Store


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
    await Store.upgrade(url)
    store = await Store.open(url, AesSealer())
    yield store
    await store.close()


@pytest.fixture
def raw_sql(url: str) -> RawSql:
    return RawSql(url)
