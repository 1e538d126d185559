"""What the canister does of its own accord, and that no swap keeps it from the others."""

from __future__ import annotations

from itertools import pairwise

import pytest

from swapd.chains.icp import candid
from swapd.devnet import ledger
from tests.canister.rig import ALICE, AMOUNT, BOB, CONTROLLER, FEE, HELD, HOUR, MINTER, MINUTE, SECOND, Account, Rig
from tests.canisters.token import Token

PAY, PULL = "icrc1_transfer", "icrc2_transfer_from"


def test_what_is_past_its_deadline_is_sent_back(rig: Rig) -> None:
    early, late = rig.locked(), rig.locked(deadline=rig.replica.now_ns + 5 * HOUR)
    rig.advance(2 * 3600 - 1)
    assert rig.phase(early) == "Locked"
    rig.advance(62)
    assert (rig.phase(early), rig.phase(late)) == ("Refunded", "Locked")
    assert rig.log()[-2][1] == {"id": early, "by": rig.id, "why": "due"}
    rig.advance(3 * 3600)
    assert rig.phase(late) == "Refunded"
    assert rig.balance(ALICE) == HELD - 2 * 3 * FEE


def test_a_run_takes_up_twenty_the_oldest_first(rig: Rig) -> None:
    now = rig.replica.now_ns
    ids = [rig.locked(amount=1_000, deadline=now + HOUR + n * SECOND) for n in range(25)]
    rig.advance(3600 + 40)  # one jump, one run
    rig.replica.settle()
    assert [rig.phase(swap_id) for swap_id in ids] == ["Refunded"] * 20 + ["Locked"] * 5
    rig.advance(61)
    assert {rig.phase(swap_id) for swap_id in ids} == {"Refunded"}


@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter", "TrapBefore", "TrapAfter"])
def test_a_claim_without_an_answer_is_taken_up_again(rig: Rig, fault: str) -> None:
    swap_id = rig.locked()
    rig.token.misbehave(PAY, fault)
    rig.complete(swap_id)
    rig.advance(61)
    assert rig.phase(swap_id) == "Claimed"
    assert rig.balance(BOB) == AMOUNT


@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter"])
def test_a_funding_without_an_answer_is_taken_up_again(rig: Rig, fault: str) -> None:
    args = rig.terms()
    swap_id = rig.approve(args)
    rig.token.misbehave(PULL, fault)
    rig.initiate(args)
    rig.advance(61)
    assert rig.phase(swap_id) == "Locked"
    assert rig.held(swap_id) == AMOUNT + FEE


def test_a_ledger_that_keeps_failing_is_asked_less_and_less_often() -> None:
    rig = Rig(sweep_seconds=5)
    swap_id = rig.locked()
    rig.token.misbehave(PAY, *["RejectBefore"] * 100)
    rig.complete(swap_id)
    asked = []
    for second in range(0, 3_600, 5):
        before = rig.replica.canister(rig.token.id).cycles
        rig.advance(5)
        if rig.replica.canister(rig.token.id).cycles < before - 5_000_000:  # what a message costs at least
            asked.append(second)
    waits = [late - early for early, late in pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[-1] in (1280, 1285)
    assert len(asked) < 12
    rig.token.misbehave(PAY)
    rig.advance(2_600)
    assert rig.phase(swap_id) == "Claimed"
    rig.sound()


def test_failing_swaps_do_not_hold_up_the_others(rig: Rig) -> None:
    stuck = [rig.locked(amount=1_000) for _ in range(25)]
    for swap_id in stuck:
        rig.token.misbehave(PAY, *["RejectBefore"] * 50, of=Account(rig.id, swap_id))
    good = rig.locked(deadline=rig.replica.now_ns + 3 * HOUR)
    for _ in range(70):
        rig.advance(3 * MINUTE / SECOND)
    assert {rig.phase(swap_id) for swap_id in stuck} == {"Refunding"}
    assert rig.phase(good) == "Refunded"


def test_a_silent_ledger_does_not_hold_up_another() -> None:
    rig = Rig()
    other = Token(rig.replica, {BOB: HELD})
    rig.call("configure", {**rig.config, "ledgers": [rig.token.id, other.id]}, CONTROLLER)
    silent = [rig.locked(amount=1_000, deadline=rig.replica.now_ns + HOUR) for _ in range(45)]
    late: dict[str, object] = {"Late": 10**6}
    rig.token.misbehave(PAY, *[late] * 45)
    args = rig.terms(nonce=bytes(32), recipient=Account(ALICE), refund_to=Account(BOB)) | {"ledger": other.id}
    swap_id = rig.escrow.id(BOB, bytes(32))
    other.approve(BOB, Account(rig.id, swap_id), AMOUNT + 2 * FEE)
    rig.initiate(args, BOB)
    for _ in range(5):  # some messages at a time: while answers are held back there is no end to them
        rig.replica.clock.advance(30 * 60)
        for _ in range(400):
            rig.replica.step()
    assert rig.phase(swap_id) == "Refunded"
    assert other.balance(Account(BOB)) == HELD - 3 * FEE
    under_way = [each for each in silent if rig.phase(each) == "Refunding"]
    assert 20 <= len(under_way) < 45
    rig.replica.submit(rig.token.id, "misbehave", ledger.misbehave_arg(PAY), MINTER)
    rig.replica.submit(rig.token.id, "release", candid.NO_ARGUMENTS, MINTER)
    for _ in range(4):
        rig.advance(30 * 60)
    assert {rig.phase(each) for each in silent} == {"Refunded"}
    rig.sound()


def test_the_interval_can_be_changed(rig: Rig) -> None:
    swap_id = rig.locked()
    rig.call("configure", {**rig.config, "sweep_seconds": 86_400}, CONTROLLER)
    rig.advance(5 * 3600)
    assert rig.phase(swap_id) == "Locked"
    rig.call("configure", {**rig.config, "sweep_seconds": 5}, CONTROLLER)
    rig.advance(6)
    assert rig.phase(swap_id) == "Refunded"
