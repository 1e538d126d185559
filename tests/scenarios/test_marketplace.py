"""A marketplace canister asks for swaps by a call from canister to canister, and is answered on chain by a daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.icp import interface
from swapd.chains.icp.board import Board
from swapd.coordinator import agree
from swapd.coordinator.requests import GIVE_UP, OLDEST, Intake
from swapd.errors import Unavailable
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import RequestState
from tests.chains.icp.market import acknowledge, external, open_marketplace
from tests.chains.icp.proxy import changed
from tests.chains.icp.world import ALICE, ICP
from tests.scenarios.chains import Chains
from tests.scenarios.fair import E8S, SATOSHI, Fair, new_fair

ONE, TWO = b"order 1", b"order 2"
STRANGER = b"\x44" * 28 + b"\x02"


class Crash(BaseException):
    """The end of the process, as far as swapd can tell: nothing of it catches this."""


async def crash(*_: object) -> None:
    raise Crash


@pytest.fixture
async def fair(chains: Chains, tmp_path: Path) -> AsyncIterator[Fair]:
    async with new_fair(chains, tmp_path) as made:
        yield made


# -- taken ---------------------------------------------------------------------------------------------------------


async def test_a_request_on_chain_becomes_a_swap_is_answered_there_and_completed(fair: Fair) -> None:
    rich = fair.e8s(ALICE), await fair.satoshi(fair.house.wallet)
    fair.market.ask(ONE, await fair.request())
    assert fair.answered(ONE) is None
    await fair.settle()

    (row,) = await fair.swaps()
    accepted = fair.answered(ONE)["Accepted"]
    assert (accepted["swap_id"], accepted["hashlock"]) == (row.id, row.terms.hashlock)
    (asked,) = await fair.requests()
    assert (asked.state, asked.swap_id, asked.by) == (RequestState.ANSWERED, row.id, fair.market.name)

    await fair.pay(accepted["legs"][0]["reference"], accepted["legs"][0]["amount"])  # of all that there is, the answer
    await fair.until(row.id, Status.COMPLETED)
    await fair.blocks(2)
    assert fair.e8s(ALICE) == rich[0] + E8S
    assert 0 < rich[1] + SATOSHI - await fair.satoshi(fair.house.wallet) < 20_000, "its fee comes out of the claim"
    async with fair.house.house.store.read() as reading:
        await reading.verify_audit()
        story = await reading.audit_trail(row.id)
    assert (story[0].actor, story[0].event) == (f"marketplace {fair.market.name}", "swap added")


async def test_the_answer_holds_all_that_each_leg_commits_to(fair: Fair) -> None:
    request = await fair.request()
    fair.market.ask(ONE, request)
    await fair.settle()

    (row,) = await fair.swaps()
    first, second = fair.answered(ONE)["Accepted"]["legs"]
    for told, leg in ((first, row.terms.initiator), (second, row.terms.participant)):
        chain = fair.house.house.chain(leg.terms.chain)
        assert told == {
            "role": leg.role.value,
            "chain": leg.terms.chain,
            "asset": leg.terms.asset.symbol,
            "amount": leg.terms.amount,
            "sender": leg.terms.sender,
            "receiver": leg.terms.receiver,
            "timelock": leg.terms.timelock,
            "fund_by": leg.terms.fund_by,
            "reference": chain.fingerprint(leg.terms),
        }
    assert (first["amount"], second["amount"], second["receiver"]) == (SATOSHI, E8S, ALICE.text)
    assert row.terms.initiator.refund_to == request["initiator"]["External"]["refund_to"]


async def test_the_same_request_twice_is_one_swap(fair: Fair) -> None:
    request = await fair.request()
    for _ in range(2):
        fair.market.ask(ONE, request)
    await fair.settle()
    fair.market.ask(ONE, request)
    await fair.blocks(2)
    assert len(await fair.swaps()) == 1
    assert "Accepted" in fair.answered(ONE)


async def test_two_requests_are_two_swaps(fair: Fair) -> None:
    for each in (ONE, TWO):
        fair.market.ask(each, await fair.request())
    await fair.settle()
    ids = {fair.answered(each)["Accepted"]["swap_id"] for each in (ONE, TWO)}
    assert ids == {row.id for row in await fair.swaps()}
    assert len(ids) == 2


async def test_the_running_daemon_takes_and_answers_requests_by_itself(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.request())
    running = asyncio.create_task(fair.house.daemon.run())
    try:
        async with asyncio.timeout(60):
            while not (rows := await fair.requests()) or rows[0].state is not RequestState.ANSWERED:
                await asyncio.sleep(0.05)
                fair.replica.settle()
    finally:
        fair.house.daemon.stop()
        await running
    assert fair.answered(ONE)["Accepted"]["swap_id"] == rows[0].swap_id


# -- refused -------------------------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "asset": ({"give": "DOGE"}, "give", "expected one of the configured assets: BTC, ETH, ICP"),
    "same chain": ({"get": "BTC", "get_amount": 1_000_000}, "get", "an asset on another chain"),
    "too little": ({"get_amount": 1}, "get_amount", "got 1, expected 10000000 to 500000000000"),
    "too much": ({"get_amount": 2**127}, "get_amount", "expected 10000000 to 500000000000"),
    "zero": ({"give_amount": 0}, "give_amount", "got 0, expected"),
    "address": ({"initiator": external("nowhere", ALICE.text)}, "initiator.refund_to", "got 'nowhere'"),
    "funds": ({"get_amount": 4_000 * ICP}, "funds", "not enough ICP for this now"),
    "escape": ({"get": "\x1b[31mICP"}, "request", "not in a form that is understood"),
}
"""What is wrong with a request, the field that is named, and words of the reason."""


async def test_what_can_not_be_is_refused_with_field_and_reason_and_costs_nothing(fair: Fair) -> None:
    for name, (changes, _, _) in REFUSED.items():
        fair.market.ask(name.encode(), await fair.request(**changes))
    await fair.settle()
    for name, (_, field, words) in REFUSED.items():
        found, reason = fair.refusal(name.encode())
        assert (found, words in reason) == (field, True), f"{name}: {found}: {reason}"
    assert await fair.swaps() == ()
    assert {row.state for row in await fair.requests()} == {RequestState.ANSWERED}


async def test_a_public_refusal_does_not_tell_what_the_house_has(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.request(get_amount=4_000 * ICP))
    await fair.settle()
    assert not any(digit in fair.refusal(ONE)[1] for digit in "0123456789")


async def test_more_than_may_be_open_is_refused(fair: Fair) -> None:
    fair.house.house = replace(fair.house.house, limits=replace(fair.house.house.limits, open_swaps=1))
    fair.house.daemon.intakes["icp"].house = fair.house.house
    for each in (ONE, TWO):
        fair.market.ask(each, await fair.request())
        await fair.settle()
    assert "Accepted" in fair.answered(ONE)
    assert fair.refusal(TWO)[0] == "open_swaps"


async def test_a_refusal_of_one_keeps_no_other_waiting(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.request(give="DOGE"))
    fair.market.ask(TWO, await fair.request())
    await fair.settle()
    assert fair.refusal(ONE)[0] == "give"
    assert "Accepted" in fair.answered(TWO)


async def test_a_marketplace_that_is_not_listed_is_ignored(fair: Fair) -> None:
    stranger = open_marketplace(fair.replica, fair.canister)
    fair.allow(stranger)
    stranger.ask(ONE, await fair.request())
    await fair.blocks(2)
    assert stranger.answer(ONE) is None
    assert (await fair.swaps(), await fair.requests()) == ((), ())


async def test_who_is_not_listed_any_more_gets_no_swap_for_what_was_asked_before(fair: Fair) -> None:
    await fair.house.restart(halted=True)
    fair.market.ask(ONE, await fair.request())
    await fair.settle()
    other = open_marketplace(fair.replica, fair.canister)
    fair.house.more["SWAPD__CHAINS__ICP__MARKETPLACES"] = f'["{other.name}"]'
    await fair.house.restart(halted=False)
    await fair.settle()
    assert fair.refusal(ONE)[0] == "marketplace"
    assert await fair.swaps() == ()


# -- waiting -------------------------------------------------------------------------------------------------------


async def test_s8_while_entry_is_halted_a_request_waits(fair: Fair) -> None:
    await fair.house.restart(halted=True)
    fair.market.ask(ONE, await fair.request())
    await fair.blocks(3)
    assert fair.answered(ONE) is None
    assert await fair.swaps() == ()
    (row,) = await fair.requests()
    assert row.state is RequestState.WAITING
    await fair.house.restart(halted=False)
    await fair.settle()
    assert "Accepted" in fair.answered(ONE)


async def test_a_request_that_waited_too_long_is_refused_also_while_halted(fair: Fair) -> None:
    await fair.house.restart(halted=True)
    fair.market.ask(ONE, await fair.request())
    await fair.settle()
    await fair.time_is(fair.chains.now + OLDEST - 60)
    assert fair.answered(ONE) is None
    await fair.time_is(fair.chains.now + 120)
    assert fair.refusal(ONE)[0] == "requested_at"
    await fair.house.restart(halted=False)
    await fair.settle()
    assert await fair.swaps() == ()


async def test_a_request_waits_for_a_chain_that_is_away(fair: Fair, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise Unavailable("the node is away")

    fair.market.ask(ONE, await fair.request())
    with monkeypatch.context() as patched:
        patched.setattr(fair.house.house.chain("bitcoin"), "clock", away)
        await fair.settle()
    (row,) = await fair.requests()
    assert (row.state, row.error) == (RequestState.WAITING, "the node is away")
    assert await fair.swaps() == ()
    await fair.blocks()
    assert "Accepted" in fair.answered(ONE)


# -- nothing before the answer -------------------------------------------------------------------------------------


async def test_nothing_is_locked_before_the_answer_stands_on_chain(fair: Fair) -> None:
    fair.proxy.kept.add("acknowledgeSwap")
    fair.market.ask(ONE, await fair.reverse())
    await fair.blocks(2)
    (row,) = await fair.swaps()
    assert (row.status, await fair.house.effects(row.id)) == (Status.PROPOSED, {})
    assert row.reason == "the answer to its request does not stand on the chain yet"

    fair.proxy.kept.clear()
    await fair.blocks(3)
    assert fair.answered(ONE)["Accepted"]["swap_id"] == row.id
    assert (await fair.house.row(row.id)).status is Status.INITIATOR_LOCKED


async def test_a_swap_is_begun_at_once_when_its_answer_stands(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.reverse())
    await fair.settle()  # in no time at all
    (row,) = await fair.swaps()
    assert (await fair.house.effects(row.id))["lock:initiator"].attempts


async def test_an_answer_that_never_gets_there_is_given_up_and_its_swap_expires(fair: Fair) -> None:
    fair.proxy.kept.add("acknowledgeSwap")
    fair.market.ask(ONE, await fair.reverse())
    await fair.settle()
    await fair.time_is(fair.chains.now + GIVE_UP + 60)
    (row,) = await fair.requests()
    assert row.state is RequestState.GIVEN_UP
    (swap,) = await fair.swaps()
    assert swap.status is Status.EXPIRED
    assert {leg.view.state for leg in swap.legs.values()} == {LegState.ABSENT}


async def test_a_board_that_was_stopped_gets_its_answer_when_it_is_back(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.request())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Intake, "_deliver", crash)
        with pytest.raises(Crash):
            await fair.house.look()
    fair.replica.stop(fair.canister)
    await fair.blocks(2)
    assert fair.house.trouble
    fair.replica.start(fair.canister)
    await fair.blocks(2)
    assert "Accepted" in fair.answered(ONE)


async def test_a_coordinator_that_is_not_allowed_says_so_and_answers_when_it_is(fair: Fair) -> None:
    own, fair.own = fair.own, replace(fair.own, owner=STRANGER)
    fair.allow()
    fair.market.ask(ONE, await fair.request())
    await fair.blocks(2)
    (row,) = await fair.requests()
    assert row.state is RequestState.DECIDED
    assert "NotAuthorized" in row.error
    assert 1 < row.attempts < 6, "with growing pauses"
    fair.own = own
    fair.allow()
    await fair.blocks(6)
    assert "Accepted" in fair.answered(ONE)
    (row,) = await fair.requests()
    assert (row.state, row.error) == (RequestState.ANSWERED, "")


# -- crashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "name"),
    [(agree, "create"), (Intake, "_deliver"), (Board, "broadcast")],
    ids=["before the swap", "between swap and answer", "between the stored answer and its sending"],
)
async def test_a_crash_leaves_one_swap_and_one_answer(
    fair: Fair, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    fair.market.ask(ONE, await fair.request())
    with monkeypatch.context() as patched:
        patched.setattr(where, name, crash)
        with pytest.raises(Crash):
            await fair.house.look()
    before = await fair.swaps()
    assert len(before) == (where is not agree)
    signed = (await fair.requests())[0].answer
    assert (signed is not None) == (where is Board)

    await fair.house.restart()
    await fair.blocks()

    (row,) = await fair.swaps()
    assert fair.answered(ONE)["Accepted"]["swap_id"] == row.id
    assert not before or row.id == before[0].id
    (asked,) = await fair.requests()
    assert asked.attempts == 1
    assert signed is None or asked.answer == signed, "the very bytes that were stored"


async def test_a_crash_after_the_answer_went_out_answers_once(fair: Fair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Board.broadcast

    async def send_and_crash(*given: Any) -> None:
        await real(*given)
        raise Crash

    fair.market.ask(ONE, await fair.request())
    with monkeypatch.context() as patched:
        patched.setattr(Board, "broadcast", send_and_crash)
        with pytest.raises(Crash):
            await fair.house.look()
    fair.replica.settle()
    answer = fair.answered(ONE)
    await fair.house.restart()
    await fair.blocks(2)
    (row,) = await fair.swaps()
    assert fair.answered(ONE) == answer
    assert answer["Accepted"]["swap_id"] == row.id
    (asked,) = await fair.requests()
    assert (asked.state, asked.attempts) == (RequestState.ANSWERED, 1)


async def test_a_lost_database_makes_no_old_request_a_swap_again(fair: Fair) -> None:
    fair.market.ask(ONE, await fair.request())
    fair.market.ask(TWO, await fair.request(give="DOGE"))
    await fair.settle()
    answers = [fair.answered(each) for each in (ONE, TWO)]
    await fair.house.forget_everything()
    await fair.blocks(2)
    assert (await fair.swaps(), await fair.requests()) == ((), ())
    assert [fair.answered(each) for each in (ONE, TWO)] == answers


async def test_of_a_request_that_was_taken_by_two_databases_one_swap_is_begun(fair: Fair) -> None:
    """The first was lost before its answer was given; had it locked already, the second would lock again."""
    fair.proxy.kept.add("acknowledgeSwap")
    fair.market.ask(ONE, await fair.reverse())
    await fair.blocks(2)
    (first,) = await fair.swaps()
    assert await fair.house.effects(first.id) == {}
    await fair.house.forget_everything()
    fair.proxy.kept.clear()
    await fair.blocks(4)
    (second,) = await fair.swaps()
    assert second.id != first.id
    assert fair.answered(ONE)["Accepted"]["swap_id"] == second.id
    assert second.legs[Role.INITIATOR].view.state is LegState.LOCKED


# -- others --------------------------------------------------------------------------------------------------------


async def test_a_swap_whose_request_another_coordinator_answered_is_called_off(fair: Fair) -> None:
    fair.allow(coordinators=(STRANGER,))
    fair.proxy.kept.add("acknowledgeSwap")
    fair.market.ask(ONE, await fair.reverse())
    await fair.settle()
    theirs = {"Refused": {"field": "theirs", "reason": "their own"}}
    told = acknowledge(fair.replica, fair.canister, STRANGER, (fair.market.canister, ONE), theirs)
    assert "Ok" in told
    fair.proxy.kept.clear()
    await fair.blocks(3)
    (row,) = await fair.requests()
    assert row.state is RequestState.OVERRULED
    (swap,) = await fair.swaps()
    assert swap.status is Status.CANCELLED
    assert not any(leg.lock_sent for leg in swap.legs.values())
    assert fair.answered(ONE) == theirs


async def test_a_node_that_changes_what_was_asked_makes_no_swap_and_the_chain_unhealthy(fair: Fair) -> None:
    def cheaper(blocks: Any) -> Any:
        """Everything that is wanted of the house, a tenth of what was asked for it."""

        def less(value: Any) -> Any:
            ((kind, content),) = value.items()
            if kind != "Map":
                return value
            return {"Map": [(n, {"Nat": SATOSHI // 10} if n == "give_amount" else less(each)) for n, each in content]}

        return blocks | {"blocks": [b | {"block": less(b["block"])} for b in blocks["blocks"]]}

    fair.proxy.instead["icrc3_get_blocks"] = changed(interface.BlocksReply, cheaper)
    fair.market.ask(ONE, await fair.request())
    await fair.blocks(2)
    assert (await fair.swaps(), await fair.requests()) == ((), ())
    assert "log" in fair.house.trouble
    assert "log" in fair.house.daemon.watchers["icp"].trouble

    fair.proxy.instead.clear()
    await fair.blocks()
    assert (fair.house.trouble, fair.house.daemon.watchers["icp"].trouble) == ("", "")
    accepted = fair.answered(ONE)["Accepted"]
    assert accepted["legs"][0]["amount"] == SATOSHI


async def test_trouble_with_the_board_disturbs_no_swap_that_there_is(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistake(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours, with words that are for nobody")

    async def away(*_: object) -> None:
        raise Unavailable("the board is away")

    rich = fair.e8s(ALICE)
    fair.market.ask(ONE, await fair.request())
    await fair.settle()
    accepted = fair.answered(ONE)["Accepted"]
    monkeypatch.setattr(Board, "asked", mistake)
    await fair.house.look()
    assert fair.house.trouble == "ZeroDivisionError, a mistake of swapd's own"
    monkeypatch.setattr(Board, "asked", away)
    await fair.pay(accepted["legs"][0]["reference"], SATOSHI)
    await fair.until(accepted["swap_id"], Status.COMPLETED)
    assert fair.e8s(ALICE) == rich + E8S
    assert fair.house.trouble == "the board is away"
