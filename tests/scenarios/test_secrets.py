"""The hunt for secrets (S9): a whole swap with everything turned up, and then all that was written or told is looked
through, in every encoding that a secret could have got there by."""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest
import structlog
from bitcoin.base58 import encode as base58
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swapd.api.app import make_app
from swapd.api.service import Service
from swapd.protocol.status import Status
from swapd.store import KeyRole
from swapd.telemetry.logs import log_as
from swapd.telemetry.telemetry import Telemetry
from swapd.telemetry.tracing import open_tracing
from swapd.vault import KeyPurpose, Vault
from tests.api.matrix import MATRIX, SAMPLES
from tests.scenarios.http import Http, http_of
from tests.scenarios.rig import Rig

READER = {KeyRole.OPERATOR: "olga", KeyRole.DISPUTE: "dora", KeyRole.AUDITOR: "aud", KeyRole.MARKETPLACE: "shop"}


def encodings(secret: bytes) -> list[bytes]:
    """What to look for: raw, hex, base 64 in every alignment, base 58, a list, and as `repr` writes it."""
    middles = [base64.b64encode(bytes(before) + secret)[4:40] for before in range(3)]
    return [
        secret,
        secret.hex().encode(),
        *middles,
        *(each.replace(b"+", b"-").replace(b"/", b"_") for each in middles),
        base58(secret).encode(),
        str(list(secret))[1:-1].encode(),
        repr(secret)[2:-1].encode(),
        str(int.from_bytes(secret, "big")).encode(),
    ]


def found(content: bytes, secrets: dict[str, bytes]) -> list[str]:
    lower = content.lower()
    return [
        name
        for name, secret in secrets.items()
        if any(each in content for each in encodings(secret)) or secret.hex().encode() in lower
    ]


def keys_of(rig: Rig, index: int) -> dict[str, bytes]:
    """Of both sides: what must never be seen anywhere."""
    secrets: dict[str, bytes] = {}
    for side in rig.sides:
        vault = side.house.secrets
        assert isinstance(vault, Vault)
        held = {
            "seed": vault._seed,
            "tree seed": vault._tree_seed,
            "store key": vault._store_key,
            "Ethereum key": vault._ethereum_key(),
            "ICP key": vault._icp_key(),
            "claim key": vault._bitcoin_key(index, KeyPurpose.CLAIM),
            "refund key": vault._bitcoin_key(index, KeyPurpose.REFUND),
        }
        secrets |= {f"{side.name}: {name}": secret.reveal() for name, secret in held.items()}
        secrets[f"{side.name}: passphrase"] = (side.folder / "passphrase").read_bytes()
        secrets[f"{side.name}: node's password"] = rig.chains.bitcoind.auth[1].encode()
    return secrets


@pytest.fixture(autouse=True)
def as_in_production() -> Iterator[None]:
    """JSON lines at level debug, and afterwards the logging of this process as it was."""
    root, hook, settings = logging.getLogger(), sys.excepthook, structlog.get_config()
    handlers, level = list(root.handlers), root.level
    log_as("debug", "json")
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**settings)


@pytest.fixture
async def spans(rig: Rig) -> InMemorySpanExporter:
    """The house is traced."""
    kept = InMemorySpanExporter()
    tracer = open_tracing("http://127.0.0.1:1/", 1.0, kept)
    telemetry = Telemetry(rig.house.house.telemetry.meter, tracer)
    rig.house.house = replace(rig.house.house, telemetry=telemetry)
    rig.house.daemon = replace(rig.house.daemon, house=rig.house.house)
    await rig.house.daemon.start()
    return kept


@pytest.fixture
async def http(rig: Rig, spans: InMemorySpanExporter) -> AsyncIterator[Http]:
    async with http_of(rig.house) as made:
        yield made


async def everything_told(rig: Rig, http: Http, swap_id: str) -> bytes:
    """Every answer to a question about this swap, by whoever may ask most; and to wrong ones."""
    told = b""
    transport = httpx.ASGITransport(
        make_app(Service(rig.house.house, rig.house.settings, rig.house.daemon)), raise_app_exceptions=False
    )
    samples = SAMPLES | {"swap_id": swap_id, "seq": "1"}
    asked = [name.removeprefix("GET ") for name in MATRIX if name.startswith("GET ") and "stream" not in name]
    async with httpx.AsyncClient(transport=transport, base_url="http://swapd") as client:
        for pattern in asked:
            for role in MATRIX[f"GET {pattern}"] & READER.keys():
                for path in {pattern.format(**samples), pattern.format(**(samples | {"role": "participant"}))}:
                    headers = {"Authorization": f"Bearer {http.tokens[READER[role]]}"}
                    answer = await client.get(path, headers=headers)
                    assert answer.status_code < 500 or path == "/metrics", f"{path}: {answer.text}"
                    told += answer.content + str(answer.headers).encode()
        for body in (b"{", b'{"preimage": 1}', b"[" * 100):
            answer = await client.post(f"/v1/swaps/{swap_id}/refund", content=body)
            told += answer.content
    return told


def stored(rig: Rig) -> bytes:
    """All files of both sides, but for those that are there to hold secrets."""
    files = (path for side in rig.sides for path in side.folder.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files if path.name not in ("seed.json", "passphrase"))


async def test_s9_no_secret_is_in_logs_database_answers_figures_or_spans(
    rig: Rig, http: Http, spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    never = keys_of(rig, terms.index)
    tokens = {f"token of {name}": token.rpartition("_")[2] for name, token in http.tokens.items()}
    never |= {name: bytes.fromhex(token) for name, token in tokens.items()}
    preimage = {"preimage": rig.house.house.secrets.preimage(terms.index)}

    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    said = "".join(capsys.readouterr())
    told = await everything_told(rig, http, terms.swap_id)
    for place, content in {"the log": said.encode(), "answers": told, "files": stored(rig)}.items():
        assert found(content, never | preimage) == [], place
    assert terms.swap_id in said, "there is a log"
    assert terms.swap_id.encode() in told, "there are answers"
    assert b"swapd_rpc_seconds_bucket" in told, "there are figures"

    await rig.until_over(terms.swap_id, Status.COMPLETED)
    said += "".join(capsys.readouterr())
    told = await everything_told(rig, http, terms.swap_id)
    shown = "".join(span.to_json() for span in spans.get_finished_spans())
    assert all(f'"name": "{name}"' in shown for name in ("request", "reconcile", "effect", "rpc")), "there are spans"
    assert found(told, preimage), "it is public now: the hunter sees what is there"
    for place, content in {"answers": told, "files": stored(rig)}.items():
        assert found(content, never) == [], place
    for place, text in {"the log": said, "spans": shown}.items():
        assert found(text.encode(), never | preimage) == [], place
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
