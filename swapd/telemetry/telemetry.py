"""Everything that watches, in one hand: what goes on is counted, timed, and named in each log line that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from structlog.contextvars import bound_contextvars

from swapd.telemetry.meter import Meter
from swapd.telemetry.tracing import NO_TRACING, Tracer

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

NO_ROUTE = "none"


@dataclass(frozen=True)
class Telemetry:
    """Nothing of it raises, waits, or changes what it is around."""

    meter: Meter = field(default_factory=Meter)
    tracer: Tracer = NO_TRACING

    @contextmanager
    def reconcile(self, swap_id: str) -> Iterator[None]:
        """Around the work on one swap: whatever is logged in it says which."""
        with bound_contextvars(swap=swap_id), self.tracer.span("reconcile", swap=swap_id):
            yield

    @contextmanager
    def effect(self, key: str, kind: str) -> Iterator[None]:
        """Around the work on one effect of it."""
        with bound_contextvars(effect=key), self.tracer.span("effect", effect=key, kind=kind):
            yield

    def request(self, method: str, route: str, request_id: str) -> AbstractContextManager[None]:
        """Around the answer to a request to the API. route: its pattern, "" for none that there is."""
        shown = {"method": _method(method), "route": route or NO_ROUTE, "request_id": request_id}
        return self.tracer.span("request", **shown)

    def answered(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """status: None if nobody was there any more to be answered. seconds: until the answer began."""
        self.meter.api_requests.labels(_method(method), route or NO_ROUTE, str(status or "none")).inc()
        self.meter.api_seconds.labels(_method(method), route or NO_ROUTE).observe(seconds)

    def outcome(self, kind: str, outcome: str) -> None:
        """One step of an effect: signed, sent, done, void, refused, unavailable, unknown or mistake."""
        self.meter.effects.labels(kind, outcome).inc()

    def reorg(self, chain: str, depth: int) -> None:
        self.meter.reorg(chain, depth)

    def of(self, chain: str) -> CallObserver:
        """Who hears of the calls to this chain's nodes."""
        return CallObserver(self, chain)


def _method(method: str) -> str:
    """Anybody can make up methods, and each would be a line of figures."""
    return method if method in METHODS else "other"


@dataclass(frozen=True)
class CallObserver:
    telemetry: Telemetry
    chain: str

    def __call__(self, endpoint: str, method: str) -> AbstractContextManager[None]:
        """Around one request. endpoint: its host alone. method: what is asked, for a span; too many for a metric."""
        return self._call(endpoint, method)

    @contextmanager
    def _call(self, endpoint: str, method: str) -> Iterator[None]:
        own = self.telemetry
        with (
            own.tracer.span("rpc", chain=self.chain, endpoint=endpoint, method=method),
            own.meter.call(self.chain, endpoint),
        ):
            yield
