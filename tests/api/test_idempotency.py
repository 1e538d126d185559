"""A request that may be sent again without being done again."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from swapd.api.app import ROUTERS
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import Api, Opening, problem

PATH = "/v1/trial/deposits"
DAY = 86_400


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    return (*ROUTERS, trial.router)


async def deposit(
    api: Api, key: str = "k-1", who: KeyRole | str = KeyRole.MARKETPLACE, path: str = PATH, **form: Any
) -> httpx.Response:
    return await api.post(path, who, json={"amount": "5"} | form, headers={"Idempotency-Key": key})


async def done(api: Api) -> int:
    return sum(each.endswith(": deposit") for each in await api.trail())


async def test_a_repeat_gets_the_first_answer_and_nothing_is_done_again(api: Api) -> None:
    first, again = await deposit(api), await deposit(api)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await done(api) == 1


async def test_over_a_restart_too(opening: Opening) -> None:
    async with opening() as api:
        first = await deposit(api)
    async with opening() as api:
        assert (await deposit(api)).content == first.content
        assert await done(api) == 1


async def test_a_key_with_and_without_quotation_marks_is_one(api: Api) -> None:
    first = await deposit(api, "k-1")
    assert (await deposit(api, '"k-1"')).content == first.content


async def test_the_same_key_with_another_request_is_refused(api: Api) -> None:
    await deposit(api)
    problem(await deposit(api, amount="6"), 422, "idempotency-key-reused")
    problem(await deposit(api, path=f"{PATH}?x=1"), 422, "idempotency-key-reused")
    assert await done(api) == 1


async def test_two_holders_may_choose_the_same_key(api: Api) -> None:
    _, other = await api.issue("other")
    answers = [await deposit(api, who=who) for who in (KeyRole.MARKETPLACE, KeyRole.OPERATOR, other)]
    assert [answer.json()["number"] for answer in answers] == [1, 2, 3]


async def test_twins_at_the_same_moment_are_done_once(api: Api) -> None:
    answers = await asyncio.gather(*(deposit(api) for _ in range(5)))
    good = [answer for answer in answers if answer.status_code == 201]
    assert good
    for answer in answers:
        if answer not in good:
            problem(answer, 409, "idempotency-key-in-use")
            assert answer.headers["retry-after"] == "1"
    assert await done(api) == 1


async def test_twins_at_two_workers_are_done_once(api: Api, opening: Opening) -> None:
    async with opening() as other:
        answers = await asyncio.gather(*(deposit(each) for each in (api, other) * 3))
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert await done(api) == 1


async def test_what_was_not_done_is_not_remembered(api: Api) -> None:
    problem(await deposit(api, amount="13"), 409, "refused")
    assert await done(api) == 0
    problem(await deposit(api, amount="13"), 409, "refused")
    assert (await deposit(api, amount="14")).status_code == 201


async def test_a_form_that_does_not_fit_uses_no_key_up(api: Api) -> None:
    problem(await deposit(api, amount=5), 422, "invalid")
    assert (await deposit(api)).status_code == 201
    assert api.service.under_way == set()


async def test_who_may_not_do_it_does_not_hear_whether_it_was_done(api: Api) -> None:
    await deposit(api)
    problem(await deposit(api, who=KeyRole.AUDITOR), 403, "forbidden")


async def test_it_survives_the_rotation_of_the_key(api: Api) -> None:
    first = await deposit(api)
    path = f"/v1/keys/{api.rows[KeyRole.MARKETPLACE].id}/rotate"
    token = (await api.post(path, KeyRole.ADMIN, json={"grace": 0})).json()["token"]
    assert (await deposit(api, who=token)).content == first.content


async def test_old_answers_are_forgotten_after_the_days_of_the_settings(api: Api) -> None:
    await deposit(api)
    await api.service.purge()
    assert (await deposit(api)).headers["idempotency-replayed"] == "true"
    async with api.service.house.store.write() as writing:
        await writing.forget_answers(-DAY)  # as if that were long ago
    assert (await deposit(api)).json()["number"] == 2
