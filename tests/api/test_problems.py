"""Every error is a problem document, and says nothing that is not the caller's business."""

from __future__ import annotations

from swapd.store import KeyRole
from tests.api.conftest import Api, problem


async def test_an_unknown_path_is_not_found(api: Api) -> None:
    told = problem(await api.get("/v1/nothing", KeyRole.ADMIN), 404, "not-found")
    assert told["instance"] == "/v1/nothing"


async def test_me(api: Api) -> None:
    for role in KeyRole:
        answer = await api.get("/v1/me", role)
        assert answer.status_code == 200, answer.text
        assert answer.json()["role"] == role
