"""The audit chain as an event log: what is told, to whom, and where a reader goes on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from store_samples import RawSql, add_swap

import swapd
from swapd.chains.base import TxState
from swapd.errors import Invalid, Rejected
from swapd.store import EffectState, RequestState, Store
from swapd.store.events import KINDS, PING, SPAN, TYPES, Event, Sight, event_json
from swapd.store.records import DisputeState

PRIVATE = {
    "transaction signed": "nothing is out yet",
    "effect wanted": "nothing is out yet",
    "effect signed": "nothing is out yet",
    "effect sent": "the transaction tells more",
    "request waiting": "nothing is decided yet",
    "request decided": "told as accepted or refused",
    "request overruled": "of the house",
    "request given_up": "of the house",
    "answer signed": "nothing is out yet",
    "dispute open": "told as opened",
    "sightings forgotten": "of the database's health",
    "recovered": "of the house",
    "refund asked for": "of the house",
}
"""What the chain holds and nobody outside is told, and why. `key ...` and `webhook ...` are about people's access."""


async def say(store: Store, event: str, swap_id: str | None = None, **data: object) -> None:
    async with store.write() as tx:
        tx.audit(event, swap_id, **data)  # type: ignore[arg-type]


async def read(store: Store, sight: Sight, after: int = 0, limit: int = 100) -> tuple[list[int], int, bool]:
    async with store.read() as tx:
        found = await tx.events(sight, after, limit)
    return [event.id for event in found.events], found.next, found.more


async def test_events_are_the_chains_entries_in_public_words(store: Store) -> None:
    swap_id = await add_swap(store)
    await say(store, "status", swap_id, before="accepted", after="expired", note="n", inner="not for others")
    leg = {"state": "locked", "lock_ref": "r", "lock_txid": "t", "spend_txid": None, "strays": "[]"}
    await say(store, "legs", swap_id, initiator=leg)
    await say(store, "transaction signed", swap_id, txid="t")
    async with store.read() as tx:
        events = (await tx.events(Sight(), 0, 100)).events
    assert [event.type for event in events] == ["swap.created", "swap.status_changed", "swap.legs_changed"]
    assert events[1].data == {"before": "accepted", "after": "expired", "note": "n"}
    assert events[2].data == {"initiator": {"state": "locked", "lock_ref": "r", "lock_txid": "t", "spend_txid": None}}
    assert {event.swap_id for event in events} == {swap_id}


def test_the_form_is_one_for_all() -> None:
    assert event_json(Event(7, "swap.created", 1_800_000_000, "id", {"status": "accepted"})) == {
        "id": 7,
        "type": "swap.created",
        "time": {"unix": 1_800_000_000, "rfc3339": "2027-01-15T08:00:00Z"},
        "swap_id": "id",
        "data": {"status": "accepted"},
    }


async def test_a_tenant_sees_its_own_swaps_alone(store: Store) -> None:
    mine, other, house = [await add_swap(store) for _ in range(3)]
    async with store.write() as tx:
        await tx.own(mine, "shop", {})
        await tx.own(other, "bazaar", {})
    await say(store, "request taken", None, chain="c", ref="r")
    assert await read(store, Sight("shop")) == ([1], 4, False)
    assert await read(store, Sight("bazaar")) == ([2], 4, False)
    assert await read(store, Sight("nobody")) == ([], 4, False)
    assert (await read(store, Sight()))[0] == [1, 2, 3, 4]
    assert await read(store, Sight("shop", swap_id=other)) == ([], 4, False)
    assert await read(store, Sight(swap_id=house)) == ([3], 4, False)


async def test_a_reader_goes_on_where_it_stood(store: Store) -> None:
    for number in range(7):
        await say(store, "status" if number % 2 else "legs", "swap")
    only = Sight(types=frozenset({"swap.status_changed"}))
    assert await read(store, only, 0, 2) == ([2, 4], 4, True)
    assert await read(store, only, 4, 2) == ([6], 7, False)
    assert await read(store, only, 7, 2) == ([], 7, False)


async def test_a_question_goes_through_a_bounded_part_of_the_chain(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SPAN >= 1000
    monkeypatch.setattr("swapd.store.events.SPAN", 3)
    for event in (*["transaction signed"] * 5, "status"):
        await say(store, event, "swap")
    assert await read(store, Sight()) == ([], 3, True)
    assert await read(store, Sight(), 3) == ([6], 6, False)


async def test_a_number_from_a_chain_that_was_longer_is_refused(store: Store) -> None:
    await say(store, "status", "swap")
    with pytest.raises(Rejected, match="there was no event 9: the last one is 1"):
        await read(store, Sight(), 9)


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid, match=r"types: got 'swap.vanished', expected one of swap.created"):
        Sight(types=frozenset({"swap.created", "swap.vanished"}))


async def test_damaged_data_is_told_as_such_and_stops_nobody(store: Store, raw_sql: RawSql) -> None:
    for _ in range(2):
        await say(store, "status", "swap", note="n")
    await raw_sql.drop_audit_triggers()
    await raw_sql.run("UPDATE audit SET data = 'no json' WHERE seq = 1")
    async with store.read() as tx:
        assert [dict(event.data) for event in (await tx.events(Sight(), 0, 9)).events] == [
            {"damaged": True},
            {"note": "n"},
        ]


# -- the words of the chain

STATES = {
    "state": [*EffectState, *RequestState, *DisputeState],
    "fate.state": [*TxState],
    "state.value": [*DisputeState],
}


def said() -> set[str]:
    """Everything that some line of the code says in the chain; an f-string stands for all that it can become."""
    found = set()
    for path in Path(swapd.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "audit"
            if not called or not node.args:
                continue
            for first in _texts(node.args[0]):
                found.add(first)
    return found


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        (words,) = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
        kinds = {"transaction": TxState, "effect": EffectState, "request": RequestState, "dispute": DisputeState}
        return [f"{words}{state.value}" for state in kinds[words.strip()]]
    return []


def test_whatever_is_said_in_the_chain_is_public_or_private_on_purpose() -> None:
    words = said()
    assert "swap added" in words
    assert "transaction mined" in words
    public = {kind.said for kind in KINDS}
    undecided = {each for each in words - public - PRIVATE.keys() if not each.startswith(("key ", "webhook "))}
    assert not undecided, "an event in swapd/store/events.py, or a reason in PRIVATE"
    assert public <= words | {"database restored"}, "told, and never said"


def test_every_event_is_explained_in_the_docs() -> None:
    page = (Path(swapd.__file__).parents[1] / "docs" / "events.md").read_text()
    assert not [kind.type for kind in (*KINDS, PING) if f"| `{kind.type}` |" not in page]
    assert set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", page, re.MULTILINE)) == {*TYPES, PING.type}
