"""`swapd requests`, and the request in `swapd swap show`: who asked on which chain, and what they were told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.base import Posted
from swapd.cli.show import console
from swapd.coordinator.house import House
from swapd.protocol.request import Refused, Request, Side
from swapd.protocol.terms import Wallet
from swapd.store import RequestState
from tests.cli.desk import HOT_TO_PERSON, PERSON_BTC, PERSON_ETH, Desk

REQUEST = {"chain", "ref", "by", "asked_at", "asked", "state", "swap", "refused", "trouble", "attempts"}

CHAIN = "icp"
ASKED = Request("BTC", 1_000_000, "ETH", 10**20, Side(Wallet.HOT), Side(Wallet.EXTERNAL, PERSON_ETH, PERSON_BTC))
FIRST = Posted("board/market/01", "market", 1_800_000_000, ASKED)
SECOND = replace(FIRST, ref="board/market/02", at=1_800_000_060)


def take(desk: Desk, *posted: Posted) -> None:
    async def add(house: House) -> None:
        async with house.store.write() as writing:
            await writing.add_requests(CHAIN, posted)

    desk.in_house(add)


def accept(desk: Desk, ref: str, swap_id: str) -> None:
    async def decide(house: House) -> None:
        async with house.store.write() as writing:
            row = await writing.request(CHAIN, ref)
            assert row is not None
            await writing.accept_request(row, swap_id)

    desk.in_house(decide)


def refuse(desk: Desk, ref: str) -> None:
    async def decide(house: House) -> None:
        async with house.store.write() as writing:
            row = await writing.request(CHAIN, ref)
            assert row is not None
            await writing.refuse_request(row, Refused("get_amount", "got 1, expected [bold]more[/]"))
            row = await writing.request(CHAIN, ref)
            assert row is not None
            await writing.end_request(row, RequestState.ANSWERED)

    desk.in_house(decide)


def test_requests_are_listed_newest_first_with_what_became_of_them(desk: Desk) -> None:
    assert desk.ask("requests") == []
    take(desk, FIRST, SECOND)
    swap_id = desk.create(HOT_TO_PERSON)["id"]
    accept(desk, FIRST.ref, swap_id)
    refuse(desk, SECOND.ref)

    second, first = desk.ask("requests")
    assert first.keys() == second.keys() == REQUEST
    assert (first["ref"], first["by"], first["chain"], first["state"]) == (FIRST.ref, "market", CHAIN, "decided")
    assert (first["swap"], first["refused"]) == (swap_id, None)
    assert first["asked"]["get_amount"] == "100000000000000000000"
    assert first["asked_at"] == {"unix": 1_800_000_000, "utc": "2027-01-15T08:00:00Z"}
    assert (second["swap"], second["state"]) == (None, "answered")
    assert second["refused"] == {"field": "get_amount", "reason": "got 1, expected [bold]more[/]"}
    assert [row["ref"] for row in desk.ask("requests", "--state", "answered")] == [SECOND.ref]
    assert [row["ref"] for row in desk.ask("requests", "--limit", "1")] == [SECOND.ref]


def test_a_table_of_requests_shows_strangers_words_as_they_are(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    take(desk, FIRST, SECOND)
    refuse(desk, SECOND.ref)
    monkeypatch.setattr(console, "_width", 300)
    shown = desk.run("requests").stdout
    assert "waiting" in shown
    assert "get_amount: got 1, expected [bold]more[/]" in shown
    assert "market on icp" in shown


def test_a_swap_names_the_request_that_it_was_made_for(desk: Desk) -> None:
    created = desk.create(HOT_TO_PERSON)
    assert created["request"] is None
    take(desk, FIRST)
    accept(desk, FIRST.ref, created["id"])

    told = desk.ask("swap", "show", created["id"])["request"]
    assert told == desk.ask("requests")[0]
    shown = desk.run("swap", "show", created["id"]).stdout
    assert "asked for by market on icp, 2027-01-15T08:00:00Z" in shown
    assert FIRST.ref in shown
    assert "request accepted" in shown


def test_a_request_that_was_changed_in_the_database_is_shown_as_damaged_and_keeps_no_other_from_view(
    desk: Desk,
) -> None:
    take(desk, FIRST, SECOND)
    desk.change_database("UPDATE requests SET asker = 'another' WHERE ref = 'board/market/01'")
    result = desk.run("requests", "--json")
    assert SECOND.ref in result.stdout
    assert FIRST.ref not in result.stdout
    assert f"row icp/{FIRST.ref} of table requests is damaged" in result.stderr
