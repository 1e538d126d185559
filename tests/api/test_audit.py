"""The audit chain over HTTP: its entries, its end, and the proof that an entry is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swapd.store import KeyRole
from swapd.store.proof import check
from tests.api.conftest import Api, problem
from tests.store.store_samples import insert_swap

M, O, D, AU = KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR  # noqa: E741


async def say(api: Api, event: str, swap_id: str | None = None, **data: Any) -> int:
    async with api.service.house.store.write("world") as tx:
        tx.audit(event, swap_id, **data)
    return int((await api.get("/v1/audit/head", AU)).json()["seq"])


async def swap_of(api: Api, owner: str) -> str:
    async with api.service.house.store.write() as tx:
        swap_id = await insert_swap(tx)
        await tx.own(swap_id, owner, {})
    return swap_id


async def proof_of(api: Api, who: KeyRole, seq: int, query: str = "") -> list[dict[str, Any]]:
    pages, after = [], ""
    while True:
        answer = await api.get(f"/v1/audit/{seq}/proof?{query}{after}", who)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        if pages[-1]["next"] is None:
            return pages
        after = f"&after={pages[-1]['next']}"


async def test_entries_are_read_with_filters_and_in_pages(api: Api) -> None:
    swap_id = await swap_of(api, "shop")
    first = await say(api, "status", swap_id, note="n")
    await say(api, "something", None, number=1)
    everything = (await api.get("/v1/audit?limit=200", AU)).json()["items"]
    assert [item["seq"] for item in everything] == list(range(1, first + 2))
    assert everything[-1].keys() == {"seq", "at", "actor", "swap_id", "event", "data", "prev_hash", "hash"}
    assert everything[-1]["prev_hash"] == everything[-2]["hash"]
    for query, expected in (
        (f"swap_id={swap_id}", [first - 1, first]),
        ("event=something", [first + 1]),
        ("actor=world", [first, first + 1]),
        (f"actor=world&after={first}", [first + 1]),
        ("actor=nobody", []),
    ):
        assert [item["seq"] for item in (await api.get(f"/v1/audit?{query}", D)).json()["items"]] == expected
    page = (await api.get("/v1/audit?actor=world&limit=1", O)).json()
    rest = (await api.get(f"/v1/audit?actor=world&limit=1&cursor={page['next']}", O)).json()
    assert [item["seq"] for item in page["items"] + rest["items"]] == [first, first + 1]
    assert rest["next"] is None
    problem(await api.get(f"/v1/audit?limit=1&cursor={page['next']}", O), 422, "invalid")


async def test_a_marketplace_reads_no_entries_and_knows_the_end(api: Api) -> None:
    problem(await api.get("/v1/audit", M), 403, "forbidden")
    head = (await api.get("/v1/audit/head", M)).json()
    async with api.service.house.store.read() as reading:
        found = await reading.verify_audit()
    assert (head["seq"], head["hash"]) == (found.seq, found.hash)


async def test_an_entry_is_proven_against_a_head_that_was_kept(api: Api) -> None:
    seq = await say(api, "something", None, number=7)
    for number in range(4):
        await say(api, "something else", None, number=number)
    kept = (await api.get("/v1/audit/head", AU)).json()
    await say(api, "and on it goes")
    pages = await proof_of(api, AU, seq, f"head={kept['seq']}&limit=2")
    assert len(pages) == 2
    proven = check(pages, (kept["seq"], kept["hash"]))
    assert json.loads(proven.content)["data"] == {"number": 7}
    newest = (await api.get("/v1/audit/head", AU)).json()
    assert check(await proof_of(api, D, seq)).head == (newest["seq"], newest["hash"])


async def test_a_marketplace_has_what_happened_to_its_own_swaps_proven_and_nothing_else(api: Api) -> None:
    mine, other = await swap_of(api, "shop"), await swap_of(api, "bazaar")
    good = await say(api, "status", mine, note="mine")
    hidden = [
        await say(api, "status", other, note="not mine"),
        await say(api, "dispute note", mine, dispute=1, note="for handlers"),
        await say(api, "transaction signed", mine, txid="t"),
        await say(api, "key issued", None, name="x"),
    ]
    (page,) = await proof_of(api, M, good)
    assert check([page]).seq == good
    assert "not mine" not in json.dumps(page)
    assert "for handlers" not in json.dumps(page)
    for seq in hidden:
        problem(await api.get(f"/v1/audit/{seq}/proof", M), 404, "not-found")
        assert check(await proof_of(api, O, seq)).seq == seq


@pytest.mark.parametrize("query", ["head=1", "after=1", "head=99999999"])
async def test_numbers_that_do_not_fit_are_not_found(api: Api, query: str) -> None:
    seq = await say(api, "something")
    problem(await api.get(f"/v1/audit/{seq}/proof?{query}", AU), 404, "not-found")
    problem(await api.get(f"/v1/audit/{seq + 1}/proof", AU), 404, "not-found")


@pytest.mark.parametrize("path", ["/v1/audit/x/proof", "/v1/audit/0/proof", "/v1/audit?after=x", "/v1/audit?swap_id=x"])
async def test_what_is_no_number_is_invalid(api: Api, path: str) -> None:
    problem(await api.get(path, AU), 422, "invalid")
