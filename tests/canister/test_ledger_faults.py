"""A ledger that fails, at every call the canister makes of it and in every way: the money ends where it belongs.

The three transfers are the funding, the claim and the refund; each may be followed by a look at the escrow's balance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from swapd.devnet.replica import Limits, RejectError
from tests.canister.rig import ALICE, AMOUNT, BOB, CAROL, FEE, HELD, Account, Rig, kind

Fault = str | dict[str, object]
PULL, PAY, LOOK = "icrc2_transfer_from", "icrc1_transfer", "icrc1_balance_of"
DAY = 86_400

NOT_NOW: Fault = {"Err": {"TemporarilyUnavailable": None}}
AHEAD: Fault = {"Err": {"CreatedInFuture": {"ledger_time": 1}}}
GENERIC: Fault = {"Err": {"GenericError": {"error_code": 7, "message": "no such luck"}}}
TOO_OLD: Fault = {"Err": {"TooOld": None}}
NO_FUNDS: Fault = {"Err": {"InsufficientFunds": {"balance": 1}}}


def bad_fee(expected: int) -> Fault:
    return {"Err": {"BadFee": {"expected_fee": expected}}}


UNDONE: list[Fault] = [NOT_NOW, AHEAD, "RejectBefore", "TrapBefore"]  # the money has not moved, and may move later
DONE: list[Fault] = ["RejectAfter", "TrapAfter"]  # it has, but nobody says so


def name(fault: Fault) -> str:
    if isinstance(fault, str):
        return fault
    ((kind_, content),) = fault.items()
    return next(iter(content)) if isinstance(content, dict) else kind_


@dataclass
class Payout:
    """A claim or a refund."""

    verb: str
    phase: str  # while it is under way
    end: str
    start: Callable[[Rig, bytes], Any]
    payee: bytes
    has_before: int

    def paid(self, rig: Rig, swap_id: bytes, amount: int = AMOUNT, left: int = 0) -> None:
        assert rig.phase(swap_id) == self.end
        assert rig.balance(self.payee) == self.has_before + amount
        assert rig.held(swap_id) == left
        assert rig.story(swap_id) == ["funding", "locked", self.phase.lower(), self.end.lower()]


CLAIM = Payout("claim", "Claiming", "Claimed", lambda rig, swap_id: rig.complete(swap_id), BOB, 0)
REFUND = Payout(
    "refund",
    "Refunding",
    "Refunded",
    lambda rig, swap_id: rig.refund(swap_id, BOB),
    ALICE,
    HELD - AMOUNT - 3 * FEE,
)
each_payout = pytest.mark.parametrize("payout", [CLAIM, REFUND], ids=lambda payout: payout.verb)
each_undone = pytest.mark.parametrize("fault", UNDONE, ids=name)
each_done = pytest.mark.parametrize("fault", DONE, ids=name)


# -- funding


def begun(rig: Rig, *faults: Fault, **terms: Any) -> tuple[bytes, dict[str, Any], Any]:
    """A swap of ALICE's whose pull suffers these: its id, its terms, and what she was told."""
    args = rig.terms(**terms)
    swap_id = rig.approve(args)
    rig.token.misbehave(PULL, *faults)
    return swap_id, args, rig.initiate(args)


def funded_once(rig: Rig, swap_id: bytes) -> None:
    assert rig.phase(swap_id) == "Locked"
    assert rig.held(swap_id) == AMOUNT + FEE
    assert rig.balance(ALICE) == HELD - AMOUNT - 3 * FEE


@pytest.mark.parametrize("fault", UNDONE + DONE, ids=name)
@pytest.mark.parametrize("again", ["initiateSwap", "resumeSwap"])
def test_a_pull_without_an_answer_is_asked_for_again_and_done_once(idle: Rig, fault: Fault, again: str) -> None:
    swap_id, args, told = begun(idle, fault)
    assert kind(told) == "LedgerUnavailable"
    assert idle.phase(swap_id) == "Funding"
    assert idle.story(swap_id) == ["funding"]
    idle.advance(60)
    done = idle.initiate(args) if again == "initiateSwap" else idle.resume(swap_id, CAROL)
    assert done["Ok"]["phase"] == {"Locked": None}
    funded_once(idle, swap_id)
    assert idle.story(swap_id) == ["funding", "locked"]
    pulls = [block for block in idle.token.blocks() if block["to"]["subaccount"] == swap_id and block["amount"] > 0]
    assert [block["index"] for block in pulls if block["spender"]] == [done["Ok"]["lock_block"]]


