"""Floods: one key is slowed, others are served, and ways out are never limited (rule S8)."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter

from swapd.api.app import ROUTERS
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import Api, problem, until

LIMIT = 20
INSIDE, WAITING = 2, 3


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    limits = {
        "REQUESTS_PER_MINUTE": LIMIT,
        "REQUESTS_PER_MINUTE_ALL": 10 * LIMIT,
        "CONCURRENT_PER_KEY": INSIDE,
        "WAITING_PER_KEY": WAITING,
    }
    return variables | {f"SWAPD__API__LIMITS__{name}": str(value) for name, value in limits.items()}


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    return (*ROUTERS, trial.router)


async def test_a_flood_from_one_key_leaves_others_served(api: Api) -> None:
    answers = [await api.get("/v1/me", KeyRole.MARKETPLACE) for _ in range(5 * LIMIT)]
    assert [answer.status_code for answer in answers[:LIMIT]] == [200] * LIMIT
    assert LIMIT <= sum(answer.status_code == 200 for answer in answers) <= LIMIT + 2  # as the window slides on
    problem(answers[-1], 429, "too-many-requests")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 120
    assert (await api.get("/v1/me", KeyRole.OPERATOR)).status_code == 200


async def test_what_is_refused_does_not_use_up_what_all_have_together(api: Api) -> None:
    for _ in range(11 * LIMIT):
        await api.get("/v1/me", KeyRole.MARKETPLACE)
    assert (await api.get("/v1/me", KeyRole.OPERATOR)).status_code == 200


async def test_all_keys_together_have_a_limit(api: Api) -> None:
    tokens = [(await api.issue(f"shop-{number}"))[1] for number in range(11)]
    answers = [await api.get("/v1/me", token) for token in tokens for _ in range(LIMIT)]
    assert [answer.status_code for answer in answers[: 10 * LIMIT]] == [200] * 10 * LIMIT
    assert "together" in problem(answers[-1], 429, "too-many-requests")["detail"]


async def test_every_answer_says_what_is_left(api: Api) -> None:
    answers = [await api.get("/v1/me", KeyRole.MARKETPLACE) for _ in range(2)]
    assert answers[0].headers["ratelimit-policy"] == f'"key";q={LIMIT};w=60'
    left = [int(answer.headers["ratelimit"].partition(";r=")[2].partition(";")[0]) for answer in answers]
    assert left[0] == LIMIT - 1 > left[1] - 1  # the window may slide on in between


async def test_a_key_may_have_a_limit_of_its_own(api: Api) -> None:
    _, token = await api.issue("slow", rate=3)
    statuses = [(await api.get("/v1/me", token)).status_code for _ in range(8)]
    assert statuses[:3] == [200] * 3
    assert statuses[-1] == 429


async def test_s8_a_way_out_is_never_limited(api: Api) -> None:
    for _ in range(2 * LIMIT):
        await api.get("/v1/me", KeyRole.MARKETPLACE)
    problem(await api.get("/v1/me", KeyRole.MARKETPLACE), 429, "too-many-requests")
    for _ in range(2 * LIMIT):
        assert (await api.post("/v1/trial/exit", KeyRole.MARKETPLACE)).status_code == 200


async def test_a_key_that_waits_for_slow_answers_fills_its_own_line_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "waiting", asyncio.Event())
    held = [asyncio.create_task(api.get("/v1/trial/wait", KeyRole.MARKETPLACE)) for _ in range(INSIDE + WAITING)]
    line = api.service.rates._lines
    await until(lambda: bool(line) and line[api.rows[KeyRole.MARKETPLACE].id].there == INSIDE + WAITING)
    problem(await api.get("/v1/me", KeyRole.MARKETPLACE), 429, "too-many-requests")
    assert (await api.get("/v1/me", KeyRole.OPERATOR)).status_code == 200
    assert (await api.post("/v1/trial/exit", KeyRole.MARKETPLACE)).status_code == 200
    trial.waiting.set()
    assert {answer.status_code for answer in await asyncio.gather(*held)} == {200}
    assert not api.service.rates._lines


async def test_who_may_not_enter_counts_too(api: Api) -> None:
    answers = [await api.get("/v1/keys", KeyRole.MARKETPLACE) for _ in range(2 * LIMIT)]
    assert {answer.status_code for answer in answers[:LIMIT]} == {403}
    problem(await api.get("/v1/keys", KeyRole.MARKETPLACE), 429, "too-many-requests")
