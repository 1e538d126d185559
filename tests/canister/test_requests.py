"""A marketplace asks on chain, a coordinator answers on chain; both once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.canister.rig import ARBITER, CAROL, COORDINATOR, MARKET, MINUTE, SECOND, Rig, kind
from tests.canister.test_access import KEY, REFUSED, REQUEST, SIDE

LEG = {
    "role": "initiator",
    "chain": "bitcoin",
    "asset": "BTC",
    "amount": 5,
    "sender": "bc1q",
    "receiver": "bc1p",
    "timelock": 1_780_000_000,
    "fund_by": 1_779_990_000,
    "reference": "bc1qscript",
}
ACCEPTED: dict[str, Any] = {"Accepted": {"swap_id": "s1", "hashlock": b"h" * 32, "legs": [LEG, LEG]}}


def ask(rig: Rig, request_id: bytes = KEY["request_id"], sender: bytes = MARKET, **changes: Any) -> Any:
    value: dict[str, Any] = {"request_id": request_id, "request": REQUEST | changes}
    return rig.call("requestSwap", value, sender)


def answer(rig: Rig, given: Any, request_id: bytes = KEY["request_id"], marketplace: bytes = MARKET) -> Any:
    value = {"marketplace": marketplace, "request_id": request_id, "answer": given}
    return rig.call("acknowledgeSwap", value, COORDINATOR)


def stored(rig: Rig, marketplace: bytes = MARKET) -> Any:
    return rig.ask("getRequest", {"marketplace": marketplace, **KEY})


def test_a_request_is_stored_and_logged(rig: Rig) -> None:
    done = ask(rig)["Ok"]
    assert done == {
        "marketplace": MARKET,
        "request_id": b"r1",
        "request": REQUEST,
        "requested_at": rig.replica.now_ns,
        "answer": None,
    }
    assert stored(rig) == done
    side = {"kind": "external", **SIDE["External"], "claims_itself": 1}
    request = {**REQUEST, "initiator": side, "participant": {"kind": "hot"}}
    assert rig.log()[-1] == ("swap_requested", {"marketplace": MARKET, "request_id": b"r1", "request": request})


@pytest.mark.parametrize("given", [ACCEPTED, REFUSED], ids=["accepted", "refused"])
def test_an_answer_is_stored_and_logged(rig: Rig, given: Any) -> None:
    ask(rig)
    assert answer(rig, given)["Ok"]["answer"] == given
    assert stored(rig)["answer"] == given
    event, tx = rig.log()[-1]
    ((word, content),) = given.items()
    assert event == "swap_acknowledged"
    assert tx == {
        "marketplace": MARKET,
        "request_id": b"r1",
        "by": COORDINATOR,
        "answer": {"kind": word.lower(), **content},
    }


def test_the_same_request_is_one_and_another_of_its_id_is_refused(rig: Rig) -> None:
    first = ask(rig)
    answer(rig, ACCEPTED)
    before = rig.log()
    assert ask(rig)["Ok"] == {**first["Ok"], "answer": ACCEPTED}
    assert kind(ask(rig, give_amount=6)) == "NonceReused"
    assert rig.log() == before


def test_the_same_answer_is_one_and_another_is_refused(rig: Rig) -> None:
    ask(rig)
    first = answer(rig, ACCEPTED)
    before = rig.log()
    assert answer(rig, ACCEPTED) == first
    assert kind(answer(rig, REFUSED)) == "AlreadyAnswered"
    assert rig.log() == before


def test_ids_belong_to_their_marketplace() -> None:
    rig = Rig(marketplaces=[MARKET, CAROL])
    ask(rig)
    assert "Ok" in ask(rig, sender=CAROL, give_amount=7)
    assert stored(rig)["request"]["give_amount"] == 5
    assert stored(rig, CAROL)["request"]["give_amount"] == 7
    assert kind(answer(rig, REFUSED, marketplace=ARBITER)) == "NotFound"
    assert kind(answer(rig, REFUSED, request_id=b"r2")) == "NotFound"
    assert rig.ask("getRequest", {"marketplace": ARBITER, **KEY}) is None


@pytest.mark.parametrize(
    "bad",
    [
        {"request_id": b""},
        {"request_id": bytes(33)},
        {"give": ""},
        {"get": "x" * 65},
        {"give_amount": 0},
        {"give_amount": 2**128},
        {"get_amount": 2**128},
        {"initiator": {"External": {"refund_to": "x" * 257, "receive_at": "", "claims_itself": False}}},
        {"participant": {"External": {"refund_to": "", "receive_at": "x" * 257, "claims_itself": False}}},
    ],
    ids=str,
)
def test_a_bad_request_is_refused(rig: Rig, bad: dict[str, Any]) -> None:
    before = rig.log()
    assert kind(ask(rig, **bad)) == "InvalidArgument"
    assert rig.log() == before


@pytest.mark.parametrize(
    "bad",
    [
        {"Refused": {"field": "x" * 65, "reason": "y"}},
        {"Refused": {"field": "x", "reason": ""}},
        {"Refused": {"field": "x", "reason": "y" * 1025}},
        {"Accepted": {**ACCEPTED["Accepted"], "swap_id": ""}},
        {"Accepted": {**ACCEPTED["Accepted"], "swap_id": "x" * 129}},
        {"Accepted": {**ACCEPTED["Accepted"], "hashlock": bytes(31)}},
        {"Accepted": {**ACCEPTED["Accepted"], "legs": [LEG] * 5}},
        {"Accepted": {**ACCEPTED["Accepted"], "legs": [{**LEG, "reference": "x" * 257}]}},
        {"Accepted": {**ACCEPTED["Accepted"], "legs": [{**LEG, "amount": 2**128}]}},
    ],
    ids=lambda bad: str(bad)[:60],
)
def test_a_bad_answer_is_refused(rig: Rig, bad: Any) -> None:
    ask(rig)
    before = rig.log()
    assert kind(answer(rig, bad)) == "InvalidArgument"
    assert rig.log() == before


def test_the_largest_good_answer_gets_in(rig: Rig) -> None:
    ask(rig, request_id=b"i" * 32)
    names = ("role", "chain", "asset", "sender", "receiver", "reference")
    leg = {**LEG, **dict.fromkeys(names, "x" * 256), "amount": 2**128 - 1}
    given = {"Accepted": {"swap_id": "s" * 128, "hashlock": bytes(32), "legs": [leg] * 4}}
    assert answer(rig, given, request_id=b"i" * 32)["Ok"]["answer"] == given


def test_a_halt_and_few_cycles_stop_requests_and_not_their_answers(rig: Rig) -> None:
    ask(rig)
    rig.call("setHalted", {"ledger": None, "halted": True}, ARBITER)
    assert kind(ask(rig, b"r2")) == "Halted"
    assert "Ok" in ask(rig)  # the one that is there
    assert "Ok" in answer(rig, REFUSED)
    rig.call("setHalted", {"ledger": None, "halted": False}, ARBITER)
    rig.replica.add_cycles(rig.id, 10**12 - 1 - rig.replica.canister(rig.id).cycles)
    assert kind(ask(rig, b"r2")) == "LowCycles"


def test_a_marketplace_may_ask_so_often_a_minute(rig: Rig) -> None:
    for n in range(10):
        assert "Ok" in ask(rig, bytes([n]))
    told = ask(rig, b"one more")
    assert kind(told) == "RateLimited"
    assert "Ok" in ask(rig, bytes([3]))  # not a new one
    wait = told["Err"]["kind"]["TemporaryError"]["RateLimited"]["retry_after_ns"]
    assert 0 < wait <= MINUTE
    rig.advance(wait / SECOND)
    assert "Ok" in ask(rig, b"one more")


def test_requests_and_answers_survive_an_upgrade(rig: Rig) -> None:
    ask(rig)
    answer(rig, ACCEPTED)
    before = stored(rig)
    rig.upgrade()
    assert stored(rig) == before
    assert kind(ask(rig, give_amount=6)) == "NonceReused"
    assert kind(answer(rig, REFUSED)) == "AlreadyAnswered"