@pytest.mark.parametrize("fault", [GENERIC, NO_FUNDS, bad_fee(77)], ids=name)
def test_a_pull_that_is_refused_cancels_and_may_be_begun_again(idle: Rig, fault: Fault) -> None:
    swap_id, args, told = begun(idle, fault)
    assert kind(told) == "LedgerRefused"
    assert idle.phase(swap_id) == "Cancelled"
    assert idle.held(swap_id) == 0
    event, tx = idle.log()[-1]
    assert (event, tx["id"]) == ("swap_cancelled", swap_id)
    assert tx["reason"] == told["Err"]["message"]
    if fault == bad_fee(77):
        assert "77" in tx["reason"]
    assert idle.initiate(args)["Ok"]["phase"] == {"Locked": None}
    funded_once(idle, swap_id)
    assert idle.story(swap_id) == ["funding", "cancelled", "funding", "locked"]


def test_a_pull_without_allowance_or_funds_cancels(idle: Rig) -> None:
    assert kind(idle.initiate(idle.terms())) == "LedgerRefused"
    assert "InsufficientAllowance" in idle.log()[-1][1]["reason"]
    args = idle.terms(amount=2 * HELD)
    idle.approve(args)
    assert kind(idle.initiate(args)) == "LedgerRefused"
    assert "InsufficientFunds" in idle.log()[-1][1]["reason"]


def test_a_cancelled_swap_stays_so_after_fund_by(idle: Rig) -> None:
    args = idle.terms()
    assert kind(idle.initiate(args)) == "LedgerRefused"
    idle.approve(args)
    idle.advance(10 * 60)
    assert idle.initiate(args)["Ok"]["phase"] == {"Cancelled": None}
    assert idle.balance(ALICE) == HELD - FEE


@each_done
def test_a_pull_that_was_done_is_found_though_the_ledger_has_a_new_fee(idle: Rig, fault: Fault) -> None:
    swap_id, args, _ = begun(idle, fault)
    idle.token.set_fee(2 * FEE)  # BadFee comes before Duplicate
    done = idle.initiate(args)["Ok"]
    assert (done["phase"], done["lock_block"]) == ({"Locked": None}, None)
    funded_once(idle, swap_id)


def test_a_pull_that_was_not_done_is_cancelled_when_the_ledger_has_a_new_fee(idle: Rig) -> None:
    swap_id, args, _ = begun(idle, "RejectBefore")
    idle.token.set_fee(2 * FEE)
    assert kind(idle.initiate(args)) == "LedgerRefused"
    assert idle.phase(swap_id) == "Cancelled"


@pytest.mark.parametrize(("fault", "pulls"), [("RejectBefore", 1), ("RejectAfter", 1)])
def test_a_pull_that_the_ledger_has_forgotten_is_known_by_the_balance(idle: Rig, fault: Fault, pulls: int) -> None:
    ten_days = 10 * DAY
    now = idle.replica.now_ns
    swap_id, args, _ = begun(idle, fault, fund_by=now + ten_days // 2 * 10**9, deadline=now + (ten_days - 1) * 10**9)
    idle.advance(DAY + 600)
    assert idle.initiate(args)["Ok"]["phase"] == {"Locked": None}
    funded_once(idle, swap_id)
    assert sum(block["spender"] is not None for block in idle.token.blocks()) == pulls


def test_too_old_at_the_first_call_is_stamped_anew(idle: Rig) -> None:
    swap_id, _, told = begun(idle, TOO_OLD)
    assert told["Ok"]["phase"] == {"Locked": None}
    funded_once(idle, swap_id)


@pytest.mark.parametrize(("fault", "phase"), [("RejectBefore", "Cancelled"), ("RejectAfter", "Refunded")])
@pytest.mark.parametrize("by", ["anyone", "sweep"])
def test_after_fund_by_nothing_is_pulled_and_what_came_goes_back(fault: Fault, phase: str, by: str) -> None:
    rig = Rig(sweep_seconds=86_400 if by == "anyone" else 60)
    args = rig.terms()
    swap_id = rig.approve(args)
    rig.token.misbehave(PULL, *[fault] * 20 if fault == "RejectBefore" else [fault])
    if fault == "RejectAfter":  # and the sweep does not learn of it in time
        rig.token.misbehave(PULL, fault, *["TrapBefore"] * 20)
    rig.initiate(args)
    for _ in range(12):
        rig.advance(60)
    rig.token.misbehave(PULL)
    rig.resume(swap_id)
    assert rig.phase(swap_id) == phase
    assert rig.held(swap_id) == 0
    cost = FEE if phase == "Cancelled" else 3 * FEE
    assert rig.balance(ALICE) == HELD - cost
    if phase == "Refunded":
        assert rig.story(swap_id) == ["funding", "refunding", "refunded"]
        assert next(tx["why"] for event, tx in rig.log() if event == "swap_refunding") == "late"
    assert rig.initiate(args)["Ok"]["phase"] == {phase: None}
    rig.sound()


def test_an_answer_that_comes_after_fund_by_still_locks(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.token.misbehave(PULL, {"Late": 1_000})
    request = idle.submit("initiateSwap", args, ALICE)
    for _ in range(20):
        idle.replica.step()
    idle.replica.clock.advance(11 * 60)
    idle.replica.settle()
    assert idle.answer("initiateSwap", request)["Ok"]["phase"] == {"Locked": None}
    funded_once(idle, swap_id)
    idle.complete(swap_id)


# -- paying out


@each_payout
@pytest.mark.parametrize("fault", UNDONE + DONE + [GENERIC], ids=name)
def test_a_payout_without_an_answer_is_asked_for_again_and_done_once(idle: Rig, payout: Payout, fault: Fault) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, fault)
    assert kind(payout.start(idle, swap_id)) == "LedgerUnavailable"
    assert idle.phase(swap_id) == payout.phase
    idle.advance(60)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id)
    assert idle.swap(swap_id)["payout_block"] is not None


