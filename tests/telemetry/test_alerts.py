"""config/alerts.yml by Prometheus' own checker: its syntax, and that each alert fires when it should and not before."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from swapd.devnet.fetch import promtool
from tests.telemetry.test_metrics_page import METRICS

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = CHECKOUT / "config" / "alerts.yml"

ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
NAMES = [alert["alert"] for alert in ALERTS]

Series = dict[str, str]
"""By selector, values in promtool's notation: `0+1x60` is 0, 1, 2 ... each a minute after the other."""

Q = "queue"
CASES: dict[str, tuple[Series, Series]] = {
    "SwapdDown": ({'up{job="swapd"}': "0x60"}, {'up{job="swapd"}': "1x60"}),
    "SwapdLoopStuck": ({"swapd_loop_age_seconds": "300x60"}, {"swapd_loop_age_seconds": "60x60"}),
    "SwapdDeadlineNear": (
        {'swapd_unsent_deadline_seconds{kind="claim"}': "1000x60"},
        {'swapd_unsent_deadline_seconds{kind="claim"}': "4000x60"},
    ),
    "SwapdDeadlinePassed": (
        {'swapd_nearest_deadline_seconds{kind="claim"}': "-10x60"},
        {
            'swapd_nearest_deadline_seconds{kind="refund"}': "-10x60",
            'swapd_nearest_deadline_seconds{kind="claim"}': "10x60",
        },
    ),
    "SwapdSwapFailed": ({'swapd_swaps{status="failed"}': "3x30 4x30"}, {'swapd_swaps{status="failed"}': "3x60"}),
    "SwapdEffectsRefused": (
        {'swapd_effects_total{kind="lock",outcome="refused"}': "0+3x60"},
        {'swapd_effects_total{kind="lock",outcome="unavailable"}': "0+3x60"},
    ),
    "SwapdFeeCapReached": (
        {'swapd_conditions{chain="bitcoin",condition="fee.held_back_by_cap"}': "1x60"},
        {
            'swapd_conditions{chain="bitcoin",condition="fee.held_back_by_cap"}': "0x60",
            'swapd_conditions{chain="bitcoin",condition="wallet.not_ready"}': "1x60",
        },
    ),
    "SwapdChainAway": ({'swapd_chain_up{chain="icp"}': "0x60"}, {'swapd_chain_up{chain="icp"}': "0 1 0 1x57"}),
    "SwapdChainStandsStill": (
        {'swapd_chain_height{chain="bitcoin"}': "7x200", 'swapd_chain_up{chain="bitcoin"}': "1x200"},
        {'swapd_chain_height{chain="bitcoin"}': "7+0.02x200", 'swapd_chain_up{chain="bitcoin"}': "1x200"},
    ),
    "SwapdDeepReorg": (
        {
            'swapd_reorg_depth_blocks_count{chain="bitcoin"}': "0x50 1x10",
            'swapd_reorg_depth_blocks_bucket{chain="bitcoin",le="2.0"}': "0x60",
        },
        {
            'swapd_reorg_depth_blocks_count{chain="bitcoin"}': "0x50 1x10",
            'swapd_reorg_depth_blocks_bucket{chain="bitcoin",le="2.0"}': "0x50 1x10",
        },
    ),
    "SwapdClockDrift": (
        {'swapd_chain_clock_beyond_margins{chain="icp"}': "1x60"},
        {'swapd_chain_clock_beyond_margins{chain="icp"}': "0x60"},
    ),
    "SwapdNodeErrors": (
        {
            'swapd_rpc_errors_total{chain="icp",endpoint="a",error="timeout"}': "0+30x60",
            'swapd_rpc_seconds_count{chain="icp",endpoint="a"}': "0+60x60",
        },
        {
            'swapd_rpc_errors_total{chain="icp",endpoint="a",error="timeout"}': "0+3x60",
            'swapd_rpc_seconds_count{chain="icp",endpoint="a"}': "0+60x60",
        },
    ),
    "SwapdNodeSlow": (
        {
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="5.0"}': "0+1x60",
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="10.0"}': "0+60x60",
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="+Inf"}': "0+60x60",
        },
        {
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="5.0"}': "0+60x60",
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="10.0"}': "0+60x60",
            'swapd_rpc_seconds_bucket{chain="icp",endpoint="a",le="+Inf"}': "0+60x60",
        },
    ),
    "SwapdEntryShut": (
        {"swapd_entry_open": "0x60", "swapd_starting": "0x60"},
        {"swapd_entry_open": "0x60", "swapd_starting": "1x60"},
    ),
    "SwapdStarting": ({"swapd_starting": "1x60"}, {"swapd_starting": "1x5 0x55"}),
    "SwapdStoreTrouble": ({"swapd_store_trouble": "1x60"}, {"swapd_store_trouble": "0x60"}),
    "SwapdDamagedRows": ({"swapd_damaged_rows": "1x60"}, {"swapd_damaged_rows": "0x60"}),
    "SwapdHotBalanceLow": (
        {
            'swapd_hot_balance{chain="ethereum",asset="ETH"}': "110x60",
            'swapd_hot_promised{asset="ETH"}': "100x60",
        },
        {
            'swapd_hot_balance{chain="ethereum",asset="ETH"}': "0x60",
            'swapd_hot_promised{asset="ETH"}': "0x60",
            'swapd_hot_balance{chain="bitcoin",asset="BTC"}': "200x60",
            'swapd_hot_promised{asset="BTC"}': "100x60",
        },
    ),
    "SwapdExposureHigh": (
        {'swapd_exposure{asset="BTC"}': "95x60", 'swapd_exposure_max{asset="BTC"}': "100x60"},
        {'swapd_exposure{asset="BTC"}': "85x60", 'swapd_exposure_max{asset="BTC"}': "100x60"},
    ),
    "SwapdQueueLong": ({'swapd_queue_depth{queue="due"}': "300x60"}, {'swapd_queue_depth{queue="webhooks"}': "300x60"}),
    "SwapdDisputeOpen": ({"swapd_disputes_open": "1x80"}, {"swapd_disputes_open": "0x80"}),
    "SwapdDeadLetters": ({"swapd_webhook_dead_letters": "1x60"}, {"swapd_webhook_dead_letters": "0x60"}),
    "SwapdWebhooksBehind": (
        {'swapd_queue_depth{queue="webhooks"}': "600x60"},
        {'swapd_queue_depth{queue="due"}': "600x60"},
    ),
    "SwapdApiErrors": (
        {'swapd_api_requests_total{status="500"}': "0+1x60", 'swapd_api_requests_total{status="200"}': "0+9x60"},
        {'swapd_api_requests_total{status="404"}': "0+9x60", 'swapd_api_requests_total{status="200"}': "0+9x60"},
    ),
    "SwapdApiGuessing": (
        {'swapd_api_requests_total{status="401"}': "0+20x60"},
        {'swapd_api_requests_total{status="401"}': "0+1x60"},
    ),
}
"""When it fires, and when it does not though something like it is there. Looked at after an hour or three."""


