"""Money in an escrow account that belongs to no open swap goes back to the initiator, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.canister.rig import ALICE, AMOUNT, ARBITER, BOB, CAROL, CONTROLLER, FEE, HELD, SECRET, Account, Rig, kind
from tests.canisters.token import Token

NONCE = b"n" * 32
SUB = b"s" * 32


def back(rig: Rig, sender: bytes = ALICE, **changes: Any) -> Any:
    value = {"nonce": NONCE, "ledger": rig.token.id, "to_subaccount": None, **changes}
    return rig.call("returnExcess", value, sender)


def sent(rig: Rig, amount: int = AMOUNT) -> bytes:
    """Money of ALICE's in the escrow account of a swap of hers."""
    swap_id = rig.escrow.id(ALICE, NONCE)
    rig.token.transfer(ALICE, Account(rig.id, swap_id), amount)
    return swap_id


def test_what_was_sent_for_no_swap_comes_back(rig: Rig) -> None:
    swap_id = sent(rig)
    block = back(rig, to_subaccount=SUB)["Ok"]
    assert rig.held(swap_id) == 0
    assert rig.balance(ALICE, SUB) == AMOUNT - FEE
    assert rig.token.blocks()[block]["amount"] == AMOUNT - FEE
    to = {"owner": ALICE, "subaccount": SUB}
    tx = {"id": swap_id, "ledger": rig.token.id, "to": to, "amount": AMOUNT - FEE, "ledger_block": block}
    assert rig.log()[-1] == ("excess_returned", tx)


def test_nobody_else_can_have_it(rig: Rig) -> None:
    swap_id = sent(rig)
    for other in (BOB, CAROL, ARBITER, CONTROLLER):
        assert kind(back(rig, other)) == "NotFound"  # their own account of that nonce is empty
    assert rig.held(swap_id) == AMOUNT


@pytest.mark.parametrize("verb", ["claim", "refund", "cancel"])
def test_what_is_left_after_a_swap_comes_back(rig: Rig, verb: str) -> None:
    args = rig.terms(nonce=NONCE)
    if verb != "cancel":
        rig.approve(args)
    rig.initiate(args)
    swap_id = sent(rig)
    if verb == "claim":
        rig.complete(swap_id)
    if verb == "refund":
        rig.refund(swap_id, BOB)
    assert rig.held(swap_id) == AMOUNT
    assert "Ok" in back(rig)
    assert rig.held(swap_id) == 0
    assert rig.balance(BOB) == (AMOUNT if verb == "claim" else 0)


def test_an_open_swap_s_money_is_not_an_excess(rig: Rig) -> None:
    args = rig.terms(nonce=NONCE)
    swap_id = rig.approve(args)
    rig.initiate(args)
    sent(rig)
    assert back(rig)["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Locked": None}}}
    rig.token.misbehave("icrc1_transfer", "RejectBefore", of=Account(rig.id, swap_id))
    rig.complete(swap_id)
    assert back(rig)["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Claiming": None}}}
    rig.resume(swap_id)
    assert rig.balance(BOB) == AMOUNT
    assert "Ok" in back(rig)


def test_a_quarantined_swap_s_money_is_not_an_excess(rig: Rig) -> None:
    args = rig.terms(nonce=NONCE)
    swap_id = rig.approve(args)
    rig.initiate(args)
    rig.token.misbehave("icrc1_transfer", {"Err": {"InsufficientFunds": {"balance": 0}}})
    rig.call("completeSwap", {"id": swap_id, "secret": SECRET}, BOB)
    assert kind(back(rig)) == "WrongPhase"
    assert rig.held(swap_id) == AMOUNT + FEE


def test_where_there_is_nothing_nothing_comes_back(rig: Rig) -> None:
    assert kind(back(rig)) == "NotFound"
    sent(rig, FEE)  # not more than it would cost
    before = rig.log()
    assert kind(back(rig)) == "NotFound"
    assert rig.log() == before


def test_another_token_sent_by_mistake_comes_back() -> None:
    rig = Rig()
    other = Token(rig.replica, {ALICE: HELD})
    swap_id = rig.locked(nonce=NONCE)
    other.transfer(ALICE, Account(rig.id, swap_id), AMOUNT)
    assert kind(back(rig, ledger=other.id)) == "LedgerNotAllowed"
    rig.call("configure", {**rig.config, "ledgers": [rig.token.id, other.id]}, CONTROLLER)
    assert kind(back(rig, ledger=other.id)) == "WrongPhase"
    rig.complete(swap_id)
    assert "Ok" in back(rig, ledger=other.id)
    assert other.balance(Account(ALICE)) == HELD - 2 * FEE


def test_the_swap_s_own_ledger_is_good_though_it_left_the_list(rig: Rig) -> None:
    swap_id = rig.locked(nonce=NONCE)
    sent(rig)
    rig.complete(swap_id)
    rig.call("configure", {**rig.config, "ledgers": []}, CONTROLLER)
    assert "Ok" in back(rig)


def test_bad_arguments_are_refused(rig: Rig) -> None:
    for bad in ({"nonce": bytes(31)}, {"nonce": b""}, {"to_subaccount": b"x"}):
        assert kind(back(rig, **bad)) == "InvalidArgument"
    assert kind(back(rig, ledger=BOB)) == "LedgerNotAllowed"


@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter", "TrapBefore", "TrapAfter"])
def test_an_answer_that_is_lost_costs_nothing(rig: Rig, fault: str) -> None:
    swap_id = sent(rig)
    rig.token.misbehave("icrc1_transfer", fault)
    assert kind(back(rig)) == "LedgerUnavailable"
    back(rig)
    assert rig.held(swap_id) == 0
    assert rig.balance(ALICE) == HELD - 2 * FEE


@pytest.mark.parametrize("method", ["icrc1_fee", "icrc1_balance_of"])
def test_a_ledger_that_says_nothing_is_asked_again(rig: Rig, method: str) -> None:
    swap_id = sent(rig)
    rig.token.misbehave(method, "RejectBefore")
    assert kind(back(rig)) == "LedgerUnavailable"
    rig.token.misbehave(method)
    assert "Ok" in back(rig)
    assert rig.held(swap_id) == 0


def test_two_at_once_return_it_once(rig: Rig) -> None:
    sent(rig)
    value = {"nonce": NONCE, "ledger": rig.token.id, "to_subaccount": None}
    requests = [rig.submit("returnExcess", value, ALICE) for _ in range(2)]
    rig.replica.settle()
    first, second = (rig.answer("returnExcess", request) for request in requests)
    assert "Ok" in first
    assert kind(second) == "Busy"
