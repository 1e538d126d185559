"""Requests in the log of a real canister on a replica: read with proof, answered once, and by nobody else's word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.base import Asked, Cursor, Given, Posted, SignedTx, TxState
from swapd.chains.icp import interface
from swapd.chains.icp.board import PATIENCE, Board
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.principal import text
from swapd.errors import Rejected, Unavailable
from swapd.protocol.request import Accepted, Answer, OfferedLeg, Refused, Request, Side
from swapd.protocol.terms import Role, Wallet
from tests.chains.icp.market import HOT, Marketplace, acknowledge, allow, external, open_marketplace
from tests.chains.icp.proxy import changed, reply, status
from tests.chains.icp.world import World, new_world

BLOCKS = "icrc3_get_blocks"
TIP = "icrc3_get_tip_certificate"

ASKED: dict[str, Any] = {
    "give": "BTC",
    "give_amount": 100_000,
    "get": "ICP",
    "get_amount": 3 * 10**30,
    "initiator": external("tb1-refund", "aaaaa-receive", claims_itself=True),
    "participant": HOT,
}
READ = Request(
    "BTC", 100_000, "ICP", 3 * 10**30, Side(Wallet.EXTERNAL, "tb1-refund", "aaaaa-receive", True), Side(Wallet.HOT)
)
ONE, TWO = b"\x01", b"\x02" * 32
NO = Refused("get_amount", "got 3, expected 1 to 2")


def leg(role: Role, reference: str) -> OfferedLeg:
    return OfferedLeg(role, "icp", "ICP", 10**19, "sender", "receiver", 2_000_000_000, 1_999_990_000, reference)


YES = Accepted("0123456789abcdef", b"\x07" * 32, (leg(Role.INITIATOR, "first"), leg(Role.PARTICIPANT, "second")))


class Shop:
    """A marketplace that may ask, and a board that listens to it."""

    def __init__(self, world: World, market: Marketplace, board: Board) -> None:
        self.world = world
        self.market = market
        self.board = board

    def ref(self, request_id: bytes, market: Marketplace | None = None) -> str:
        return f"{text(self.world.canister)}/{(market or self.market).name}/{request_id.hex()}"

    async def asked(self, cursor: Cursor | None = None) -> Asked:
        return await self.board.asked(cursor)

    async def send(self, request_id: bytes, answer: Answer) -> SignedTx:
        tx = self.board.draft(self.ref(request_id), answer).sign(None)
        await self.board.broadcast(tx)
        self.world.replica.settle()
        return tx

    def allow(self, *markets: Marketplace, coordinators: list[bytes] | None = None) -> None:
        world = self.world
        others = [world.vault.icp_principal] if coordinators is None else coordinators
        listed = [each.canister for each in markets]
        allow(world.replica, world.canister, ledger=world.ledger, marketplaces=listed, coordinators=others)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with new_world(tmp_path) as world:
        market = open_marketplace(world.replica, world.canister)
        async with world.another_chain(marketplaces=(market.name,)) as chain:
            assert chain.board is not None
            made = Shop(world, market, chain.board)
            made.allow(market)
            yield made


# -- reading -------------------------------------------------------------------------------------------------------


async def test_a_chain_without_marketplaces_has_no_board(shop: Shop) -> None:
    assert shop.world.chain.board is None


async def test_a_request_is_read_as_it_was_asked_with_who_and_when(shop: Shop) -> None:
    assert (await shop.asked()).requests == ()
    shop.market.ask(ONE, ASKED)
    asked = await shop.asked()
    at = shop.world.now
    (posted,) = asked.requests
    assert posted == Posted(shop.ref(ONE), shop.market.name, posted.at, READ)
    assert at - 5 <= posted.at <= asked.now <= at + 1
    assert asked.answers == ()


async def test_from_the_cursor_on_there_is_only_what_is_new(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    first = await shop.asked()
    assert (await shop.asked(first.cursor)) == replace(first, now=(await shop.asked()).now, requests=())
    shop.market.ask(TWO, ASKED)
    second = await shop.asked(first.cursor)
    assert [posted.ref for posted in second.requests] == [shop.ref(TWO)]
    assert second.cursor.height == first.cursor.height + 1


async def test_a_quiet_board_costs_one_question(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    cursor = (await shop.asked()).cursor
    shop.world.proxy.calls.clear()
    await shop.asked(cursor)
    assert shop.world.proxy.calls == {TIP: 1}


async def test_a_request_that_was_answered_is_none_any_more(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    shop.market.ask(TWO, ASKED)
    await shop.send(ONE, NO)
    asked = await shop.asked()
    assert [posted.ref for posted in asked.requests] == [shop.ref(TWO)]
    assert asked.answers == (Given(shop.ref(ONE), NO),)


async def test_a_marketplace_that_is_not_listed_here_is_not_heard(shop: Shop) -> None:
    stranger = open_marketplace(shop.world.replica, shop.world.canister)
    shop.allow(shop.market, stranger)
    stranger.ask(ONE, ASKED)
    shop.market.ask(ONE, ASKED)
    asked = await shop.asked()
    assert [posted.ref for posted in asked.requests] == [shop.ref(ONE)]
    assert not shop.board.listens_to(stranger.name)


async def test_the_same_id_of_two_marketplaces_is_two_requests(shop: Shop) -> None:
    other = open_marketplace(shop.world.replica, shop.world.canister)
    shop.allow(shop.market, other)
    both = (shop.market.name, other.name)
    for market in (shop.market, other):
        market.ask(ONE, ASKED)
    async with shop.world.another_chain(marketplaces=both) as chain:
        assert chain.board is not None
        asked = await chain.board.asked(None)
    assert [posted.ref for posted in asked.requests] == [shop.ref(ONE), shop.ref(ONE, other)]


async def test_words_that_would_hurt_a_terminal_are_refused(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED | {"give": "BTC\x1b[2J"})
    (posted,) = (await shop.asked()).requests
    assert posted.request == Refused("request", "it is not in a form that is understood here")


async def test_with_nothing_remembered_reading_begins_where_somebody_may_still_wait(shop: Shop) -> None:
    for id_ in (ONE, TWO):
        shop.market.ask(id_, ASKED)
    shop.world.replica.advance(PATIENCE + 60)
    new = [bytes([9, number]) for number in range(20)]
    for id_ in new:
        shop.market.ask(id_, ASKED)
    asked = await shop.asked()
    assert [posted.ref for posted in asked.requests] == [shop.ref(id_) for id_ in (TWO, *new)], "one block too many"
    assert shop.ref(ONE) in [posted.ref for posted in (await shop.asked(_from_the_first(shop))).requests]


def _from_the_first(shop: Shop) -> Cursor:
    return Cursor(0, f"@{text(shop.world.canister)}")


async def test_a_cursor_of_another_canister_is_none_here(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    elsewhere = Cursor(900, f"{'00' * 32}@aaaaa-aa")
    assert [posted.ref for posted in (await shop.asked(elsewhere)).requests] == [shop.ref(ONE)]


# -- answering -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [YES, NO], ids=["accepted", "refused"])
async def test_an_answer_stands_on_chain_as_it_was_given(shop: Shop, answer: Answer) -> None:
    shop.market.ask(ONE, ASKED)
    cursor = (await shop.asked()).cursor
    tx = await shop.send(ONE, answer)
    assert await shop.board.outcome(tx) == (await shop.world.chain.fate(tx), "")
    assert (await shop.world.chain.fate(tx)).state is TxState.MINED
    assert (await shop.asked(cursor)).answers == (Given(shop.ref(ONE), answer),)


async def test_the_marketplace_hears_of_hashlock_and_both_legs(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    assert shop.market.answer(ONE) is None
    await shop.send(ONE, YES)
    told = shop.market.answer(ONE)
    assert told is not None
    accepted = told["Accepted"]
    assert (accepted["swap_id"], accepted["hashlock"]) == (YES.swap_id, YES.hashlock)
    assert accepted["legs"] == [vars(leg) | {"role": leg.role.value} for leg in YES.legs]


async def test_the_same_answer_twice_stands_once(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    cursor = (await shop.asked()).cursor
    first, again = await shop.send(ONE, YES), await shop.send(ONE, YES)
    assert first.txid != again.txid
    assert (await shop.board.outcome(again))[0].state is TxState.MINED
    assert (await shop.asked(cursor)).answers == (Given(shop.ref(ONE), YES),)


async def test_another_answer_to_the_same_request_is_refused_with_its_words(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    await shop.send(ONE, YES)
    fate, why = await shop.board.outcome(await shop.send(ONE, NO))
    assert fate.state is TxState.FAILED
    assert "AlreadyAnswered" in why
    assert (await shop.asked()).answers == (Given(shop.ref(ONE), YES),)


async def test_a_coordinator_that_the_canister_does_not_know_is_told_so(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    shop.allow(shop.market, coordinators=[])
    fate, why = await shop.board.outcome(await shop.send(ONE, YES))
    assert fate.state is TxState.FAILED
    assert "NotAuthorized" in why


async def test_s4_an_answer_that_was_kept_back_is_missing_until_it_can_never_come(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    shop.world.proxy.kept.add("acknowledgeSwap")
    tx = await shop.send(ONE, YES)
    assert (await shop.board.outcome(tx))[0].state is TxState.MISSING
    shop.world.proxy.kept.clear()
    await shop.board.broadcast(tx)
    shop.world.replica.settle()
    assert (await shop.board.outcome(tx))[0].state is TxState.MINED
    late = shop.board.draft(shop.ref(ONE), YES).sign(None)
    shop.world.replica.advance(121)
    assert (await shop.board.outcome(late))[0].state is TxState.REPLACED
    with pytest.raises(Rejected):
        await shop.board.broadcast(late)


async def test_an_answer_by_another_coordinator_is_seen_as_it_is(shop: Shop) -> None:
    other = b"\x44" * 28 + b"\x02"
    shop.allow(shop.market, coordinators=[other])
    shop.market.ask(ONE, ASKED)
    answer = {"Refused": {"field": "theirs", "reason": "their own"}}
    acknowledge(shop.world.replica, shop.world.canister, other, (shop.market.canister, ONE), answer)
    assert (await shop.asked()).answers == (Given(shop.ref(ONE), Refused("theirs", "their own")),)


async def test_an_answer_that_swapd_would_never_give_is_none_of_ours(shop: Shop) -> None:
    other = b"\x44" * 28 + b"\x02"
    shop.allow(shop.market, coordinators=[other])
    shop.market.ask(ONE, ASKED)
    strange = {"swap_id": "x", "hashlock": bytes(32), "legs": [vars(leg(Role.INITIATOR, "x")) | {"role": "godfather"}]}
    acknowledge(shop.world.replica, shop.world.canister, other, (shop.market.canister, ONE), {"Accepted": strange})
    assert (await shop.asked()).answers == (Given(shop.ref(ONE), None),)


# -- evil nodes ----------------------------------------------------------------------------------------------------


def _bigger(blocks: Any) -> Any:
    """Everybody asks for a hundred times as much."""

    def more(value: Any) -> Any:
        ((kind, content),) = value.items()
        if kind == "Map":
            return {"Map": [(name, {"Nat": 7} if name == "give_amount" else more(each)) for name, each in content]}
        return value

    return blocks | {"blocks": [{"id": each["id"], "block": more(each["block"])} for each in blocks["blocks"]]}


def _invented(blocks: Any) -> Any:
    """One more block, a copy of the last."""
    last = blocks["blocks"][-1]
    return blocks | {"blocks": [*blocks["blocks"], {"id": last["id"] + 1, "block": last["block"]}]}


def _without_answers(blocks: Any) -> Any:
    kept = [each for each in blocks["blocks"] if ("btype", {"Text": "swap_acknowledged"}) not in each["block"]["Map"]]
    return blocks | {"blocks": [{"id": n, "block": each["block"]} for n, each in enumerate(kept)]}


@pytest.mark.parametrize("lie", [_bigger, _invented, _without_answers])
async def test_a_request_that_a_node_changes_invents_or_unanswers_is_not_believed(shop: Shop, lie: Any) -> None:
    shop.market.ask(ONE, ASKED)
    await shop.send(ONE, NO)
    shop.market.ask(TWO, ASKED)
    shop.world.proxy.instead[BLOCKS] = changed(interface.BlocksReply, lie)
    with pytest.raises(Untrusted, match="log"):
        await shop.asked()
    del shop.world.proxy.instead[BLOCKS]
    assert [posted.ref for posted in (await shop.asked()).requests] == [shop.ref(TWO)]


async def test_a_node_that_lies_about_times_hides_no_request(shop: Shop) -> None:
    """Whoever makes blocks look old makes reading begin after what is wanted."""
    for number in range(8):
        shop.market.ask(bytes([number]), ASKED)

    def old(blocks: Any) -> Any:
        def aged(value: Any) -> Any:
            return {"Map": [(name, {"Nat": 1} if name == "ts" else each) for name, each in value["Map"]]}

        single = len(blocks["blocks"]) == 1
        return blocks | {
            "blocks": [{"id": b["id"], "block": aged(b["block"]) if single else b["block"]} for b in blocks["blocks"]]
        }

    shop.world.proxy.instead[BLOCKS] = changed(interface.BlocksReply, old)
    with pytest.raises(Untrusted):
        await shop.asked()


@pytest.mark.parametrize(
    "answer",
    [status(503), status(200, b"garbage"), reply(interface.BlocksReply, {"log_length": 0, "blocks": []})],
    ids=["away", "garbage", "empty"],
)
async def test_a_node_that_gives_no_blocks_gives_no_requests(shop: Shop, answer: Any) -> None:
    shop.market.ask(ONE, ASKED)
    shop.world.proxy.instead[BLOCKS] = answer
    with pytest.raises(Unavailable):
        await shop.asked()


async def test_a_log_that_has_shrunk_is_not_believed(shop: Shop) -> None:
    shop.market.ask(ONE, ASKED)
    cursor = (await shop.asked()).cursor
    with pytest.raises(Untrusted):
        await shop.asked(replace(cursor, height=cursor.height + 1))
