"""Calls that meet: one ledger call of a swap at a time, and one exit of it ever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.canister.rig import ALICE, AMOUNT, BOB, CAROL, FEE, HELD, SECRET, Account, Rig, kind


def together(rig: Rig, *calls: tuple[str, Any, bytes]) -> list[Any]:
    """The answers to calls of which each was there before the first was begun."""
    requests = [(method, rig.submit(method, value, sender)) for method, value, sender in calls]
    rig.replica.settle()
    return [rig.answer(method, request) for method, request in requests]


def claim(swap_id: bytes, secret: bytes = SECRET, sender: bytes = CAROL) -> tuple[str, Any, bytes]:
    return "completeSwap", {"id": swap_id, "secret": secret}, sender


def refund(swap_id: bytes, sender: bytes = CAROL) -> tuple[str, Any, bytes]:
    return "refundSwap", swap_id, sender


def test_of_two_claims_at_once_one_pays_and_the_other_is_told_to_wait(idle: Rig) -> None:
    swap_id = idle.locked()
    first, second = together(idle, claim(swap_id), claim(swap_id, sender=BOB))
    assert first["Ok"]["phase"] == {"Claimed": None}
    assert kind(second) == "Busy"
    assert idle.balance(BOB) == AMOUNT
    assert idle.complete(swap_id, sender=BOB)["Ok"] == first["Ok"]
    assert idle.story(swap_id) == ["funding", "locked", "claiming", "claimed"]


@pytest.mark.parametrize("claim_first", [True, False], ids=["claim first", "refund first"])
def test_claim_against_refund_at_the_deadline(idle: Rig, claim_first: bool) -> None:
    swap_id = idle.locked()
    idle.advance(2 * 3600)
    calls = [claim(swap_id), refund(swap_id)] if claim_first else [refund(swap_id), claim(swap_id)]
    first, second = together(idle, *calls)
    phase, under_way = ("Claimed", "Claiming") if claim_first else ("Refunded", "Refunding")
    assert first["Ok"]["phase"] == {phase: None}
    assert second["Err"]["kind"] == {"RequestError": {"WrongPhase": {under_way: None}}}
    assert idle.balance(BOB) == (AMOUNT if claim_first else 0)
    assert idle.balance(ALICE) == HELD - 3 * FEE - (AMOUNT if claim_first else 0)
    assert idle.held(swap_id) == 0


@pytest.mark.parametrize("claim_first", [True, False], ids=["claim first", "refund first"])
def test_claim_against_consent(idle: Rig, claim_first: bool) -> None:
    swap_id = idle.locked()
    calls = [claim(swap_id), refund(swap_id, BOB)] if claim_first else [refund(swap_id, BOB), claim(swap_id)]
    first, second = together(idle, *calls)
    assert first["Ok"]["phase"] == {"Claimed" if claim_first else "Refunded": None}
    assert kind(second) == "WrongPhase"


def test_a_storm_of_exits_pays_once(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.advance(2 * 3600)
    calls = [call for _ in range(5) for call in (refund(swap_id), claim(swap_id), ("resumeSwap", swap_id, CAROL))]
    answers = together(idle, *calls)
    assert sum("Ok" in answer for answer in answers) == 1
    assert idle.balance(ALICE) == HELD - 3 * FEE
    assert len(idle.token.blocks()) == 4  # mint, approval, pull, payout


def test_the_same_initiate_twice_at_once_pulls_once(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    first, second = together(idle, ("initiateSwap", args, ALICE), ("initiateSwap", args, ALICE))
    assert first["Ok"]["phase"] == {"Locked": None}
    assert second["Ok"]["phase"] == {"Funding": None}  # as it was then
    assert idle.held(swap_id) == AMOUNT + FEE
    assert idle.story(swap_id) == ["funding", "locked"]


def test_neither_claim_nor_refund_before_the_funds_are_there(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.token.misbehave("icrc2_transfer_from", {"Late": 100})
    first, *others = together(
        idle, ("initiateSwap", args, ALICE), claim(swap_id), refund(swap_id, BOB), ("resumeSwap", swap_id, CAROL)
    )
    assert "Ok" in first
    assert [kind(other) for other in others] == ["WrongPhase", "WrongPhase", "Busy"]
    assert "Ok" in idle.complete(swap_id)


def test_swaps_do_not_wait_for_each_other(idle: Rig) -> None:
    ids = [idle.locked() for _ in range(5)]
    answers = together(idle, *[claim(swap_id) for swap_id in ids])
    assert all("Ok" in answer for answer in answers)
    assert idle.balance(BOB) == 5 * AMOUNT


def test_a_swap_cannot_begin_under_the_return_of_an_excess(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.token.transfer(ALICE, Account(idle.id, swap_id), 5 * AMOUNT)
    back = {"nonce": args["nonce"], "ledger": idle.token.id, "to_subaccount": None}
    first, second = together(idle, ("returnExcess", back, ALICE), ("initiateSwap", args, ALICE))
    assert "Ok" in first
    assert kind(second) == "Busy"
    assert idle.held(swap_id) == 0
    assert "Ok" in idle.initiate(args)


def test_an_excess_is_not_returned_under_a_swap_that_begins(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    back = {"nonce": args["nonce"], "ledger": idle.token.id, "to_subaccount": None}
    first, second, third = together(
        idle, ("initiateSwap", args, ALICE), ("returnExcess", back, ALICE), ("returnExcess", back, ALICE)
    )
    assert "Ok" in first
    assert kind(second) == kind(third) == "Busy"
    assert idle.held(swap_id) == AMOUNT + FEE
