"""Swaps over HTTP: made once, seen by whom they belong to, called off."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.store import KeyRole
from tests.api.conftest import Api, problem

UNKNOWN = "0" * 16


async def test_an_unknown_swap_is_not_found(api: Api) -> None:
    for role in (KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR):
        problem(await api.get(f"/v1/swaps/{UNKNOWN}", role), 404, "not-found")


@pytest.mark.parametrize("swap_id", ["x", "0" * 17, "G" * 16, "..%2f..%2fetc"])
async def test_what_is_no_swap_id_is_no_swap(api: Api, swap_id: str) -> None:
    answer = await api.get(f"/v1/swaps/{swap_id}", KeyRole.OPERATOR)
    assert answer.status_code in (404, 422)


async def test_nothing_is_listed_where_nothing_is(api: Api) -> None:
    answer = await api.get("/v1/swaps", KeyRole.OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"items": [], "next": None}


def form(**changes: Any) -> dict[str, Any]:
    return {
        "give": "BTC",
        "give_amount": "1000000",
        "get": "ETH",
        "get_amount": "1000000000000000000",
        "initiator": {"wallet": "hot"},
        "participant": {"wallet": "hot"},
    } | changes


async def test_without_an_idempotency_key_nothing_is_made(api: Api) -> None:
    problem(await api.post("/v1/swaps", KeyRole.OPERATOR, json=form()), 400, "idempotency-key-missing")


async def test_an_asset_that_is_not_traded_is_named(api: Api) -> None:
    answer = await api.post("/v1/swaps", KeyRole.OPERATOR, json=form(), headers={"Idempotency-Key": "a"})
    assert problem(answer, 422, "invalid")["field"] == "give"
