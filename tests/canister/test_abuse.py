"""Principals cost nothing, and calls cost the canister: what many strangers can do to it, and what they cannot."""

from __future__ import annotations

import pytest

from swapd.chains.icp.principal import ANONYMOUS, MANAGEMENT_CANISTER
from tests.canister.rig import ALICE, AMOUNT, BOB, CAROL, MINUTE, Account, Rig, kind

PAY = "icrc1_transfer"


def test_many_callers_together_stop_entry_for_a_minute_and_no_exit() -> None:
    rig = Rig(limits={"open_swaps_per_caller": 100, "initiates_per_minute": 1_000, "requests_per_minute": 1})
    swap_id = rig.locked()
    rig.advance(60)
    nobody = rig.terms()
    for number in range(600):
        stranger = b"\x0astranger" + number.to_bytes(2) + b"\x01"
        assert kind(rig.initiate(nobody, stranger)) == "LedgerRefused"
    args = rig.terms()
    rig.approve(args)
    assert kind(rig.initiate(args)) == "RateLimited"
    assert "Ok" in rig.complete(swap_id)
    rig.advance(60)
    assert "Ok" in rig.initiate(args)
    rig.sound()


def test_many_calls_that_wait_for_a_ledger_keep_no_claim_waiting(idle: Rig) -> None:
    """Fifty payouts without an answer: nothing new begins, but claims and refunds of others do."""
    stuck = [idle.locked() for _ in range(50)]
    mine, new = idle.locked(), idle.terms()
    idle.approve(new)
    late: dict[str, object] = {"Late": 10_000}
    idle.token.misbehave(PAY, *[late] * 50)
    for swap_id in stuck:
        idle.submit("completeSwap", {"id": swap_id, "secret": bytes(range(32))}, CAROL)
    for _ in range(400):
        idle.replica.step()
    held = idle.submit("initiateSwap", new, ALICE)
    claim = idle.submit("completeSwap", {"id": mine, "secret": bytes(range(32))}, CAROL)
    for _ in range(3_000):
        if idle.replica.outcome(claim) is not None and idle.replica.outcome(held) is not None:
            break
        idle.replica.step()
    assert kind(idle.answer("initiateSwap", held)) == "Busy"
    assert "Ok" in idle.answer("completeSwap", claim)
    idle.token.release()
    idle.replica.settle()
    assert {idle.phase(swap_id) for swap_id in stuck} == {"Claimed"}


@pytest.mark.parametrize("field", ["recipient", "refund_to"])
def test_money_goes_to_nobody_who_has_no_account(rig: Rig, field: str) -> None:
    for nobody in (ANONYMOUS, MANAGEMENT_CANISTER, rig.id, rig.token.id):
        answer = rig.initiate(rig.terms(**{field: Account(nobody)}))
        assert kind(answer) == "InvalidArgument"
        assert field in answer["Err"]["message"]


def test_a_cancelled_swap_begins_again_within_its_times_only(idle: Rig) -> None:
    args = idle.terms(fund_by=idle.replica.now_ns + 100 * MINUTE, deadline=idle.replica.now_ns + 101 * MINUTE)
    assert kind(idle.initiate(args)) == "LedgerRefused"  # without an approval
    idle.advance(95 * 60)
    idle.approve(args)
    answer = idle.initiate(args)  # six minutes are less than min_timelock
    assert kind(answer) == "InvalidArgument"
    assert idle.balance(ALICE) > AMOUNT


def test_no_configuration_keeps_anybody_from_his_money() -> None:
    rig = Rig(limits={"open_swaps_per_caller": 0, "initiates_per_minute": 0, "requests_per_minute": 0})
    nonce = bytes(32)
    swap_id = rig.escrow.id(ALICE, nonce)
    rig.token.transfer(ALICE, Account(rig.id, swap_id), AMOUNT)
    assert "Ok" in rig.call("returnExcess", {"nonce": nonce, "ledger": rig.token.id, "to_subaccount": None}, ALICE)
    assert rig.held(swap_id) == 0
    assert rig.balance(BOB) == 0
    rig.sound()
