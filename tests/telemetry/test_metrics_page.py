"""docs/metrics.md names every metric that there is, with its kind and labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from swapd.telemetry.facts import FACTS
from swapd.telemetry.meter import Meter, families

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()


def _existing() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By name as it is scraped: type and labels."""
    meter = Meter()
    found: dict[str, tuple[str, tuple[str, ...]]] = {
        name: ("counter" if name.endswith("_total") else "gauge", fact.labels) for name, fact in FACTS.items()
    }
    for each in vars(meter).values():
        if hasattr(each, "_labelnames"):
            name = f"{each._name}_total" if each._type == "counter" else each._name
            found[name] = (each._type, tuple(each._labelnames))
    (build, *_) = families({})
    found[build.name] = (build.type, tuple(build.samples[0].labels))
    return found


METRICS = _existing()

ROW = re.compile(r"^\| `(swapd_\w+)(?:\{([^}]*)\})?` \| (\w+) \| (.+) \|$", re.MULTILINE)


def test_every_metric_is_on_the_page_as_it_is() -> None:
    told = {name: (kind, tuple(labels.split(", ")) if labels else ()) for name, labels, kind, _ in ROW.findall(PAGE)}
    assert told == METRICS


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    for name, (kind, labels) in METRICS.items():
        assert re.fullmatch(r"swapd(_[a-z]+)+", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|count|sum|bucket)$", name), name
        assert len(labels) <= 3, name


MANY = {"swap", "swap_id", "txid", "key", "address", "account", "url", "path", "request_id", "owner"}


def test_no_label_has_as_many_values_as_there_are_swaps_or_callers() -> None:
    assert not [name for name, (_, labels) in METRICS.items() if MANY & set(labels)]
