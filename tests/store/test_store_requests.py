"""Requests: taken once, decided once and with their swap, answered by the bytes that are stored, and never made up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from store_samples import START, AesSealer, RawSql, add_swap, insert_swap, make_tx

from swapd.chains.base import Cursor, Posted
from swapd.errors import Invalid
from swapd.protocol.request import Refused, Request, Side
from swapd.protocol.terms import Wallet
from swapd.store import Conflict, DamagedRow, Reading, RequestRow, RequestState, Store
from swapd.store.codec import dumps, loads

CHAIN = "icp"
WAITING, DECIDED = RequestState.WAITING, RequestState.DECIDED
WEI = 10**20 + 1
"""More than 64 bits hold."""

REQUEST = Request("BTC", 123_456, "ETH", WEI, Side(Wallet.HOT), Side(Wallet.EXTERNAL, "refund-to", "receive-at", True))
POSTED = Posted("board/market/01", "market", START, REQUEST)
TOO_OLD = Refused("requested_at", "older than an hour")


async def take(store: Store, *posted: Posted) -> None:
    async with store.write() as tx:
        await tx.add_requests(CHAIN, posted)


async def get_request(store: Store, ref: str = POSTED.ref) -> RequestRow:
    async with store.read() as tx:
        row = await tx.request(CHAIN, ref)
    assert row is not None
    return row


async def accept(store: Store, row: RequestRow) -> str:
    async with store.write("market") as tx:
        swap_id = await insert_swap(tx)
        await tx.accept_request(row, swap_id)
    return swap_id


async def refuse(store: Store) -> RequestRow:
    async with store.write() as tx:
        await tx.refuse_request(await _row(tx), TOO_OLD)
    return await get_request(store)


async def _row(tx: Reading) -> RequestRow:
    row = await tx.request(CHAIN, POSTED.ref)
    assert row is not None
    return row


async def events(store: Store) -> list[str]:
    async with store.read() as tx:
        return [entry.event for entry in await tx.audit_trail()]


async def count_swaps(store: Store) -> int:
    async with store.read() as tx:
        return len((await tx.swaps()).swaps)


async def test_a_request_comes_back_as_it_was_asked_and_waits(store: Store) -> None:
    await take(store, POSTED)
    row = await get_request(store)
    assert row.request == REQUEST
    assert (row.by, row.asked_at, row.state, row.swap_id, row.refusal) == ("market", START, "waiting", None, None)
    assert (row.answer, row.attempts, row.next_try_at, row.error) == (None, 0, 0, "")
    async with store.read() as tx:
        assert (await tx.open_requests(CHAIN, WAITING)).requests == (row,)
        assert (await tx.open_requests(CHAIN, DECIDED)).requests == ()
        assert (await tx.open_requests("ethereum", WAITING)).requests == ()
        assert await tx.request(CHAIN, "board/market/02") is None


async def test_the_same_request_taken_twice_is_one_and_keeps_its_first_words(store: Store) -> None:
    await take(store, POSTED, POSTED)
    await take(store, replace(POSTED, request=replace(REQUEST, give_amount=1), at=START + 5))
    assert (await get_request(store)).request == REQUEST
    assert await events(store) == ["request taken"]


async def test_what_cannot_be_read_is_refused_when_it_is_taken(store: Store) -> None:
    await take(store, replace(POSTED, request=Refused("request", "not in a form that is understood")))
    row = await get_request(store)
    assert (row.state, row.request) == (RequestState.DECIDED, None)
    assert row.refusal == Refused("request", "not in a form that is understood")


async def test_a_swap_and_its_request_are_written_together(store: Store) -> None:
    await take(store, POSTED)
    swap_id = await accept(store, await get_request(store))
    row = await get_request(store)
    assert (row.state, row.swap_id) == (RequestState.DECIDED, swap_id)
    async with store.read() as tx:
        assert await tx.request_for(swap_id) == row
        assert [entry.event for entry in await tx.audit_trail(swap_id)] == ["swap added", "request accepted"]
        assert {entry.actor for entry in await tx.audit_trail(swap_id)} == {"market"}


async def test_of_two_workers_that_decide_one_makes_a_swap_and_the_other_leaves_no_trace(store: Store) -> None:
    await take(store, POSTED)
    row = await get_request(store)
    done = await asyncio.gather(*(accept(store, row) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Conflict", "Conflict", "str"]
    assert await count_swaps(store) == 1


async def test_a_request_that_was_refused_gets_no_swap(store: Store) -> None:
    await take(store, POSTED)
    waiting = await get_request(store)
    assert (await refuse(store)).refusal == TOO_OLD
    with pytest.raises(Conflict, match="decided already"):
        await accept(store, waiting)
    assert await count_swaps(store) == 0
    with pytest.raises(Conflict, match="decided already"):
        await refuse(store)


async def test_a_swap_is_unanswered_until_its_answer_stands_on_the_chain(store: Store) -> None:
    await take(store, POSTED)
    swap_id, other = await accept(store, await get_request(store)), await add_swap(store)
    async with store.read() as tx:
        assert await tx.unanswered(swap_id)
        assert not await tx.unanswered(other), "nobody asked for it on a chain"
    async with store.write() as tx:
        await tx.end_request(await _row(tx), RequestState.ANSWERED)
    async with store.read() as tx:
        assert not await tx.unanswered(swap_id)
        assert (await tx.open_requests(CHAIN, DECIDED)).requests == ()


@pytest.mark.parametrize("state", [RequestState.OVERRULED, RequestState.GIVEN_UP])
async def test_a_swap_whose_answer_never_stood_there_stays_unanswered(store: Store, state: RequestState) -> None:
    await take(store, POSTED)
    swap_id = await accept(store, await get_request(store))
    async with store.write() as tx:
        await tx.end_request(await _row(tx), state, "why")
    async with store.read() as tx:
        assert await tx.unanswered(swap_id)
    assert (await get_request(store)).error == "why"


async def test_the_answer_is_kept_as_it_was_signed_sealed_and_each_attempt_once(store: Store, raw_sql: RawSql) -> None:
    await take(store, POSTED)
    row = await refuse(store)
    tx_ = make_tx("answer", b"the signed answer")
    async with store.write() as tx:
        await tx.add_answer(row, tx_, START + 3)
    stored = await get_request(store)
    assert (stored.answer, stored.attempts, stored.next_try_at) == (tx_, 1, START + 3)
    with pytest.raises(Conflict, match="somebody else"):
        async with store.write() as tx:
            await tx.add_answer(row, make_tx("another"), START + 3)
    assert "the signed answer" not in repr(stored)
    async with store.write() as tx:
        await tx.add_answer(stored, make_tx("second"), START + 9, "the first came too late")
    assert (await get_request(store)).attempts == 2
    assert (await get_request(store)).error == "the first came too late"
    await raw_sql.run("UPDATE requests SET answer = :raw", raw=b"planted")
    with pytest.raises(DamagedRow, match=r"board/market/01 of table requests is damaged"):
        await get_request(store)


async def test_no_answer_is_signed_for_what_is_not_decided_or_stands_already(store: Store) -> None:
    await take(store, POSTED)
    waiting = await get_request(store)
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.add_answer(waiting, make_tx("answer"), START)
    row = await refuse(store)
    async with store.write() as tx:
        await tx.end_request(row, RequestState.ANSWERED)
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.add_answer(row, make_tx("answer"), START)


async def test_trouble_is_written_down_and_changes_nothing_else(store: Store) -> None:
    await take(store, POSTED)
    row = await get_request(store)
    async with store.write() as tx:
        await tx.delay_request(row, "the node is away", START + 3)
    delayed = await get_request(store)
    assert delayed == replace(row, error="the node is away", next_try_at=START + 3, updated_at=delayed.updated_at)
    swap_id = await accept(store, delayed)
    async with store.write() as tx:
        await tx.delay_request(delayed, "late words about what was decided since", START + 9)
    assert (await get_request(store)).error == ""
    assert (await get_request(store)).swap_id == swap_id


@pytest.mark.parametrize(
    "change",
    [
        "request = replace(request, '123456', '123457')",
        "request = NULL",
        "asked_at = asked_at + 1",
        "asker = 'another'",
        'refusal = \'{"field":"","reason":""}\'',
        "ref = 'board/market/02'",
    ],
)
async def test_a_request_that_somebody_planted_or_changed_in_the_database_is_damaged(
    store: Store, raw_sql: RawSql, change: str
) -> None:
    await take(store, POSTED, replace(POSTED, ref="board/market/09"))
    await raw_sql.run(f"UPDATE requests SET {change} WHERE ref = '{POSTED.ref}'")  # noqa: S608
    async with store.read() as tx:
        found = await tx.open_requests(CHAIN, WAITING)
    assert [row.ref for row in found.requests] == ["board/market/09"], "the others go on"
    (damaged,) = found.damaged
    assert damaged.table == "requests"


async def test_an_answer_cannot_be_turned_to_another_swap_in_the_database(store: Store, raw_sql: RawSql) -> None:
    await take(store, POSTED)
    await accept(store, await get_request(store))
    other = await add_swap(store)
    await raw_sql.run(f"UPDATE requests SET swap_id = '{other}'")  # noqa: S608
    with pytest.raises(DamagedRow):
        await get_request(store)


async def test_requests_are_listed_newest_first_and_by_state(store: Store) -> None:
    later = replace(POSTED, ref="board/market/02", at=START + 1)
    await take(store, POSTED, later)
    await refuse(store)
    async with store.read() as tx:
        assert [row.ref for row in (await tx.requests()).requests] == [later.ref, POSTED.ref]
        assert [row.ref for row in (await tx.requests(limit=1)).requests] == [later.ref]
        assert [row.ref for row in (await tx.requests(states=[RequestState.DECIDED])).requests] == [POSTED.ref]


async def test_the_oldest_request_goes_first(store: Store) -> None:
    later = replace(POSTED, ref="board/market/00", at=START + 1)
    await take(store, later, POSTED)
    async with store.read() as tx:
        assert [row.ref for row in (await tx.open_requests(CHAIN, WAITING)).requests] == [POSTED.ref, later.ref]


async def test_requests_and_the_cursor_of_their_board_are_written_together(store: Store) -> None:
    cursor = Cursor(7, "hash@board")

    async def take_and_fail() -> None:
        async with store.write() as tx:
            await tx.add_requests(CHAIN, [POSTED])
            await tx.set_cursor(f"{CHAIN} requests", cursor)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await take_and_fail()
    async with store.read() as tx:
        assert await tx.request(CHAIN, POSTED.ref) is None
        assert await tx.cursor(f"{CHAIN} requests") is None
    async with store.write() as tx:
        await tx.set_cursor(f"{CHAIN} requests", cursor)
    async with store.read() as tx:
        assert await tx.cursor(f"{CHAIN} requests") == cursor
        assert await tx.cursor(CHAIN) is None, "the chain's own scans have theirs"


async def test_the_story_of_a_request_is_in_the_audit_chain(store: Store) -> None:
    await take(store, POSTED)
    swap_id = await accept(store, await get_request(store))
    async with store.write() as tx:
        await tx.add_answer(await _row(tx), make_tx("answer"), START)
    async with store.write() as tx:
        await tx.end_request(await _row(tx), RequestState.ANSWERED)
    assert await events(store) == [
        *("request taken", "swap added", "request accepted", "answer signed", "request answered"),
    ]
    async with store.read() as tx:
        first = (await tx.audit_trail())[0]
        assert [entry.event for entry in await tx.audit_trail(swap_id)][1:] == [
            *("request accepted", "answer signed", "request answered"),
        ]
    assert f'"get_amount":"{WEI}"' in first.data


async def test_another_key_opens_no_request(url: str, store: Store) -> None:
    await take(store, POSTED)
    stranger = await Store.open(url, AesSealer(b"x" * 32))
    try:
        async with stranger.read() as tx:
            found = await tx.open_requests(CHAIN, WAITING)
    finally:
        await stranger.close()
    assert not found.requests
    assert len(found.damaged) == 1


def test_an_amount_in_a_request_is_a_decimal_string() -> None:
    assert f'"get_amount":"{WEI}"' in dumps(REQUEST)
    assert loads(Request, dumps(REQUEST)) == REQUEST
    with pytest.raises(Invalid, match=r"get_amount"):
        loads(Request, dumps(REQUEST).replace(f'"{WEI}"', str(WEI)))
