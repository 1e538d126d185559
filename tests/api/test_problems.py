"""Every error is a problem document, and says nothing that is not the caller's business."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from structlog.testing import capture_logs

from swapd.api.app import ROUTERS
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import Api, problem


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    return (*ROUTERS, trial.router)


async def test_an_unknown_path_is_not_found_and_only_with_a_key(api: Api) -> None:
    told = problem(await api.get("/v1/nothing", KeyRole.ADMIN), 404, "not-found")
    assert told["instance"] == "/v1/nothing"
    problem(await api.get("/v1/nothing"), 401, "unauthorized")


FAILURES = [
    ("invalid", 422, "invalid"),
    ("rejected", 409, "refused"),
    ("conflict", 409, "conflict"),
    ("unavailable", 503, "unavailable"),
    ("unknown", 502, "outcome-unknown"),
    ("damaged", 500, "damaged"),
    ("swapd", 500, "mistake"),
    ("anything else", 500, "mistake"),
    ("problem", 403, "forbidden"),
]


@pytest.mark.parametrize(("how", "status", "kind"), FAILURES)
async def test_every_error_is_a_problem_and_tells_a_marketplace_nothing_of_the_house(
    api: Api, how: str, status: int, kind: str
) -> None:
    answer = await api.get(f"/v1/trial/fails/{how}", KeyRole.MARKETPLACE)
    problem(answer, status, kind)
    assert trial.SECRET not in answer.text


async def test_who_belongs_to_the_house_hears_what_our_nodes_say(api: Api) -> None:
    answer = await api.get("/v1/trial/fails/unavailable", KeyRole.OPERATOR)
    assert trial.SECRET in problem(answer, 503, "unavailable")["detail"]
    assert int(answer.headers["retry-after"]) > 0


async def test_an_unknown_outcome_says_so(api: Api) -> None:
    told = problem(await api.get("/v1/trial/fails/unknown", KeyRole.OPERATOR), 502, "outcome-unknown")
    assert "the outcome is not known" in told["detail"]


async def test_a_mistake_of_ours_says_nothing_but_its_request_which_the_log_has_too(api: Api) -> None:
    with capture_logs() as lines:
        answer = await api.get("/v1/trial/fails/oh", KeyRole.ADMIN, headers={"X-Request-ID": "mine-12345"})
    told = problem(answer, 500, "mistake")
    assert trial.SECRET not in answer.text
    assert told["request_id"] == "mine-12345"
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["http.mistake"]


async def test_a_problem_names_the_rule_and_when_it_becomes_possible(api: Api) -> None:
    told = problem(await api.get("/v1/trial/fails/problem", KeyRole.ADMIN), 403, "forbidden")
    assert (told["rule"], told["possible_at"]) == ("S2", 7)


async def test_a_request_id_is_taken_if_it_is_sane_and_made_if_not(api: Api) -> None:
    for given in ("abcd1234", "A.b_c-9876543210"):
        answer = await api.get("/v1/me", KeyRole.ADMIN, headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given
    for strange in ("short", "x" * 65, "has space here", "new{line}", ""):
        answer = await api.get("/v1/me", KeyRole.ADMIN, headers={"X-Request-ID": strange})
        assert answer.headers["x-request-id"] not in ("", strange)
    made = {(await api.get("/v1/me", KeyRole.ADMIN)).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3


async def test_no_answer_is_kept_by_anybody_on_the_way(api: Api) -> None:
    for answer in (await api.get("/v1/me", KeyRole.ADMIN), await api.get("/v1/me")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_open_route_needs_no_key(api: Api) -> None:
    assert (await api.get("/v1/trial/open")).status_code == 200
    assert (await api.get("/v1/trial/open", "swk_wrong")).status_code == 200
