"""One message: all or nothing, within the rules of the system API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.devnet.replica import ErrorCode, Limits, RejectCode, RejectError
from tests.devnet.replica.probing import ALICE, BOB, Probe, new_replica


def test_what_a_message_changes_stays(probe: Probe) -> None:
    probe.update("bump")
    probe.update("bump")
    probe.update("grow")
    state = probe.state()
    assert (state.bumps, state.bumps_on_heap) == (2, 2)
    assert (state.heap_pages, state.stable_pages, state.stable_start) == (3, 1, b"boom")


def test_the_start_function_runs_once_at_installation(probe: Probe) -> None:
    assert probe.state().started == 1


def test_a_trapped_message_leaves_nothing_behind(probe: Probe, friend: Probe) -> None:
    probe.update("bump")
    probe.update("certify", b"before")
    before = probe.state()
    with pytest.raises(RejectError, match="Canister trapped: unreachable") as e:
        probe.update("ruin", friend.calling("bump"))
    assert e.value.error == ErrorCode.CANISTER_TRAPPED
    probe.replica.advance(10)  # a timer that was set would fire
    assert probe.state() == replace(before, time_ns=probe.replica.now_ns)
    assert probe.canister.certified_data == b"before"
    assert friend.state().bumps == 0
    assert probe.canister.callbacks == {}


def test_stable_memory_written_twice_in_a_trapped_message_is_as_before(probe: Probe, friend: Probe) -> None:
    probe.update("grow")
    with pytest.raises(RejectError):
        probe.update("ruin", friend.calling("bump"))
    state = probe.state()
    assert (state.heap_pages, state.stable_pages, state.stable_start) == (3, 1, b"boom")


def test_after_a_rollback_the_canister_works_on(probe: Probe, friend: Probe) -> None:
    for _ in range(3):
        probe.update("bump")
        with pytest.raises(RejectError):
            probe.update("ruin", friend.calling("bump"))
    assert probe.state().bumps == 3


def test_a_query_leaves_nothing_behind(probe: Probe) -> None:
    assert probe.query("bump_in_query") != probe.query("state")
    assert probe.state().bumps == 0


def test_a_query_called_as_an_update_leaves_nothing_behind(probe: Probe) -> None:
    probe.update("bump_in_query")
    assert probe.state().bumps == 0


@pytest.mark.parametrize(
    ("method", "words", "error"),
    [
        ("explode", "Canister called `ic0.trap` with message: 'boom'", ErrorCode.CANISTER_CALLED_TRAP),
        ("out_of_bounds", "Canister trapped: heap out of bounds", ErrorCode.CANISTER_TRAPPED),
        ("beyond_stable", "Canister trapped: stable memory out of bounds", ErrorCode.CANISTER_TRAPPED),
        ("divide", "Canister trapped: integer division by 0", ErrorCode.CANISTER_TRAPPED),
        ("deep", "Canister trapped: stack overflow", ErrorCode.CANISTER_TRAPPED),
        ("twice", "the call is already replied", ErrorCode.CANISTER_CONTRACT_VIOLATION),
        ("silent", "Canister did not reply to the call", ErrorCode.CANISTER_DID_NOT_REPLY),
        ("accept_in_update", "cannot be executed in update mode", ErrorCode.CANISTER_CONTRACT_VIOLATION),
        ("refunded_in_update", "cannot be executed in update mode", ErrorCode.CANISTER_CONTRACT_VIOLATION),
        ("perform_nothing", "no call is under construction", ErrorCode.CANISTER_CONTRACT_VIOLATION),
        ("nowhere", "Canister has no update method 'nowhere'", ErrorCode.CANISTER_METHOD_NOT_FOUND),
    ],
)
def test_a_fault_is_rejected_in_the_real_replicas_words(
    probe: Probe, method: str, words: str, error: ErrorCode
) -> None:
    with pytest.raises(RejectError) as e:
        probe.update(method)
    assert words in e.value.message
    assert e.value.code == RejectCode.CANISTER_ERROR
    assert e.value.error == error
    assert probe.state().bumps == 0


def test_a_message_without_an_end_is_ended() -> None:
    probe = Probe(new_replica(Limits(instructions_per_message=1_000_000)))
    with pytest.raises(RejectError, match="exceeded the limit of 1000000 instructions") as e:
        probe.update("forever")
    assert e.value.error == ErrorCode.CANISTER_INSTRUCTION_LIMIT_EXCEEDED
    assert probe.canister.instructions_used >= 1_000_000
    probe.update("bump")


def test_a_query_must_be_one(probe: Probe) -> None:
    with pytest.raises(RejectError, match="Canister has no query method 'bump'") as e:
        probe.query("bump")
    assert e.value.error == ErrorCode.CANISTER_METHOD_NOT_FOUND


def test_no_calls_in_queries(probe: Probe) -> None:
    with pytest.raises(RejectError, match="cannot be executed in non replicated query mode"):
        probe.query("call_in_query", probe.calling("bump"))


def test_caller_and_argument_reach_the_canister(probe: Probe) -> None:
    assert probe.replica.update(probe.id, "who", b"", BOB) == BOB
    assert probe.update("echo", b"hello") == b"hello"


def test_instructions_are_counted_for_each_message(probe: Probe) -> None:
    probe.update("bump")
    few = probe.canister.instructions_used
    probe.update("echo", b"x" * 10_000)
    assert 0 < few < probe.canister.instructions_used
    counted = int.from_bytes(probe.query("counter"), "little")
    assert 0 < counted < few


def test_what_is_printed_is_logged_with_its_time(probe: Probe) -> None:
    probe.update("speak")
    assert probe.canister.logs == [(probe.replica.now_ns, "boom")]


def test_unknown_canisters_and_empty_ones_are_rejected(probe: Probe) -> None:
    replica = probe.replica
    with pytest.raises(RejectError, match=r"Canister .*-cai not found") as e:
        replica.update(b"\0" * 8 + b"\1\1", "x", b"", ALICE)
    assert (e.value.code, e.value.error) == (RejectCode.DESTINATION_INVALID, ErrorCode.CANISTER_NOT_FOUND)
    empty = replica.create_canister(ALICE)
    with pytest.raises(RejectError, match="the canister contains no Wasm module") as e:
        replica.update(empty, "x", b"", ALICE)
    assert e.value.error == ErrorCode.CANISTER_WASM_MODULE_NOT_FOUND
    with pytest.raises(RejectError, match="the canister contains no Wasm module"):
        replica.query(empty, "x", b"", ALICE)


def test_a_canister_inspects_what_comes_from_outside(probe: Probe) -> None:
    with pytest.raises(RejectError, match="Canister rejected the message") as e:
        probe.submit("forbidden")
    assert e.value.code == RejectCode.CANISTER_REJECT
    assert probe.replica.step() is False
    assert probe.state().bumps == 0, "an inspection leaves nothing behind"


def test_other_canisters_are_not_inspected(probe: Probe, friend: Probe) -> None:
    probe.update("relay", friend.calling("forbidden"))
    assert friend.state().bumps == 1