def checker() -> str:
    (program,) = promtool().command
    return program


def checked(*words: str | Path) -> str:
    done = subprocess.run([checker(), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def minutes(series: Series) -> int:
    return max(sum(int(n) + 1 for n in re.findall(r"x(\d+)", values)) for values in series.values()) - 1


def test_promtool_takes_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in checked("check", "rules", RULES)


def test_promtool_would_find_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        RULES.read_text().replace("max by (chain) (swapd_chain_up) == 0", "max by (chain (swapd_chain_up)")
    )
    done = subprocess.run(
        [checker(), "check", "rules", broken], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0


def test_every_alert_has_its_cases() -> None:
    assert list(CASES) == NAMES


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    tests = []
    for name, cases in CASES.items():
        for series, fires in zip(cases, (True, False), strict=True):
            tests.append(
                {
                    "interval": "1m",
                    "name": f"{name} {'fires' if fires else 'is quiet'}",
                    "input_series": [{"series": selector, "values": values} for selector, values in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
                            "eval_time": f"{minutes(series)}m",
                            "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                        }
                    ],
                }
            )
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    checked("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_every_alert_is_made_of_metrics_that_exist(alert: dict[str, Any]) -> None:
    used = re.findall(r"\b(swapd_\w+)(?:\{([^}]*)\})?", alert["expr"])
    assert used or "up{" in alert["expr"]
    for name, selectors in used:
        base = name if name in METRICS else re.sub(r"_(bucket|count|sum)$", "", name)
        assert base in METRICS, name
        labels = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)", selectors)) - {"le"}
        assert labels <= set(METRICS[base][1]), f"{name} has no {labels}"


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"


# -- docs/runbook.md

PAGE = (CHECKOUT / "docs" / "runbook.md").read_text()
PARTS = ("**Means.**", "**swapd.**", "**You.**", "**Until.**")


def test_the_runbook_has_every_alert_and_no_other() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_says_what_it_means_what_swapd_does_what_to_do_and_until_when(name: str) -> None:
    section = PAGE.partition(f"### {name}\n")[2].partition("\n#")[0]
    places = [section.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
