"""A swap's life when nothing goes wrong: who gets what, when, and what the log tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.canister.rig import (
    ALICE,
    AMOUNT,
    ARBITER,
    BOB,
    CAROL,
    CONTROLLER,
    FEE,
    HELD,
    HOUR,
    SECRET,
    Account,
    Rig,
    kind,
)
from tests.canisters.token import Token

SUB = b"\x07" * 32


def test_a_swap_is_funded_from_its_own_allowance_into_its_own_account(rig: Rig) -> None:
    args = rig.terms()
    swap_id = rig.approve(args)
    done = rig.initiate(args)["Ok"]
    assert done["phase"] == {"Locked": None}
    assert (done["id"], done["initiator"], done["args"], done["secret"]) == (swap_id, ALICE, args, None)
    assert rig.held(swap_id) == AMOUNT + FEE
    assert rig.balance(ALICE) == HELD - AMOUNT - 3 * FEE  # approval, pull, and what is put aside for the payout
    assert rig.token.allowance(Account(ALICE), Account(rig.id, swap_id)) == (0, None)
    pull = rig.token.blocks()[done["lock_block"]]
    assert pull["spender"] == {"owner": rig.id, "subaccount": swap_id}
    assert len(pull["memo"]) == 32
    assert pull["created_at_time"] == rig.replica.now_ns


def test_s14_a_note_of_the_initiator_stands_in_the_log_beside_the_terms_and_nowhere_else(rig: Rig) -> None:
    args, note = rig.terms(), bytes(range(64))
    swap_id = rig.approve(args)
    done = rig.initiate(args, note=note)["Ok"]
    assert done["args"] == args
    funding, locked = rig.events(swap_id)
    assert funding["note"] == note
    assert "note" not in locked
    assert "note" not in rig.events(rig.locked())[0], "whoever gives none leaves none"


def test_a_note_of_65_bytes_is_refused_and_locks_nothing(rig: Rig) -> None:
    args = rig.terms()
    swap_id = rig.approve(args)
    assert kind(rig.initiate(args, note=bytes(65))) == "InvalidArgument"
    assert rig.held(swap_id) == 0


def test_the_id_is_the_one_that_everybody_can_compute(rig: Rig) -> None:
    nonce = bytes(range(32))
    assert rig.ask("swapId", {"initiator": ALICE, "nonce": nonce}) == rig.escrow.id(ALICE, nonce)
    assert rig.ask("swapId", {"initiator": BOB, "nonce": nonce}) != rig.escrow.id(ALICE, nonce)


def test_anyone_who_knows_the_secret_can_claim_and_the_recipient_is_paid(rig: Rig) -> None:
    swap_id = rig.locked()
    done = rig.complete(swap_id, sender=CAROL)["Ok"]
    assert done["phase"] == {"Claimed": None}
    assert done["secret"] == SECRET
    assert rig.balance(BOB) == AMOUNT
    assert rig.balance(CAROL) == rig.held(swap_id) == 0
    payout = rig.token.blocks()[done["payout_block"]]
    assert payout["from"] == {"owner": rig.id, "subaccount": swap_id}
    assert rig.story(swap_id) == ["funding", "locked", "claiming", "claimed"]


def test_a_claim_in_good_time_and_a_claim_after_the_deadline_are_the_same(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.advance(3 * 3600)
    assert "Ok" in idle.complete(swap_id)
    assert idle.balance(BOB) == AMOUNT


def test_from_the_deadline_on_anyone_can_send_the_money_back(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.advance(2 * 3600 - 0.001)
    refused = idle.refund(swap_id)
    assert kind(refused) == "DeadlineNotReached"
    idle.advance(0.001)
    done = idle.refund(swap_id, CAROL)["Ok"]
    assert done["phase"] == {"Refunded": None}
    assert idle.balance(ALICE) == HELD - 3 * FEE
    assert idle.story(swap_id) == ["funding", "locked", "refunding", "refunded"]
    assert idle.log()[-2][1]["why"] == "due"


def test_the_recipient_can_send_it_back_at_any_time(rig: Rig) -> None:
    swap_id = rig.locked()
    for other in (ALICE, CAROL, ARBITER, CONTROLLER):
        assert kind(rig.refund(swap_id, other)) == "DeadlineNotReached"
    assert "Ok" in rig.refund(swap_id, BOB)
    assert rig.balance(ALICE) == HELD - 3 * FEE
    assert rig.log()[-2][1] | {"id": swap_id} == {"id": swap_id, "by": BOB, "why": "consent"}


def test_subaccounts_are_kept_to(rig: Rig) -> None:
    mine, theirs, back = (bytes([n]) * 32 for n in (1, 2, 3))
    rig.token.transfer(ALICE, Account(ALICE, mine), 10 * AMOUNT)
    places = {"from_subaccount": mine, "recipient": Account(BOB, theirs), "refund_to": Account(CAROL, back)}
    claimed, refunded = rig.locked(**places), rig.locked(**places)
    rig.complete(claimed)
    rig.refund(refunded, BOB)
    assert rig.balance(BOB, theirs) == rig.balance(CAROL, back) == AMOUNT
    assert rig.balance(ALICE, mine) == 8 * AMOUNT - 2 * 3 * FEE


def test_a_wrong_secret_moves_nothing_and_is_not_told(rig: Rig) -> None:
    swap_id = rig.locked()
    before = rig.log()
    assert kind(rig.complete(swap_id, b"\xff" * 32)) == "WrongSecret"
    for length in (0, 1, 31, 33, 64):
        assert kind(rig.complete(swap_id, bytes(length))) == "InvalidArgument"
    assert rig.log() == before
    assert rig.held(swap_id) == AMOUNT + FEE


def test_what_is_over_stays_over_and_says_so(idle: Rig) -> None:
    claimed, refunded = idle.locked(), idle.locked()
    idle.complete(claimed)
    idle.refund(refunded, BOB)
    before, blocks = idle.log(), len(idle.token.blocks())
    assert idle.complete(claimed)["Ok"]["phase"] == {"Claimed": None}
    assert kind(idle.complete(claimed, b"\xff" * 32)) == "WrongSecret"
    assert idle.refund(claimed, BOB)["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Claimed": None}}}
    assert idle.refund(refunded)["Ok"]["phase"] == {"Refunded": None}
    assert idle.complete(refunded)["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Refunded": None}}}
    for swap_id in (claimed, refunded):
        assert "Ok" in idle.resume(swap_id)
    idle.advance(200 * 3600)
    assert kind(idle.refund(claimed)) == "WrongPhase"
    assert (idle.log(), len(idle.token.blocks())) == (before, blocks)


@pytest.mark.parametrize("swap_id", [b"", b"\x00", bytes(31), bytes(32), bytes(33)], ids=len)
def test_a_swap_that_is_not_there_is_not_found(rig: Rig, swap_id: bytes) -> None:
    assert kind(rig.complete(swap_id)) == "NotFound"
    assert kind(rig.refund(swap_id)) == "NotFound"
    assert kind(rig.resume(swap_id)) == "NotFound"
    assert kind(rig.resolve(swap_id, None)) == "NotFound"


def test_the_log_tells_the_terms(rig: Rig) -> None:
    places = {"recipient": Account(BOB, SUB), "deadline": rig.replica.now_ns + 5 * HOUR}
    swap_id = rig.locked(**places)
    swap = rig.swap(swap_id)
    ((_, tx),) = [event for event in rig.log() if event[0] == "swap_funding"]
    args = swap["args"]
    plain = ("nonce", "ledger", "amount", "fee", "recipient", "hashlock", "fund_by", "deadline")
    assert tx == {
        "id": swap_id,
        "initiator": ALICE,
        "refund_to": {"owner": ALICE},
        **{name: args[name] for name in plain},
    }
    rig.complete(swap_id, sender=CAROL)
    swap = rig.swap(swap_id)
    assert rig.log()[-3:] == [
        ("swap_locked", {"id": swap_id, "ledger_block": swap["lock_block"]}),
        ("swap_claiming", {"id": swap_id, "secret": SECRET, "by": CAROL}),
        ("swap_claimed", {"id": swap_id, "ledger_block": swap["payout_block"]}),
    ]
    assert swap["last_event"] == len(rig.log()) - 1


def test_the_largest_good_terms_live_to_their_end() -> None:
    rig = Rig(sweep_seconds=86_400)
    whale, payee = (bytes([n]) * 28 + b"\x02" for n in (1, 2))  # principals have 29 bytes at most
    token = Token(rig.replica, {whale: 2**131})
    rig.call("configure", {**rig.config, "ledgers": [token.id]}, CONTROLLER)
    token.set_fee(2**128 - 1)
    token.transfer(whale, Account(whale, SUB), 2**130)
    places = {"from_subaccount": SUB, "recipient": Account(payee, SUB), "refund_to": Account(payee, b"\x08" * 32)}
    args = rig.terms(amount=2**127, fee=2**128 - 1, **places) | {"ledger": token.id}
    swap_id = rig.escrow.id(whale, args["nonce"])
    token.set_fee(0)
    token.approve(whale, Account(rig.id, swap_id), 2**130, from_subaccount=SUB)
    token.set_fee(2**128 - 1)
    high: dict[str, object] = {"WrongBlock": 2**64 - 1}
    token.misbehave("icrc2_transfer_from", high)
    rig.initiate(args, whale)
    token.misbehave("icrc1_transfer", "RejectBefore", high, high)  # one is used up by a wrong fee
    rig.complete(swap_id)
    token.set_fee(2**128 - 2)
    assert rig.resume(swap_id)["Ok"]["payout_block"] == 2**64 - 1
    assert rig.phase(swap_id) == "Claimed"
    assert token.balance(Account(payee, SUB)) == 2**127


def test_the_same_swap_with_a_replica_restart_before_every_call(idle: Rig, tmp_path: Path) -> None:
    idle.restart_before_calls(tmp_path)
    claimed, refunded = idle.locked(), idle.locked()
    idle.complete(claimed)
    idle.advance(2 * 3600)
    idle.refund(refunded)
    assert (idle.phase(claimed), idle.phase(refunded)) == ("Claimed", "Refunded")
    assert idle.balance(BOB) == AMOUNT
