"""Alive, ready, well, and in figures: what is open says nothing that helps an attacker, and the rest needs a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from swapd.api.app import make_app
from swapd.coordinator.daemon import Daemon, Pace
from swapd.coordinator.health import STUCK_SECONDS
from swapd.coordinator.watch import Watcher
from swapd.store import KeyRole
from swapd.telemetry.facts import FACTS
from tests.api.conftest import Api, Opening, problem

TOLD = "http://user:hunter2@node.example:8332 said no (code -28), 3 blocks behind"


@pytest.fixture
async def api(opening: Opening) -> AsyncIterator[Api]:
    """With a daemon that has started, and whose loop the test turns."""
    async with opening() as api:
        daemon = Daemon(api.service.house, Pace(1, 60, 60, 5), worker="worker")
        await daemon.start()
        api.service.daemon = daemon
        yield api
        await daemon.lifeboat.close()


def daemon_of(api: Api) -> Daemon:
    assert api.service.daemon is not None
    return api.service.daemon


def with_chain(api: Api, trouble: str) -> None:
    """A chain that the settings name and whose nodes are as this says."""
    watcher = Watcher(api.service.house, "bitcoin")
    watcher.trouble = trouble
    daemon_of(api).watchers["bitcoin"] = watcher


async def test_a_daemon_that_is_well_is_alive_and_ready_and_says_no_more(api: Api) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()) == (200, {"ok": True})


async def test_a_loop_that_does_not_turn_is_not_alive(api: Api) -> None:
    daemon_of(api).pulse.at -= STUCK_SECONDS + 1
    told = problem(await api.get("/healthz"), 503, "unavailable")
    assert told["parts"] == [{"part": "loop", "why": "stuck"}]
    daemon_of(api).pulse.beat()
    assert (await api.get("/healthz")).status_code == 200


async def test_each_turn_of_the_loop_is_a_beat(api: Api) -> None:
    daemon_of(api).pulse.at -= STUCK_SECONDS + 1
    await daemon_of(api).turn()
    assert (await api.get("/healthz")).status_code == 200


async def test_it_is_not_ready_while_it_starts(api: Api) -> None:
    daemon_of(api).gate.starting = True
    told = problem(await api.get("/readyz"), 503, "unavailable")
    assert [each["part"] for each in told["parts"]] == ["starting"]
    assert (await api.get("/healthz")).status_code == 200


async def test_it_is_not_ready_without_its_database_and_says_nothing_of_it(api: Api) -> None:
    api.service.house.store._health.failed("password authentication failed for user swapd")
    answer = await api.get("/readyz")
    assert [each["part"] for each in problem(answer, 503, "unavailable")["parts"]] == ["store"]
    assert "password" not in answer.text
    assert (await api.get("/healthz")).status_code == 200, "no restart of swapd mends a database"


async def test_it_is_not_ready_without_a_chain_and_names_it_alone(api: Api) -> None:
    with_chain(api, TOLD)
    answer = await api.get("/readyz")
    assert [each["part"] for each in problem(answer, 503, "unavailable")["parts"]] == ["bitcoin"]
    for word in ("node.example", "hunter2", "8332", "-28", "3 blocks"):
        assert word not in answer.text


async def test_an_entry_that_its_operator_halted_is_ready(api: Api) -> None:
    daemon_of(api).gate.halted = True
    assert (await api.get("/readyz")).status_code == 200


async def test_without_a_daemon_it_lives_and_is_not_ready(api: Api) -> None:
    api.service.daemon = None
    assert (await api.get("/healthz")).status_code == 200
    problem(await api.get("/readyz"), 503, "unavailable")
    problem(await api.get("/metrics", KeyRole.AUDITOR), 503, "unavailable")


@pytest.mark.parametrize("role", list(KeyRole))
async def test_how_it_is_in_words_is_for_the_house(api: Api, role: KeyRole) -> None:
    await daemon_of(api).health.look()
    answer = await api.get("/v1/health", role)
    if role is KeyRole.MARKETPLACE:
        problem(answer, 403, "forbidden")
    else:
        assert answer.status_code == 200
        lines = {line["name"]: line for line in answer.json()["lines"]}
        assert lines["store"]["says"] == "0 swaps are watched"
        assert lines["entry"]["ok"] is True


async def test_how_it_is_in_words_tells_what_is_needed(api: Api) -> None:
    api.service.house.store._health.failed("disk is full")
    await daemon_of(api).health.look()
    told = (await api.get("/v1/health", KeyRole.OPERATOR)).json()
    assert told["ok"] is False
    store = next(line for line in told["lines"] if line["name"] == "store")
    assert "free disk space" in store["needs"]
    assert store["since"]["unix"] > 0


@pytest.mark.parametrize("path", ["/v1/health", "/metrics"])
async def test_what_is_more_than_that_needs_a_key(api: Api, path: str) -> None:
    problem(await api.get(path), 401, "unauthorized")
    problem(await api.get(path, "swk_0123456789abcdef_wrong"), 401, "unauthorized")


async def figures(api: Api, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    answer = await api.get("/metrics", KeyRole.AUDITOR, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parse(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


async def test_figures_are_for_operators_and_auditors(api: Api) -> None:
    for role in KeyRole:
        answer = await api.get("/metrics", role)
        assert answer.status_code == (200 if role in (KeyRole.OPERATOR, KeyRole.AUDITOR) else 403)


async def test_every_figure_of_the_house_is_there(api: Api) -> None:
    found = await figures(api)
    without_a_chain = {name for name, fact in FACTS.items() if not {"chain", "asset", "kind"} & set(fact.labels)}
    assert found.keys() >= without_a_chain - {"swapd_next_deadline_seconds"}
    assert found["swapd_entry_open"][()] == 1
    assert found["swapd_swaps"]["completed",] == 0


async def test_prometheus_own_accept_gets_openmetrics(api: Api) -> None:
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    )
    answer = await api.get("/metrics", KeyRole.AUDITOR, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


async def test_requests_are_counted_by_route_and_never_by_id(api: Api) -> None:
    await api.get("/v1/me", KeyRole.AUDITOR)
    await api.get("/v1/me")
    await api.get("/v1/nothing-here/0123456789abcdef", KeyRole.AUDITOR)
    await api.ask("BREW", "/v1/me", KeyRole.AUDITOR)
    counted = (await figures(api))["swapd_api_requests_total"]
    assert counted["GET", "/v1/me", "200"] == 1
    assert counted["GET", "/v1/me", "401"] == 1
    assert counted["GET", "none", "404"] == 1
    assert [method for method, route, _ in counted if method not in ("GET",)] == ["other"]
    seconds = (await figures(api))["swapd_api_seconds_count"]
    assert seconds["GET", "/v1/me"] == 2


async def test_a_database_that_is_away_leaves_the_rest_of_the_figures(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_of(api).observatory, "_books", _nothing)
    found = await figures(api)
    assert "swapd_swaps" not in found
    assert found["swapd_store_trouble"][()] == 0


async def _nothing() -> dict[str, Any]:
    return {}


async def test_s9_no_figure_holds_a_nodes_path_or_user(api: Api) -> None:
    call = api.service.house.telemetry.of("bitcoin")
    with call("node.example:8332", "getblock"):
        pass
    text = (await api.get("/metrics", KeyRole.AUDITOR)).text
    assert 'swapd_rpc_seconds_count{chain="bitcoin",endpoint="node.example:8332"} 1.0' in text


async def test_s9_fastapis_own_telemetry_is_off_whatever_the_environment_says(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take bodies and stack traces along."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    app = make_app(api.service)
    assert not any(value for value in app._telemetry.values()), "every switch of it"
    assert not app._native_telemetry.enabled()
