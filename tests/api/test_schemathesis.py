"""The whole API against its own document: whatever a machine makes of it, good and bad, with every check there is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

from swapd.api.app import make_document
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
from tests.api.matrix import MATRIX, OPEN

PATIENCE = 30
PACE = Pace(tick=1, sweep=60, lease=60, stop=5)
SCHEMA = schemathesis.openapi.from_dict(make_document())
SCHEMA.config.checks.negative_data_rejection.expected_statuses += ["408", "412", "413", "431"]
"""Also right for data that does not fit: it may be too long to be looked at."""


@pytest.fixture(scope="module")
def served(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an API on a real socket, in a thread of its own. No chain is enabled."""
    folder = tmp_path_factory.mktemp("served")
    file = folder / "swapd.db"
    file.write_bytes(prepared.file.read_bytes())
    file.chmod(0o600)
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, port, ready, stop)))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join(PATIENCE)


async def _serve(folder: Path, port: int, ready: threading.Event, stop: threading.Event) -> None:
    limits = {"REQUESTS_PER_MINUTE": 1_000_000, "REQUESTS_PER_MINUTE_ALL": 1_000_000, "WRONG_KEYS": 1_000_000}
    variables = (
        {f"SWAPD__CHAINS__{chain.upper()}__ENABLED": "false" for chain in CHAINS}
        | {f"SWAPD__API__LIMITS__{name}": str(value) for name, value in limits.items()}
        | {"SWAPD__DAEMON__DATA_DIR": str(folder), "SWAPD__API__ENABLED": "true", "SWAPD__API__PORT": str(port)}
    )
    made = load(CONFIG, variables)
    with Vault(Secret(SEED), Network.DEVNET) as vault:
        store = await Store.open(f"sqlite:///{folder}/swapd.db", vault)
        try:
            house = make_house(made, vault, store)
            daemon = Daemon(house, PACE, worker="idle")
            daemon.gate.starting = False  # there is nothing to look at first
            async with serving(Service(house, made, daemon), daemon.stopping):
                await _listening(port)
                ready.set()
                await asyncio.to_thread(stop.wait)
        finally:
            await store.close()


async def _listening(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def holder(case: Case) -> KeyRole | None:
    """Somebody who may use the route."""
    name = f"{case.operation.method.upper()} {case.operation.path}"
    return None if name in OPEN else min(MATRIX[name])


def takes_what_the_document_promises(ctx: CheckContext, response: Response, case: Case) -> None:
    """In place of `positive_data_acceptance`: data that fits the document is not refused for its form. It may be
    refused for what it means, which no schema says: an address of no chain, an asset that is not traded, a cursor that
    was made up. Then the problem names the field and has no list of faults of the form."""
    if response.status_code == 422 and "errors" not in response.json():
        assert response.json()["field"]
        return
    positive_data_acceptance(ctx, response, case)


def checked(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


def check(case: Case, base_url: str, tokens: Mapping[KeyRole, str]) -> None:
    if case.operation.path.endswith("/stream"):
        return  # it does not end: tests/api/test_events.py
    role = holder(case)
    case.call_and_validate(
        base_url=base_url,
        timeout=PATIENCE,
        headers={} if role is None else {"Authorization": f"Bearer {tokens[role]}"},
        excluded_checks=[positive_data_acceptance],
        additional_checks=[takes_what_the_document_promises],
    )


@SCHEMA.parametrize()
@checked(examples=15)
def test_the_api_keeps_to_its_document(case: Case, served: str, prepared: Prepared) -> None:
    check(case, served, prepared.tokens)


@pytest.mark.full
@SCHEMA.parametrize()
@checked(examples=500)
def test_the_api_keeps_to_its_document_whatever_comes(case: Case, served: str, prepared: Prepared) -> None:
    check(case, served, prepared.tokens)
