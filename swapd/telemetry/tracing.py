"""Spans by OpenTelemetry: how long each part of a request, a reconcile or a call to a node took, within what.

Off by default, and then nothing of OpenTelemetry's SDK is imported. Names and attributes are written here and redacted
as log lines are; of an error its redacted words, and no stack. No trace is taken up from outside: nobody else decides
what is kept of it, and under which name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from swapd.errors import Invalid
from swapd.telemetry.redact import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORT_SECONDS = 5
"""For one batch of spans, and for the last one at the end. Whoever collects them must not hold up an orderly stop."""


class Tracer(Protocol):
    def span(self, name: str, **attributes: object) -> AbstractContextManager[None]:
        """Around something that takes time. What is raised in it goes on."""

    def close(self) -> None:
        """Hand over what is left; slow, so in a thread."""


class NoTracing:
    def span(self, name: str, **attributes: object) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        pass


NO_TRACING = NoTracing()


def open_tracing(otlp_url: str, share: float, exporter: SpanExporter | None = None) -> Tracer:
    """otlp_url: where OTLP over HTTP is taken, the whole URL. share: of the traces that are kept, 0 to 1. exporter:
    another way for them, for tests. Raises Invalid where OpenTelemetry is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError:
        expected = "OpenTelemetry, which is not installed here: pip install 'swapd[tracing]'; \"\" turns tracing off"
        raise Invalid("tracing.otlp_url", Redactor().text(otlp_url), expected) from None
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": "swapd"}),
        shutdown_on_exit=False,
    )
    if exporter is None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp_url, timeout=EXPORT_SECONDS)))
    else:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


class Tracing:
    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("swapd")
        self._redactor = Redactor()

    @contextmanager
    def span(self, name: str, **attributes: object) -> Iterator[None]:
        shown = {key: self._attribute(value) for key, value in attributes.items()}
        with self._tracer.start_as_current_span(
            name, attributes=shown, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                from opentelemetry.trace import StatusCode

                span.set_status(StatusCode.ERROR, self._redactor.text(f"{type(error).__name__}: {error}"))
                raise

    def close(self) -> None:
        self._provider.shutdown()

    def _attribute(self, value: object) -> Any:
        shown = self._redactor.value(value)
        return shown if isinstance(shown, bool | int | float | str) else str(shown)
