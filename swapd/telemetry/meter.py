"""What happened, counted by this process in a registry of its own; and how things are, as whoever asks brings it along.

Names and units are as Prometheus wants them (https://prometheus.io/docs/practices/naming/). Every label has few values:
a chain, a status, a route; never a swap, a txid, a key or an address.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from swapd.telemetry.facts import FACTS, Figures

NODE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""A node of one's own answers in milliseconds, and is given up after `timeout_seconds`, 10 to 30."""

API_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

REORG_BLOCKS = (1, 2, 3, 6, 12, 32, 64)
"""What confirmations are asked for on some chain or other."""


class Meter:
    """One for a house."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.effects = Counter(
            "swapd_effects", "What became of steps in carrying out effects.", ["kind", "outcome"], registry=registry
        )
        self.reorgs = Counter("swapd_reorgs", "Reorganisations seen by scans.", ["chain"], registry=registry)
        self.reorg_depth = Histogram(
            "swapd_reorg_depth_blocks",
            "Blocks that a reorganisation took back.",
            ["chain"],
            buckets=REORG_BLOCKS,
            registry=registry,
        )
        self.rpc_seconds = Histogram(
            "swapd_rpc_seconds",
            "Time of a request to a node, whatever its outcome.",
            ["chain", "endpoint"],
            buckets=NODE_SECONDS,
            registry=registry,
        )
        self.rpc_errors = Counter(
            "swapd_rpc_errors",
            "Requests to a node without an answer that can be used.",
            ["chain", "endpoint", "error"],
            registry=registry,
        )
        self.api_requests = Counter(
            "swapd_api_requests", "Answers of the API.", ["method", "route", "status"], registry=registry
        )
        self.api_seconds = Histogram(
            "swapd_api_seconds",
            "Time until the API's answer began.",
            ["method", "route"],
            buckets=API_SECONDS,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

    def reorg(self, chain: str, depth: int) -> None:
        self.reorgs.labels(chain).inc()
        self.reorg_depth.labels(chain).observe(depth)

    @contextmanager
    def call(self, chain: str, endpoint: str) -> Iterator[None]:
        """Around one request to a node."""
        begun = perf_counter()
        try:
            yield
        except Exception as error:
            self.rpc_errors.labels(chain, endpoint, kind_of(error)).inc()
            raise
        finally:
            self.rpc_seconds.labels(chain, endpoint).observe(perf_counter() - begun)

    def render(self, figures: Figures, accept: str = "") -> tuple[bytes, str]:
        """All of it as the one who asks accepts it: body and content type."""
        encode, content_type = choose_encoder(accept)
        return encode(_Both(self.registry, figures)), content_type


@dataclass(frozen=True)
class _Both:
    registry: CollectorRegistry
    figures: Figures

    def collect(self) -> Iterable[Metric]:
        yield from self.registry.collect()
        yield from families(self.figures)


def families(figures: Figures) -> Iterator[Metric]:
    """One family for each fact that is known; of what could not be found out nothing is said."""
    build = GaugeMetricFamily("swapd_build_info", "The version that runs.", labels=["version", "python"])
    build.add_metric([version("swapd"), platform.python_version()], 1)
    yield build
    for name, fact in FACTS.items():
        if name not in figures:
            continue
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = kind(name, fact.means, labels=fact.labels)
        for labels, value in figures[name].items():
            family.add_metric(labels, value)
        yield family


_TIMEOUT = ("timeout",)
_CONNECTION = ("connect", "unreachable", "refused", "broken", "reset", "protocolerror", "readerror", "writeerror")


def kind_of(error: BaseException) -> str:
    """overloaded (the node wants to be left alone), timeout, connection, or unusable: the four values of the label
    `error`. By the types that an error comes from, because words change."""
    if getattr(error, "overloaded", False):
        return "overloaded"
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    names = " ".join(type(each).__name__ for each in causes).lower()
    if any(word in names for word in _TIMEOUT):
        return "timeout"
    return "connection" if any(word in names for word in _CONNECTION) else "unusable"
