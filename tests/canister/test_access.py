"""Who may do what: every method against everybody."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.chains.icp import candid
from swapd.devnet.replica import RejectError
from swapd.devnet.replica.messages import FromUser, Request
from tests.canister.rig import (
    ALICE,
    ANONYMOUS,
    ARBITER,
    BOB,
    CAROL,
    CONTROLLER,
    COORDINATOR,
    MARKET,
    SECRET,
    Rig,
    kind,
)
from tests.canister.words import UPDATES

EVERYBODY = {
    "initiator": ALICE,
    "recipient": BOB,
    "anyone": CAROL,
    "arbiter": ARBITER,
    "controller": CONTROLLER,
    "marketplace": MARKET,
    "coordinator": COORDINATOR,
}
SIDE: dict[str, Any] = {"External": {"refund_to": "bc1q", "receive_at": "aaaaa-aa", "claims_itself": True}}
REQUEST: dict[str, Any] = {
    "give": "BTC",
    "give_amount": 5,
    "get": "ICP",
    "get_amount": 0,
    "initiator": SIDE,
    "participant": {"Hot": None},
}
KEY = {"request_id": b"r1"}
REFUSED = {"Refused": {"field": "give", "reason": "too little"}}

# method: what it is called with, and who is let in; None: nobody is kept out for who they are
LISTED: dict[str, tuple[Any, set[str] | None]] = {
    "initiateSwap": ({}, None),
    "completeSwap": ({"id": bytes(32), "secret": SECRET}, None),
    "refundSwap": (bytes(32), None),
    "resumeSwap": (bytes(32), None),
    "resolveQuarantined": ({"id": bytes(32), "paid_in_block": None}, {"arbiter"}),
    "returnExcess": ({"nonce": bytes(32), "ledger": b"", "to_subaccount": None}, None),
    "setHalted": ({"ledger": None, "halted": False}, {"arbiter", "controller"}),
    "configure": ({}, {"controller"}),
    "requestSwap": ({"request": REQUEST, **KEY}, {"marketplace"}),
    "acknowledgeSwap": ({"marketplace": MARKET, "answer": REFUSED, **KEY}, {"coordinator"}),
}


def value(rig: Rig, method: str) -> Any:
    given = LISTED[method][0]
    return {"initiateSwap": rig.terms(), "configure": rig.config}.get(method, given)


def test_no_method_is_forgotten() -> None:
    assert set(LISTED) == set(UPDATES)


@pytest.mark.parametrize("method", LISTED)
def test_a_method_lets_in_whom_it_should(rig: Rig, method: str) -> None:
    let_in = LISTED[method][1]
    for name, who in EVERYBODY.items():
        before = rig.log()
        answer = rig.call(method, value(rig, method), who)
        kept_out = "Err" in answer and kind(answer) == "NotAuthorized"
        assert kept_out is (let_in is not None and name not in let_in), name
        if kept_out:
            assert rig.log() == before


@pytest.mark.parametrize("method", LISTED)
def test_the_anonymous_get_no_further_than_the_door(rig: Rig, method: str) -> None:
    before = rig.log()
    with pytest.raises(RejectError):
        rig.submit(method, value(rig, method), ANONYMOUS)
    answer = past_the_door(rig, method, value(rig, method), ANONYMOUS)  # which only one node guards
    assert kind(answer) == "NotAuthorized"
    assert rig.log() == before


def past_the_door(rig: Rig, method: str, value: Any, sender: bytes) -> Any:
    """A call as a malicious node would let it through: `inspect_message` is not asked."""
    request_id = rig.submit("resumeSwap", bytes(32), CAROL)
    rig.replica.state.queue.pop()
    arg = candid.encode(UPDATES[method][0], value)
    rig.replica.state.queue.append(Request(rig.id, method, arg, sender, FromUser(request_id)))
    rig.replica.settle()
    return rig.answer(method, request_id)


def test_a_message_that_is_far_too_long_is_not_let_in(rig: Rig) -> None:
    request = {**REQUEST, "give": "x" * 40_000}
    with pytest.raises(RejectError):
        rig.submit("requestSwap", {"request": request, **KEY}, MARKET)


def test_health_is_for_controllers_and_the_arbiter(rig: Rig) -> None:
    for name, who in {**EVERYBODY, "anonymous": ANONYMOUS}.items():
        answer = rig.health(who)
        if name in ("arbiter", "controller"):
            assert answer["Ok"]["config"] == rig.config
        else:
            assert kind(answer) == "NotAuthorized"


def test_health_tells_cycles_and_memory(rig: Rig) -> None:
    rig.locked()
    health, canister = rig.health()["Ok"], rig.replica.canister(rig.id)
    assert health["cycles"] == canister.cycles
    assert health["memory_bytes"] == canister.heap_bytes + len(canister.stable)
    assert 0 < health["heap_bytes"] <= canister.heap_bytes
    assert (health["swaps"], health["open_swaps"], health["quarantined"]) == (1, 1, 0)
    assert health["log_length"] == len(rig.log())


def test_a_configuration_is_checked_and_logged(rig: Rig) -> None:
    before = rig.log()
    for bad in (
        {"sweep_seconds": 0},
        {"sweep_seconds": 86_401},
        {"min_timelock": rig.config["max_timelock"] + 1},
        {"max_timelock": 2**63},
        {"arbiter": ANONYMOUS},
        {"ledgers": [rig.id]},
        {"marketplaces": [ANONYMOUS]},
        {"coordinators": [CAROL] * 201},
    ):
        assert kind(rig.call("configure", {**rig.config, **bad}, CONTROLLER)) == "InvalidArgument"
    assert rig.log() == before
    changed = {**rig.config, "arbiter": CAROL, "marketplaces": []}
    assert rig.call("configure", changed, CONTROLLER) == {"Ok": None}
    event, tx = rig.log()[-1]
    assert event == "admin"
    assert (tx["op"], tx["by"], tx["arbiter"], tx["marketplaces"]) == ("configure", CONTROLLER, CAROL, [])
    assert kind(rig.call("requestSwap", {"request": REQUEST, **KEY}, MARKET)) == "NotAuthorized"
    assert kind(rig.health(ARBITER)) == "NotAuthorized"