@each_payout
def test_the_same_call_takes_it_up_again_too(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, "RejectAfter")
    payout.start(idle, swap_id)
    assert "Ok" in payout.start(idle, swap_id)
    payout.paid(idle, swap_id)


@each_payout
def test_once_one_exit_is_begun_the_other_is_closed(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, "RejectBefore")
    payout.start(idle, swap_id)
    idle.advance(3 * 3600)
    other = REFUND if payout is CLAIM else CLAIM
    assert other.start(idle, swap_id)["Err"]["kind"] == {"RequestError": {"WrongPhase": {payout.phase: None}}}
    idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
def test_a_fee_that_rose_comes_out_of_the_amount(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.set_fee(3 * FEE)
    assert "Ok" in payout.start(idle, swap_id)
    payout.paid(idle, swap_id, AMOUNT - 2 * FEE)


@each_payout
def test_a_fee_that_fell_adds_nothing_to_the_amount(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.set_fee(FEE // 4)
    assert "Ok" in payout.start(idle, swap_id)
    payout.paid(idle, swap_id, AMOUNT, left=FEE - FEE // 4)


@each_payout
def test_a_fee_that_is_more_than_the_money_waits_for_a_better_day(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.set_fee(AMOUNT + FEE)
    assert kind(payout.start(idle, swap_id)) == "LedgerUnavailable"
    idle.token.set_fee(FEE)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
def test_a_ledger_that_never_agrees_on_a_fee_does_not_hold_the_canister(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, *[bad_fee(n) for n in range(1, 9)])
    assert kind(payout.start(idle, swap_id)) == "LedgerUnavailable"
    idle.token.misbehave(PAY)
    idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
@each_done
def test_a_payout_that_was_done_is_found_though_the_ledger_has_a_new_fee(
    idle: Rig, payout: Payout, fault: Fault
) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, fault)
    payout.start(idle, swap_id)
    idle.token.set_fee(2 * FEE)
    assert idle.resume(swap_id)["Ok"]["payout_block"] is None
    payout.paid(idle, swap_id)


@each_payout
@each_undone
def test_a_payout_that_was_not_done_is_made_at_the_new_fee(idle: Rig, payout: Payout, fault: Fault) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, fault)
    payout.start(idle, swap_id)
    idle.token.set_fee(2 * FEE)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id, AMOUNT - FEE)


@each_payout
@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter", NOT_NOW], ids=name)
def test_a_payout_that_the_ledger_has_forgotten_is_known_by_the_balance(
    idle: Rig, payout: Payout, fault: Fault
) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, fault)
    payout.start(idle, swap_id)
    idle.advance(DAY + 600)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
@each_done
def test_the_look_at_the_balance_may_fail_too(idle: Rig, payout: Payout, fault: Fault) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, fault)
    payout.start(idle, swap_id)
    idle.token.set_fee(2 * FEE)
    idle.token.misbehave(LOOK, "RejectBefore")
    assert kind(idle.resume(swap_id)) == "LedgerUnavailable"
    assert kind(idle.resume(swap_id)) == "LedgerUnavailable"
    idle.token.misbehave(LOOK)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
