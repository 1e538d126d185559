"""The hunt for secrets (S9): a whole swap with everything turned up, and then all that was written or told is looked
through, in every encoding that a secret could have got there by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swapd.api.app import make_app
from swapd.api.service import Service
from swapd.protocol.status import Status
from swapd.store import KeyRole
from swapd.telemetry.telemetry import Telemetry
from swapd.telemetry.tracing import open_tracing
from tests.api.matrix import MATRIX, SAMPLES
from tests.scenarios import hunt
from tests.scenarios.http import Http, http_of
from tests.scenarios.hunt import Hunt
from tests.scenarios.rig import Rig

pytestmark = pytest.mark.usefixtures("as_in_production")

READER = {KeyRole.OPERATOR: "olga", KeyRole.DISPUTE: "dora", KeyRole.AUDITOR: "aud", KeyRole.MARKETPLACE: "shop"}


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


async def test_s9_no_secret_is_in_logs_database_answers_figures_or_spans(
    rig: Rig, http: Http, spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    hunted = Hunt({"the node's password": rig.chains.bitcoind.auth[1].encode()})
    for side in rig.sides:
        hunted.never |= hunt.of_a_house(side) | hunt.of_a_swap(side, terms.index)
    hunted.never |= {f"token of {name}": bytes.fromhex(each.rpartition("_")[2]) for name, each in http.tokens.items()}
    hunted.unrevealed = {"preimage": rig.house.house.secrets.preimage(terms.index)}

    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    said = "".join(capsys.readouterr())
    told = await everything_told(rig, http, terms.swap_id)
    assert hunted.everywhere({"the log": said.encode(), "answers": told, "files": hunt.stored(rig)}) == []
    assert terms.swap_id in said, "there is a log"
    assert terms.swap_id.encode() in told, "there are answers"
    assert b"swapd_rpc_seconds_bucket" in told, "there are figures"

    await rig.until_over(terms.swap_id, Status.COMPLETED)
    said += "".join(capsys.readouterr())
    told = await everything_told(rig, http, terms.swap_id)
    shown = "".join(span.to_json() for span in spans.get_finished_spans())
    assert all(f'"name": "{name}"' in shown for name in ("request", "reconcile", "effect", "rpc")), "there are spans"
    assert hunted.within(told, hunted.unrevealed), "it is public now: the hunter sees what is there"
    assert hunted.everywhere({"the log": said.encode(), "spans": shown.encode()}) == []
    hunted.unrevealed = {}
    assert hunted.everywhere({"answers": told, "files": hunt.stored(rig)}) == []
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
