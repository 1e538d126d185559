"""Spans: off by default, and then not even imported; on, without a secret; without the extra, one clear error."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swapd.cli.run import watched
from swapd.devnet.party import CONFIG
from swapd.errors import Invalid, Rejected
from swapd.settings import load
from swapd.telemetry.redact import REDACTED
from swapd.telemetry.telemetry import Telemetry
from swapd.telemetry.tracing import NoTracing, Tracing, open_tracing
from swapd.vault.known import KNOWN

SECRET = hashlib.sha256(b"a secret of the tracing tests").digest()
KNOWN.add(SECRET)


def test_spans_of_effects_and_calls_lie_within_their_reconcile() -> None:
    kept = InMemorySpanExporter()
    telemetry = Telemetry(tracer=open_tracing("http://127.0.0.1:1/", 1.0, kept))
    with (
        telemetry.reconcile("0123456789abcdef"),
        telemetry.effect("claim:participant", "claim"),
        telemetry.of("bitcoin")("node:8332", "getblock"),
    ):
        pass
    rpc, effect, reconcile = kept.get_finished_spans()
    assert [each.name for each in (rpc, effect, reconcile)] == ["rpc", "effect", "reconcile"]
    assert rpc.attributes == {"chain": "bitcoin", "endpoint": "node:8332", "method": "getblock"}
    assert rpc.parent is not None
    assert effect.parent is not None
    assert (rpc.parent.span_id, effect.parent.span_id) == (effect.context.span_id, reconcile.context.span_id)
    assert reconcile.parent is None
    telemetry.tracer.close()


def test_s9_neither_attributes_nor_errors_of_a_span_hold_a_secret() -> None:
    kept = InMemorySpanExporter()
    tracer = open_tracing("http://127.0.0.1:1/", 1.0, kept)
    with (
        pytest.raises(Rejected),
        tracer.span("rpc", method=SECRET.hex(), url="http://me:hunter2@node/", raw=SECRET, items=[SECRET]),
    ):
        raise Rejected(f"the node said {SECRET.hex()}, Bearer abcdefghij")
    (span,) = kept.get_finished_spans()
    shown = span.to_json()
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in shown
    assert "hunter2" not in shown
    assert "abcdefghij" not in shown
    assert span.attributes is not None
    assert span.attributes["method"] == REDACTED
    assert (span.status.status_code.name, span.events) == ("ERROR", ())


def test_a_share_of_none_keeps_none() -> None:
    kept = InMemorySpanExporter()
    with open_tracing("http://127.0.0.1:1/", 0.0, kept).span("request"):
        pass
    assert kept.get_finished_spans() == ()


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_off_nothing_that_keeps_or_sends_spans_is_imported() -> None:
    """FastAPI imports the bare interface by itself where it is installed; without an SDK that does nothing."""
    program = """
        import sys, swapd.cli.main
        print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
    """
    assert run(program) == "[]"


def test_without_the_extra_it_is_one_clear_error() -> None:
    program = """
        import sys
        sys.modules["opentelemetry"] = None
        from swapd.telemetry.tracing import NoTracing, Tracing, open_tracing
        try:
            open_tracing("http://me:hunter2@127.0.0.1:4318/v1/traces", 1.0)
        except Exception as error:
            print(type(error).__name__, error)
    """
    said = run(program)
    assert said.startswith(f"{Invalid.__name__} tracing.otlp_url: ")
    assert "swapd[tracing]" in said
    assert "hunter2" not in said


def test_who_collects_spans_and_is_away_holds_up_nothing() -> None:
    tracer = open_tracing("http://127.0.0.1:1/v1/traces", 1.0)
    with tracer.span("request"):
        pass
    tracer.close()


@pytest.mark.parametrize(("url", "kind"), [("", NoTracing), ("http://127.0.0.1:1/v1/traces", Tracing)])
async def test_the_daemon_traces_where_its_settings_want_it(url: str, kind: type, tmp_path: Path) -> None:
    settings = load(CONFIG, {"SWAPD__TRACING__OTLP_URL": url, "SWAPD__DAEMON__DATA_DIR": str(tmp_path)})
    async with watched(settings) as telemetry:
        assert isinstance(telemetry.tracer, kind)


def test_s9_an_url_that_is_wrong_is_not_repeated_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load(CONFIG, {"SWAPD__TRACING__OTLP_URL": "ftp://me:hunter2@node/", "SWAPD__DAEMON__DATA_DIR": str(tmp_path)})
    assert caught.value.field == "tracing.otlp_url"
    assert "hunter2" not in str(caught.value)
