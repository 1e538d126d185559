"""What is new may be refused; then nothing has changed, nothing moved, and the error says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.canister.rig import (
    ALICE,
    AMOUNT,
    ANONYMOUS,
    ARBITER,
    BOB,
    CAROL,
    CONTROLLER,
    FEE,
    HELD,
    HOUR,
    MINUTE,
    SECOND,
    Account,
    Rig,
    kind,
)

MANY = {"open_swaps_per_caller": 100, "initiates_per_minute": 100, "requests_per_minute": 10}


@contextmanager
def unchanged(rig: Rig) -> Iterator[None]:
    before, blocks, health = rig.log(), len(rig.token.blocks()), rig.health()["Ok"]
    yield
    assert rig.log() == before
    assert len(rig.token.blocks()) == blocks
    now = rig.health()["Ok"]
    assert [now[name] for name in ("swaps", "open_swaps")] == [health[name] for name in ("swaps", "open_swaps")]


BAD_TERMS: list[dict[str, Any]] = [
    {"nonce": b""},
    {"nonce": bytes(31)},
    {"nonce": bytes(33)},
    {"hashlock": bytes(31)},
    {"hashlock": bytes(33)},
    {"hashlock": b""},
    {"amount": 0},
    {"amount": 2**128},
    {"fee": 2**128},
    {"from_subaccount": bytes(31)},
    {"from_subaccount": b""},
    {"recipient": {"owner": BOB, "subaccount": bytes(33)}},
    {"recipient": {"owner": ANONYMOUS, "subaccount": None}},
    {"refund_to": {"owner": ALICE, "subaccount": b"x"}},
    {"refund_to": {"owner": ANONYMOUS, "subaccount": None}},
]


@pytest.mark.parametrize("bad", BAD_TERMS, ids=str)
def test_bad_terms_are_refused(rig: Rig, bad: dict[str, Any]) -> None:
    args = {**rig.terms(), **bad}
    with unchanged(rig):
        told = rig.initiate(args)
    assert kind(told) == "InvalidArgument"
    assert told["Err"]["message"].startswith(next(iter(bad)))


@pytest.mark.parametrize("side", ["recipient", "refund_to"])
def test_the_canister_is_nobody_s_payee(rig: Rig, side: str) -> None:
    with unchanged(rig):
        told = rig.initiate({**rig.terms(), side: {"owner": rig.id, "subaccount": bytes(32)}})
    assert kind(told) == "InvalidArgument"


BAD_TIMES = {
    "fund_by is now": (0, 2 * HOUR),
    "fund_by is past": (-SECOND, 2 * HOUR),
    "the deadline is fund_by": (HOUR, HOUR),
    "the deadline is before fund_by": (2 * HOUR, HOUR),
    "the deadline is too near": (MINUTE, 10 * MINUTE - 1),
    "the deadline is too far": (MINUTE, 240 * HOUR + 1),
    "the deadline is past": (MINUTE, -HOUR),
    "the deadline is absurd": (MINUTE, 2**64 - 1 - 1_780_000_000 * SECOND),
}


@pytest.mark.parametrize("times", BAD_TIMES.values(), ids=BAD_TIMES)
def test_bad_times_are_refused(rig: Rig, times: tuple[int, int]) -> None:
    now = rig.replica.now_ns
    with unchanged(rig):
        told = rig.initiate(rig.terms(fund_by=now + times[0], deadline=now + times[1]))
    assert kind(told) == "InvalidArgument"


@pytest.mark.parametrize("deadline", [10 * MINUTE, 240 * HOUR])
def test_the_bounds_of_the_deadline_are_good(rig: Rig, deadline: int) -> None:
    now = rig.replica.now_ns
    rig.locked(fund_by=now + 1, deadline=now + deadline)


def test_an_unknown_ledger_is_refused_and_not_called(rig: Rig) -> None:
    with unchanged(rig):
        for ledger in (CAROL, rig.id, b"", ANONYMOUS):
            assert kind(rig.initiate(rig.terms() | {"ledger": ledger})) == "LedgerNotAllowed"


def test_a_nonce_stands_for_one_set_of_terms(rig: Rig) -> None:
    args = rig.terms()
    rig.approve(args)
    first = rig.initiate(args)
    with unchanged(rig):
        assert rig.initiate(args) == first
        for change in (
            {"amount": AMOUNT + 1},
            {"fee": FEE + 1},
            {"hashlock": bytes(32)},
            {"recipient": vars(Account(BOB, b"\x01" * 32))},
            {"deadline": args["deadline"] + 1},
            {"fund_by": args["fund_by"] - 1},
            {"from_subaccount": bytes(32)},
        ):
            assert kind(rig.initiate({**args, **change})) == "NonceReused"


def test_the_same_call_is_answered_long_after_its_times_are_over(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.initiate(args)
    idle.advance(240 * 3600)
    with unchanged(idle):
        assert idle.initiate(args)["Ok"]["id"] == swap_id


def test_the_same_nonce_of_another_initiator_is_another_swap(rig: Rig) -> None:
    swap_id = rig.locked(nonce=bytes(32))
    rig.token.transfer(ALICE, Account(BOB), 10 * AMOUNT)
    args = rig.terms(nonce=bytes(32))
    other = rig.approve(args, BOB)
    assert rig.initiate(args, BOB)["Ok"]["id"] == other != swap_id


# -- limits


def test_one_caller_has_so_many_open_swaps_and_no_more() -> None:
    rig = Rig(limits={**MANY, "open_swaps_per_caller": 2}, sweep_seconds=86_400)
    first, _ = rig.locked(), rig.locked()
    args = rig.terms()
    rig.approve(args)
    with unchanged(rig):
        assert kind(rig.initiate(args)) == "TooManyOpen"
    rig.token.transfer(ALICE, Account(BOB), 10 * AMOUNT)
    theirs = rig.terms()
    rig.approve(theirs, BOB)
    assert "Ok" in rig.initiate(theirs, BOB)
    rig.complete(first)
    assert "Ok" in rig.initiate(args)
    rig.sound()


def test_a_cancelled_swap_counts_again_when_it_is_begun_again() -> None:
    rig = Rig(limits={**MANY, "open_swaps_per_caller": 1}, sweep_seconds=86_400)
    args = rig.terms()
    rig.initiate(args)
    rig.locked()
    rig.approve(args)
    with unchanged(rig):
        assert kind(rig.initiate(args)) == "TooManyOpen"


def test_one_caller_may_begin_so_many_swaps_a_minute() -> None:
    rig = Rig(limits={**MANY, "initiates_per_minute": 3}, sweep_seconds=86_400)
    made = [rig.locked() for _ in range(3)]
    args = rig.terms()
    rig.approve(args)
    with unchanged(rig):
        told = rig.initiate(args)
    assert kind(told) == "RateLimited"
    wait = told["Err"]["kind"]["TemporaryError"]["RateLimited"]["retry_after_ns"]
    assert 0 < wait <= MINUTE
    assert all("Ok" in rig.complete(swap_id, sender=ALICE) for swap_id in made)  # exits are not counted
    rig.advance(wait / SECOND)
    assert "Ok" in rig.initiate(args)
    rig.sound()


def test_what_is_refused_for_good_does_not_count() -> None:
    rig = Rig(limits={**MANY, "initiates_per_minute": 1})
    for _ in range(3):
        assert kind(rig.initiate(rig.terms(amount=0))) == "InvalidArgument"
    rig.locked()


def test_a_storm_of_wrong_secrets_does_not_stop_the_right_one(rig: Rig) -> None:
    swap_id = rig.locked()
    with unchanged(rig):
        for n in range(300):
            assert kind(rig.complete(swap_id, n.to_bytes(32))) == "WrongSecret"
    assert "Ok" in rig.complete(swap_id)


# -- halt


def halt(rig: Rig, halted: bool, ledger: bytes | None = None, sender: bytes = ARBITER) -> Any:
    return rig.call("setHalted", {"ledger": ledger, "halted": halted}, sender)


@pytest.mark.parametrize("whole", [True, False], ids=["everything", "one ledger"])
def test_a_halt_stops_entry_and_never_exit(idle: Rig, whole: bool) -> None:
    claimed, refunded, stuck = idle.locked(), idle.locked(), idle.locked()
    idle.token.misbehave("icrc1_transfer", "RejectBefore")
    idle.complete(stuck)
    args = idle.terms()
    idle.approve(args)
    halt(idle, True, None if whole else idle.token.id)
    with unchanged(idle):
        assert kind(idle.initiate(args)) == "Halted"
    assert "Ok" in idle.complete(claimed)
    assert "Ok" in idle.refund(refunded, BOB)
    assert "Ok" in idle.resume(stuck)
    assert idle.health()["Ok"]["halted"] is whole
    assert idle.health()["Ok"]["halted_ledgers"] == ([] if whole else [idle.token.id])
    halt(idle, False, None if whole else idle.token.id)
    assert "Ok" in idle.initiate(args)


def test_a_halt_does_not_keep_a_begun_funding_from_its_end(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.token.misbehave("icrc2_transfer_from", "RejectAfter")
    idle.initiate(args)
    halt(idle, True)
    assert kind(idle.initiate(args)) == "Halted"
    assert idle.resume(swap_id)["Ok"]["phase"] == {"Locked": None}
    assert "Ok" in idle.complete(swap_id)


def test_a_halt_of_another_ledger_changes_nothing_here(rig: Rig) -> None:
    halt(rig, True, BOB)
    rig.locked()


def test_a_halt_is_in_the_log(rig: Rig) -> None:
    halt(rig, True, sender=ARBITER)
    halt(rig, False, rig.token.id, sender=CONTROLLER)
    assert rig.log()[-2:] == [
        ("admin", {"op": "set_halted", "by": ARBITER, "halted": 1}),
        ("admin", {"op": "set_halted", "by": CONTROLLER, "ledger": rig.token.id, "halted": 0}),
    ]


# -- cycles, and the list of ledgers


def test_few_cycles_stop_entry_and_never_exit(idle: Rig) -> None:
    claimed, refunded = idle.locked(), idle.locked()
    args = idle.terms()
    idle.approve(args)
    idle.replica.add_cycles(idle.id, 10**12 - 1 - idle.replica.canister(idle.id).cycles)
    assert idle.health()["Ok"]["low_cycles"]
    with unchanged(idle):
        assert kind(idle.initiate(args)) == "LowCycles"
    assert "Ok" in idle.complete(claimed)
    assert "Ok" in idle.refund(refunded, BOB)
    idle.replica.add_cycles(idle.id, 10**13)
    assert not idle.health()["Ok"]["low_cycles"]
    assert "Ok" in idle.initiate(args)


def test_a_ledger_that_leaves_the_list_keeps_its_exits(idle: Rig) -> None:
    claimed, refunded = idle.locked(), idle.locked()
    args = idle.terms()
    idle.call("configure", {**idle.config, "ledgers": []}, CONTROLLER)
    assert kind(idle.initiate(args)) == "LedgerNotAllowed"
    assert "Ok" in idle.complete(claimed)
    assert "Ok" in idle.refund(refunded, BOB)


def test_shorter_limits_do_not_touch_what_is_under_way(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.call("configure", {**idle.config, "max_timelock": HOUR, "limits": dict.fromkeys(MANY, 0)}, CONTROLLER)
    assert kind(idle.initiate(idle.terms(deadline=idle.replica.now_ns + HOUR))) == "TooManyOpen"
    assert "Ok" in idle.complete(swap_id)
    assert idle.balance(ALICE) + AMOUNT == HELD - 3 * FEE
