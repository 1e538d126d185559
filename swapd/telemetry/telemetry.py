"""Everything that watches, in one hand: what goes on is counted, timed, and named in each log line that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from structlog.contextvars import bound_contextvars

from swapd.telemetry.meter import Meter
from swapd.telemetry.tracing import NO_TRACING, Tracer


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

    def outcome(self, kind: str, outcome: str) -> None:
        """One step of an effect: signed, sent, done, void, refused, unavailable, unknown or mistake."""
        self.meter.effects.labels(kind, outcome).inc()

    def reorg(self, chain: str, depth: int) -> None:
        self.meter.reorg(chain, depth)

    def of(self, chain: str) -> CallObserver:
        """Who hears of the calls to this chain's nodes."""
        return CallObserver(self, chain)


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
