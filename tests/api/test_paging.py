"""Pages, their cursors, and entity tags."""

from __future__ import annotations

import pytest
from fastapi import APIRouter

from swapd.api.app import ROUTERS
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import Api, Opening, problem

PATH = "/v1/trial/numbers"


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    return (*ROUTERS, trial.router)


async def test_pages_together_are_everything_once(api: Api) -> None:
    found: list[int] = []
    query: dict[str, str | int] = {"limit": 7}
    while True:
        page = (await api.get(PATH, KeyRole.ADMIN, params=query)).json()
        found += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == list(range(25))


async def test_a_page_has_a_size_of_its_own_if_nobody_asks(api: Api) -> None:
    assert len((await api.get(PATH, KeyRole.ADMIN)).json()["items"]) == 25
    problem(await api.get(PATH, KeyRole.ADMIN, params={"limit": 201}), 422, "invalid")


async def cursor(api: Api, who: KeyRole = KeyRole.ADMIN, **filters: str) -> str:
    made: str = (await api.get(PATH, who, params={"limit": "5"} | filters)).json()["next"]
    return made


async def refused(api: Api, text: str, who: KeyRole = KeyRole.ADMIN, path: str = PATH, **filters: str) -> None:
    told = problem(await api.get(path, who, params={"cursor": text} | filters), 422, "invalid")
    assert told["field"] == "cursor"


async def test_a_cursor_that_was_changed_is_refused(api: Api) -> None:
    good = await cursor(api)
    for at in range(0, len(good), 7):
        await refused(api, good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :])
    await refused(api, good[:-4])
    await refused(api, good + "AAAA")


async def test_a_cursor_is_good_for_its_route_its_filters_and_its_tenant_alone(api: Api) -> None:
    good = await cursor(api)
    await refused(api, good, path="/v1/keys")
    await refused(api, good, even="true")
    await refused(api, await cursor(api, even="true"))
    await refused(api, good, KeyRole.MARKETPLACE)


async def test_a_cursor_outlives_a_restart(opening: Opening) -> None:
    async with opening() as api:
        good = await cursor(api)
    async with opening() as api:
        page = (await api.get(PATH, KeyRole.ADMIN, params={"cursor": good, "limit": 1})).json()
    assert page["items"] == [5]


STATE = "/v1/trial/state"


async def test_what_has_not_changed_is_not_sent_again(api: Api) -> None:
    first = await api.get(STATE, KeyRole.ADMIN)
    tag = first.headers["etag"]
    for said in (tag, f"W/{tag}", "*", f'"other", {tag}'):
        again = await api.get(STATE, KeyRole.ADMIN, headers={"If-None-Match": said})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    changed = await api.get(f"{STATE}?number=2", KeyRole.ADMIN, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_nothing_is_changed_on_an_old_reading(api: Api) -> None:
    tag = (await api.get(STATE, KeyRole.ADMIN)).headers["etag"]
    problem(await api.ask("PUT", STATE, KeyRole.ADMIN), 428, "precondition-required")
    problem(await api.ask("PUT", STATE, KeyRole.ADMIN, headers={"If-Match": '"x"'}), 412, "precondition-failed")
    weak = {"If-Match": f"W/{tag}"}
    problem(await api.ask("PUT", STATE, KeyRole.ADMIN, headers=weak), 412, "precondition-failed")
    problem(
        await api.ask("PUT", f"{STATE}?number=2", KeyRole.ADMIN, headers={"If-Match": tag}), 412, "precondition-failed"
    )
    for said in (tag, "*"):
        assert (await api.ask("PUT", STATE, KeyRole.ADMIN, headers={"If-Match": said})).json() == {"number": 2}
