"""The settings in force, without their secrets."""

from __future__ import annotations

import json

import pytest

from swapd.api.redacted import HIDDEN, shown
from swapd.settings import load
from swapd.store import KeyRole
from tests.api.conftest import CONFIG, Api

HUNTER = "hunter2"


@pytest.mark.parametrize(
    ("variable", "value", "key", "left"),
    [
        ("SWAPD__DATABASE__URL", f"postgresql://swapd:{HUNTER}@db/swapd", "database.url", "postgresql://db/…"),
        ("SWAPD__CHAINS__ETHEREUM__RPC_URL", f"https://rpc.example/{HUNTER}", "chains.ethereum.rpc_url", None),
        ("SWAPD__CHAINS__ETHEREUM__RPC_URL", f"https://rpc.example/?key={HUNTER}", "chains.ethereum.rpc_url", None),
        ("SWAPD__CHAINS__ETHEREUM__RPC_URL", f"https://me:{HUNTER}@rpc.example", "chains.ethereum.rpc_url", None),
        (
            "SWAPD__CHAINS__ETHEREUM__MORE_RPC_URLS",
            f'["https://rpc.example/v3/{HUNTER}"]',
            "chains.ethereum.more_rpc_urls",
            ["https://rpc.example/…"],
        ),
    ],
)
def test_s9_a_secret_in_a_setting_is_not_shown(variable: str, value: str, key: str, left: object) -> None:
    told = shown(load(CONFIG, {variable: value}))
    assert HUNTER not in json.dumps(told)
    found: object = told
    for part in key.split("."):
        assert isinstance(found, dict)
        found = found[part]
    assert left is None or found == left
    assert found != HIDDEN


def test_amounts_are_strings_and_everything_is_json() -> None:
    told = shown(load(CONFIG, {}))

    def integers(value: object) -> list[int]:
        if isinstance(value, dict):
            return [found for each in value.values() for found in integers(each)]
        if isinstance(value, list):
            return [found for each in value for found in integers(each)]
        return [value] if isinstance(value, int) else []

    assert json.loads(json.dumps(told)) == told
    assert max(integers(told)) < 2**53
    for chain in told["chains"].values():
        for asset in chain["assets"].values():
            amounts = [asset["minimum"], asset["maximum"], *(tier["up_to"] for tier in asset["tiers"][:-1])]
            assert all(isinstance(amount, str) and amount.isdigit() for amount in amounts)


async def test_every_section_is_there(api: Api) -> None:
    answer = await api.get("/v1/settings", KeyRole.AUDITOR)
    assert set(answer.json()["settings"]) == set(shown(api.service.settings))
    assert "etag" in answer.headers
