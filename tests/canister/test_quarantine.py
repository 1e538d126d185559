"""A trap in the callback: the ledger has answered, and the canister could not write it down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swapd.devnet import ledger
from swapd.devnet.canisters import built
from swapd.devnet.replica import RejectError
from swapd.devnet.replica.leb128 import encode_unsigned, read_unsigned
from tests.canister.rig import (
    ALICE,
    AMOUNT,
    ARBITER,
    BOB,
    CAROL,
    CONTROLLER,
    FEE,
    HELD,
    MINTER,
    SECRET,
    Account,
    Rig,
    kind,
)

EXPORTS = 7  # the section of a wasm module


def garbled(rig: Rig, method: str, value: Any, sender: bytes = CAROL) -> None:
    """A call whose transfer is made, and whose answer from the ledger makes the callback trap."""
    rig.token.mumble()
    with pytest.raises(RejectError, match="IDL error"):
        rig.call(method, value, sender)
    rig.token.speak()


def quarantined_claim(rig: Rig) -> bytes:
    swap_id = rig.locked()
    garbled(rig, "completeSwap", {"id": swap_id, "secret": SECRET})
    assert kind(rig.resume(swap_id)) == "WrongPhase"
    return swap_id


def test_it_is_never_tried_again_by_itself_and_says_so(rig: Rig) -> None:
    swap_id = quarantined_claim(rig)
    blocks = len(rig.token.blocks())
    assert rig.swap(swap_id)["phase"] == {"Quarantined": {"Claiming": None}}
    event, tx = rig.log()[-1]
    assert (event, tx["id"], tx["intent"]) == ("swap_quarantined", swap_id, "Claiming")
    assert rig.health()["Ok"]["quarantined"] == 1
    for told in (rig.complete(swap_id), rig.refund(swap_id, BOB), rig.resume(swap_id)):
        assert told["Err"]["kind"] == {"RequestError": {"WrongPhase": {"Quarantined": {"Claiming": None}}}}
    rig.advance(48 * 3600)
    assert len(rig.token.blocks()) == blocks
    assert rig.balance(BOB) == AMOUNT


def test_the_sweep_writes_it_down_if_nobody_else_calls(rig: Rig) -> None:
    swap_id = rig.locked()
    garbled(rig, "completeSwap", {"id": swap_id, "secret": SECRET})
    assert rig.phase(swap_id) == "Claiming"
    rig.advance(61)
    assert rig.phase(swap_id) == "Quarantined"


def test_it_is_not_forgotten_over_an_upgrade(idle: Rig) -> None:
    swap_id = idle.locked()
    garbled(idle, "completeSwap", {"id": swap_id, "secret": SECRET})
    idle.upgrade()
    assert kind(idle.complete(swap_id)) == "WrongPhase"
    assert idle.phase(swap_id) == "Quarantined"


def test_a_paid_claim_is_resolved_as_claimed(rig: Rig) -> None:
    swap_id = quarantined_claim(rig)
    block = len(rig.token.blocks()) - 1
    done = rig.resolve(swap_id, block)["Ok"]
    assert (done["phase"], done["payout_block"]) == ({"Claimed": None}, block)
    assert rig.log()[-1] == ("swap_resolved", {"id": swap_id, "by": ARBITER, "phase": "Claimed", "ledger_block": block})
    assert rig.health()["Ok"]["quarantined"] == rig.health()["Ok"]["open_swaps"] == 0
    assert rig.balance(BOB) == AMOUNT


def test_a_paid_refund_is_resolved_as_refunded(rig: Rig) -> None:
    swap_id = rig.locked()
    garbled(rig, "refundSwap", swap_id, BOB)
    assert rig.resolve(swap_id, 3)["Ok"]["phase"] == {"Refunded": None}
    assert rig.story(swap_id) == ["funding", "locked", "refunding", "quarantined", "resolved"]
    assert rig.balance(ALICE) == HELD - 3 * FEE


@pytest.mark.parametrize("verb", ["completeSwap", "refundSwap"])
def test_an_unpaid_one_is_paid_to_whom_it_always_was(rig: Rig, verb: str) -> None:
    swap_id = rig.locked()
    rig.token.set_fee(2**70)  # refused; but the answer is garbled all the same
    garbled(rig, verb, {"id": swap_id, "secret": SECRET} if verb == "completeSwap" else swap_id, BOB)
    rig.token.set_fee(FEE)
    rig.advance(61)
    assert rig.phase(swap_id) == "Quarantined"
    assert rig.held(swap_id) == AMOUNT + FEE
    done = rig.resolve(swap_id, None)["Ok"]
    claimed = verb == "completeSwap"
    assert done["phase"] == {"Claimed" if claimed else "Refunded": None}
    assert rig.balance(BOB) == (AMOUNT if claimed else 0)
    assert rig.balance(ALICE) == HELD - 3 * FEE - (AMOUNT if claimed else 0)
    verbs = ["claiming", "claimed"] if claimed else ["refunding", "refunded"]
    assert rig.story(swap_id) == ["funding", "locked", verbs[0], "quarantined", "resolved", verbs[1]]


def test_the_arbiter_is_not_believed_against_the_balance(rig: Rig) -> None:
    paid = quarantined_claim(rig)
    unpaid = rig.locked()
    rig.token.misbehave("icrc1_transfer", {"Err": {"InsufficientFunds": {"balance": 0}}})
    rig.complete(unpaid)
    before = rig.log()
    assert kind(rig.resolve(paid, None)) == "InvalidArgument"
    assert kind(rig.resolve(unpaid, 3)) == "InvalidArgument"
    assert rig.log() == before
    assert rig.balance(BOB) == AMOUNT


def test_a_balance_that_cannot_be_asked_for_leaves_it_as_it_is(rig: Rig) -> None:
    swap_id = quarantined_claim(rig)
    rig.token.misbehave("icrc1_balance_of", "RejectBefore")
    assert kind(rig.resolve(swap_id, 3)) == "LedgerUnavailable"
    rig.token.misbehave("icrc1_balance_of")
    assert "Ok" in rig.resolve(swap_id, 3)


def test_a_funding_that_was_done_is_locked_and_one_that_was_not_is_cancelled(rig: Rig) -> None:
    done, undone = rig.terms(), rig.terms()
    done_id = rig.approve(done)
    undone_id = rig.escrow.id(ALICE, undone["nonce"])
    garbled(rig, "initiateSwap", done, ALICE)
    garbled(rig, "initiateSwap", undone, ALICE)  # no allowance
    rig.advance(61)
    for swap_id in (done_id, undone_id):
        assert rig.swap(swap_id)["phase"] == {"Quarantined": {"Funding": None}}
    assert kind(rig.resolve(done_id, None)) == "InvalidArgument"
    assert kind(rig.resolve(undone_id, 2)) == "InvalidArgument"
    assert rig.resolve(done_id, 2)["Ok"]["lock_block"] == 2
    assert rig.resolve(undone_id, None)["Ok"]["phase"] == {"Cancelled": None}
    assert rig.complete(done_id)["Ok"]["phase"] == {"Claimed": None}
    assert rig.balance(BOB) == AMOUNT


@pytest.mark.parametrize("who", [ALICE, BOB, CAROL, CONTROLLER], ids=["initiator", "recipient", "anyone", "controller"])
def test_nobody_but_the_arbiter_resolves(rig: Rig, who: bytes) -> None:
    swap_id = quarantined_claim(rig)
    assert kind(rig.resolve(swap_id, 3, who)) == "NotAuthorized"
    assert rig.phase(swap_id) == "Quarantined"


def test_only_what_is_quarantined_is_resolved(rig: Rig) -> None:
    swap_id = rig.locked()
    assert kind(rig.resolve(swap_id, None)) == "WrongPhase"
    rig.complete(swap_id)
    assert kind(rig.resolve(swap_id, 3)) == "WrongPhase"


def test_two_resolutions_at_once_pay_once(rig: Rig) -> None:
    swap_id = rig.locked()
    rig.token.misbehave("icrc1_transfer", {"Err": {"InsufficientFunds": {"balance": 0}}})
    rig.complete(swap_id)
    asked = {"id": swap_id, "paid_in_block": None}
    requests = [rig.submit("resolveQuarantined", asked, ARBITER) for _ in range(2)]
    rig.replica.settle()
    first, second = (rig.answer("resolveQuarantined", request) for request in requests)
    assert "Ok" in first
    assert kind(second) in ("Busy", "WrongPhase")
    assert rig.balance(BOB) == AMOUNT


def test_a_trap_while_looking_at_the_balance_moves_nothing_and_is_tried_again(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.token.misbehave("icrc1_transfer", "RejectAfter")
    idle.complete(swap_id)
    idle.token.set_fee(2 * FEE)
    change_ledger(
        idle, renamed(built("devnet_ledger").wasm, {"icrc1_balance_of": "lost", "icrc1_symbol": "icrc1_balance_of"})
    )
    with pytest.raises(RejectError, match="IDL error"):
        idle.resume(swap_id)
    idle.token.speak()
    assert idle.story(swap_id) == ["funding", "locked", "claiming"]
    assert idle.resume(swap_id)["Ok"]["phase"] == {"Claimed": None}
    assert idle.balance(BOB) == AMOUNT


def change_ledger(rig: Rig, wasm: bytes) -> None:
    arg = ledger.install_arg(symbol="", name="", decimals=0, fee=0, minting=Account(MINTER))  # not looked at
    rig.replica.install(rig.token.id, wasm, arg, MINTER, mode="upgrade")


def renamed(wasm: bytes, names: dict[str, str]) -> bytes:
    """The module with other names for some of its query methods, in the order given."""
    out, at = wasm[:8], 8
    while at < len(wasm):
        (kind_, (size, start)) = wasm[at], read_unsigned(wasm, at + 1)
        body = wasm[start : start + size]
        if kind_ == EXPORTS:
            for old, new in names.items():
                old_name, new_name = (f"canister_query {each}".encode() for each in (old, new))
                old_name, new_name = (bytes([len(each)]) + each for each in (old_name, new_name))
                assert body.count(old_name) == 1
                body = body.replace(old_name, new_name)
        out += bytes([kind_]) + encode_unsigned(len(body)) + body
        at = start + size
    return out


def test_quarantine_and_its_end_with_a_restart_before_every_call(idle: Rig, tmp_path: Path) -> None:
    idle.restart_before_calls(tmp_path)
    swap_id = quarantined_claim(idle)
    assert "Ok" in idle.resolve(swap_id, 3)
    assert idle.token.balance(Account(BOB)) == AMOUNT
