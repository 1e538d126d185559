"""The whole API against its own document: whatever a machine makes of it, good and bad, with every check there is.

No chain is enabled here; tests/scenarios/test_schemathesis.py has real ones, and swaps on them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from swapd.api import keys
from swapd.api.server import serving
from swapd.api.service import Service
from swapd.cli.context import make_house
from swapd.coordinator.daemon import Daemon, Pace
from swapd.devnet.party import CONFIG
from swapd.devnet.ports import free_port
from swapd.settings import load
from swapd.store import KeyRole, Store
from swapd.vault import Network, Secret, Vault
from tests.api.conftest import CHAINS, SEED, Prepared
from tests.api.machine import LIMITS, in_a_thread, let_it_run
from tests.api.matrix import MATRIX, OPEN

PACE = Pace(tick=1, sweep=60, lease=60, stop=5)
SPARE = 10


@pytest.fixture
def spare() -> list[str]:
    """Ids of keys that may be rotated and revoked; there are none before the API is served."""
    return []


@pytest.fixture
def served(prepared: Prepared, spare: list[str], tmp_path: Path) -> Iterator[str]:
    """The base URL of an API on a real socket. No chain is enabled."""
    file = tmp_path / "swapd.db"
    file.write_bytes(prepared.file.read_bytes())
    file.chmod(0o600)
    port = free_port()
    off = {f"SWAPD__CHAINS__{chain.upper()}__ENABLED": "false" for chain in CHAINS}
    here = {"SWAPD__DAEMON__DATA_DIR": str(tmp_path), "SWAPD__API__ENABLED": "true", "SWAPD__API__PORT": str(port)}
    made = load(CONFIG, off | LIMITS | here)

    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        with Vault(Secret(SEED), Network.DEVNET) as vault:
            store = await Store.open(f"sqlite:///{file}", vault)
            try:
                for number in range(SPARE):
                    row, _ = await keys.issue(store, "operator", f"spare-{number}", KeyRole.AUDITOR)
                    spare.append(row.id)
                house = make_house(made, vault, store)
                daemon = Daemon(house, PACE, worker="idle")
                daemon.gate.starting = False  # there is nothing to look at first
                async with serving(Service(house, made, daemon), daemon.stopping):
                    yield f"http://127.0.0.1:{port}"
            finally:
                await store.close()

    with in_a_thread(serve) as base_url:
        yield base_url


@pytest.mark.parametrize("examples", [2, pytest.param(100, marks=pytest.mark.full)])
def test_the_api_keeps_to_its_document(served: str, spare: list[str], prepared: Prepared, examples: int) -> None:
    found = let_it_run(served, prepared.tokens, examples=examples, known={"key_id": spare})
    assert found.faults == [], "\n\n".join(found.faults)
    assert {operation for operation, _ in found.answers} == (MATRIX.keys() | OPEN) - {"GET /v1/events/stream"}
    lists = {f"GET /v1/{each}" for each in ("audit", "chains", "disputes", "events", "keys", "swaps", "webhooks")}
    assert {each for each in lists if not found.reached(each)} == set(), "it speaks with good keys"
    changed = ("POST /v1/keys/{key_id}/rotate", "DELETE /v1/keys/{key_id}", "DELETE /v1/webhooks/{webhook_id}")
    assert all(map(found.reached, changed)), "it knows ids of what there is"
