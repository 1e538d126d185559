"""The API on a real database, spoken to in this process, with a key of every role.

    async def test_something(api: Api) -> None:
        answer = await api.get("/v1/me", KeyRole.AUDITOR)

No node is started: a test that needs some overrides `variables` and starts the chains of `service.house`.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from swapd.api import keys
from swapd.api.app import ROUTERS, make_app
from swapd.api.service import Service
from swapd.cli.context import make_house
from swapd.devnet.party import CONFIG
from swapd.settings import load
from swapd.store import KeyRole, KeyRow, Store
from swapd.vault import Network, Secret, Vault

NAMES = {
    KeyRole.MARKETPLACE: "shop",
    KeyRole.OPERATOR: "olga",
    KeyRole.DISPUTE: "dora",
    KeyRole.AUDITOR: "aud",
    KeyRole.ADMIN: "root",
}
"""The holder of the key of each role."""

CHAINS = ("bitcoin", "ethereum", "icp")


@dataclass
class Clock:
    """This machine's, which a test may move."""

    ahead: int = 0
    stands: int | None = None

    def __call__(self) -> int:
        return (int(time.time()) if self.stands is None else self.stands) + self.ahead

    def stop(self) -> int:
        """It stands still from now on."""
        self.stands = int(time.time())
        return self()


async def until(condition: Callable[[], bool]) -> None:
    """As soon as it holds; it does within seconds, or never."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@dataclass
class Api:
    """Whoever asks, by role, by token, or as nobody (None)."""

    http: httpx.AsyncClient
    service: Service
    clock: Clock
    tokens: dict[KeyRole, str]
    rows: dict[KeyRole, KeyRow]
    said: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, who: KeyRole | str | None = None, **more: Any) -> httpx.Response:
        token = self.tokens[who] if isinstance(who, KeyRole) else who
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = await self.http.request(method, path, headers=headers, **more)
        self.said.append(answer.text)
        return answer

    async def get(self, path: str, who: KeyRole | str | None = None, **more: Any) -> httpx.Response:
        return await self.ask("GET", path, who, **more)

    async def post(self, path: str, who: KeyRole | str | None = None, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, who, **more)

    async def delete(self, path: str, who: KeyRole | str | None = None, **more: Any) -> httpx.Response:
        return await self.ask("DELETE", path, who, **more)

    async def issue(self, name: str, role: KeyRole = KeyRole.MARKETPLACE, **more: Any) -> tuple[KeyRow, str]:
        return await keys.issue(self.service.house.store, "operator", name, role, known_chains=CHAINS, **more)

    async def trail(self) -> list[str]:
        """Actor and event of every audit entry."""
        async with self.service.house.store.read() as reading:
            return [f"{entry.actor}: {entry.event}" for entry in await reading.audit_trail()]


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document that an answer must be."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["type"] == f"/problems/{kind}", told
    assert told["status"] == status
    assert told["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return told


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Settings that differ from config/devnet.toml. A test's own fixture of this name adds to them."""
    off = {f"SWAPD__CHAINS__{chain.upper()}__ENABLED": "false" for chain in CHAINS}
    return off | {"SWAPD__DAEMON__DATA_DIR": str(tmp_path), "SWAPD__API__LIMITS__REQUESTS_PER_MINUTE_ALL": "100_000"}


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    """All of the API's. A test's own fixture of this name adds to them."""
    return ROUTERS


SEED = b"\x07" * 32


@dataclass(frozen=True)
class Prepared:
    """A database with a key of every role, to be copied."""

    file: Path
    tokens: dict[KeyRole, str]
    rows: dict[KeyRole, KeyRow]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made once for each worker: the migrations take longer than most tests."""
    return asyncio.run(_prepare(tmp_path_factory.mktemp("api") / "swapd.db"))


async def _prepare(file: Path) -> Prepared:
    url = f"sqlite:///{file}"
    await Store.upgrade(url)
    tokens, rows = {}, {}
    with Vault(Secret(SEED), Network.DEVNET) as vault:
        store = await Store.open(url, vault)
        for role, name in NAMES.items():
            rows[role], tokens[role] = await keys.issue(store, "operator", name, role)
        await store.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Prepared(file, tokens, rows)


Opening = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def opening(tmp_path: Path, prepared: Prepared, variables: dict[str, str], routers: tuple[APIRouter, ...]) -> Opening:
    """Opens the same database again and again, as restarts do."""
    file = tmp_path / "swapd.db"
    shutil.copy(prepared.file, file)
    file.chmod(0o600)

    @asynccontextmanager
    async def open_api(**changes: str) -> AsyncIterator[Api]:
        settings = load(CONFIG, variables | changes)
        with Vault(Secret(SEED), Network.DEVNET) as vault:
            store = await Store.open(f"sqlite:///{file}", vault)
            try:
                clock = Clock()
                service = Service(replace(make_house(settings, vault, store), clock=clock), settings)
                transport = httpx.ASGITransport(make_app(service, routers), raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://swapd") as http:
                    yield Api(http, service, clock, prepared.tokens, prepared.rows)
            finally:
                await store.close()

    return open_api


@pytest.fixture
async def api(opening: Opening) -> AsyncIterator[Api]:
    async with opening() as api:
        yield api