def test_a_refusal_whose_balance_could_not_be_seen_is_not_taken_for_payment(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, TOO_OLD)
    idle.token.misbehave(LOOK, "RejectBefore")
    assert kind(payout.start(idle, swap_id)) == "LedgerUnavailable"
    idle.token.misbehave(LOOK)
    assert "Ok" in idle.resume(swap_id)
    payout.paid(idle, swap_id)


@each_payout
def test_a_late_answer_is_waited_for_and_others_are_told_so(idle: Rig, payout: Payout) -> None:
    swap_id, other = idle.locked(), idle.locked()
    idle.token.misbehave(PAY, {"Late": 1_000}, of=Account(idle.id, swap_id))
    verb, value = (
        ("completeSwap", {"id": swap_id, "secret": bytes(range(32))}) if payout is CLAIM else ("refundSwap", swap_id)
    )
    request = idle.submit(verb, value, BOB)
    waiting = idle.submit("resumeSwap", swap_id, CAROL)
    for _ in range(50):
        idle.replica.step()
    assert kind(idle.answer("resumeSwap", waiting)) == "Busy"
    assert idle.replica.outcome(request) is None
    fast = idle.submit("completeSwap", {"id": other, "secret": bytes(range(32))}, CAROL)
    while idle.replica.outcome(fast) is None:
        idle.replica.step()
    assert "Ok" in idle.answer("completeSwap", fast)
    assert idle.replica.outcome(request) is None
    idle.replica.settle()
    assert "Ok" in idle.answer(verb, request)
    assert idle.phase(swap_id) == payout.end


def test_a_call_that_could_not_be_sent_was_not_made() -> None:
    rig = Rig(sweep_seconds=86_400)
    first, second = rig.locked(), rig.locked()
    rig.replica.canister(rig.id).limits = Limits(queue_messages=1)
    rig.token.misbehave(PAY, {"Late": 1_000}, of=Account(rig.id, first))
    rig.submit("completeSwap", {"id": first, "secret": bytes(range(32))}, CAROL)
    for _ in range(20):
        rig.replica.step()
    blocked = rig.submit("completeSwap", {"id": second, "secret": bytes(range(32))}, CAROL)
    while rig.replica.outcome(blocked) is None:
        rig.replica.step()
    assert kind(rig.answer("completeSwap", blocked)) == "LedgerUnavailable"
    rig.replica.settle()
    assert "Ok" in rig.resume(second)
    assert rig.balance(BOB) == 2 * AMOUNT
    rig.sound()


# -- a ledger that contradicts itself


@each_payout
def test_a_ledger_that_denies_what_its_balance_shows_is_left_to_the_arbiter(idle: Rig, payout: Payout) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, NO_FUNDS)
    told = payout.start(idle, swap_id)
    intent = {payout.phase: None}
    assert told["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Quarantined": intent}}}
    assert idle.log()[-1][0] == "swap_quarantined"
    assert idle.resolve(swap_id, None)["Ok"]["phase"] == {payout.end: None}
    assert idle.balance(payout.payee) == payout.has_before + AMOUNT


@each_payout
def test_money_that_was_never_there_is_not_paid_from_anything_else(idle: Rig, payout: Payout) -> None:
    bystander = idle.locked()
    swap_id, _, told = begun(idle, {"Unmoved": 99})
    assert told["Ok"]["lock_block"] == 99  # a lie, of a ledger that is on the list
    payout.start(idle, swap_id)
    assert idle.phase(swap_id) == "Quarantined"
    assert idle.held(bystander) == AMOUNT + FEE
    assert idle.balance(BOB) == 0


def test_a_huge_block_number_is_no_way_to_break_a_record(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.token.misbehave(PAY, {"WrongBlock": 2**20_000})
    with pytest.raises(RejectError, match="too large"):
        idle.complete(swap_id)
    assert kind(idle.resume(swap_id)) == "WrongPhase"
    assert idle.swap(swap_id)["phase"] == {"Quarantined": {"Claiming": None}}
    assert idle.resolve(swap_id, 3)["Ok"]["phase"] == {"Claimed": None}
    assert idle.balance(BOB) == AMOUNT
