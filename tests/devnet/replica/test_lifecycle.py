"""Upgrades by stable memory, stopping, deleting, settings: what controllers do, through the management canister."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from ic.candid import Types, decode, encode

from swapd.devnet.replica import ErrorCode, ManualClock, RejectCode, RejectError, Replica
from tests.devnet.replica.probing import ALICE, BOB, EMPTY, Probe, rejected, replied
from tests.devnet.replica.wasm import wat

MANAGEMENT = b""
ID = Types.Record({"canister_id": Types.Principal})


def about(canister_id: bytes) -> bytes:
    data: bytes = encode([{"type": ID, "value": {"canister_id": canister_id}}])
    return data


def manage(replica: Replica, method: str, argument: bytes, sender: bytes = ALICE) -> bytes:
    return replica.update(MANAGEMENT, method, argument, sender)


@pytest.fixture
def keeper(replica: Replica) -> bytes:
    canister_id = replica.create_canister(ALICE)
    replica.install(canister_id, wat("keeper"), b"", ALICE)
    return canister_id


def kept(replica: Replica, keeper: bytes) -> tuple[int, int]:
    """The count, which goes through stable memory, and what is on the heap only."""
    count, heap_only = struct.unpack("<IQ", replica.query(keeper, "show", b"", ALICE))
    return count, heap_only


# --- classic upgrades ------------------------------------------------------------------------------------------------


def test_an_upgrade_keeps_what_was_put_into_stable_memory_and_no_more(replica: Replica, keeper: bytes) -> None:
    replica.update(keeper, "add", b"", ALICE)
    assert kept(replica, keeper) == (1, 5)
    replica.install(keeper, wat("keeper"), b"", ALICE, "upgrade")
    assert kept(replica, keeper) == (1, 0)
    assert replica.canister(keeper).timer_ns == 0


def test_an_upgrade_that_traps_changes_nothing(replica: Replica, keeper: bytes) -> None:
    replica.update(keeper, "add", b"", ALICE)
    timer = replica.canister(keeper).timer_ns
    with pytest.raises(RejectError, match="unreachable"):
        replica.install(keeper, wat("keeper"), b"x", ALICE, "upgrade")
    assert kept(replica, keeper) == (1, 5), "what canister_pre_upgrade did is undone as well"
    assert (len(replica.canister(keeper).stable), replica.canister(keeper).timer_ns) == (0, timer)
    replica.update(keeper, "add", b"", ALICE)
    replica.install(keeper, wat("keeper"), b"", ALICE, "upgrade")
    assert kept(replica, keeper) == (2, 0)


def test_a_reinstallation_keeps_nothing(replica: Replica, keeper: bytes) -> None:
    replica.update(keeper, "add", b"", ALICE)
    replica.install(keeper, wat("keeper"), b"", ALICE, "upgrade")
    replica.install(keeper, wat("keeper"), b"", ALICE, "reinstall")
    assert (kept(replica, keeper), len(replica.canister(keeper).stable)) == ((0, 0), 0)


def test_the_heap_of_a_classic_module_can_not_be_kept(replica: Replica, keeper: bytes) -> None:
    heap = Types.Opt(Types.Variant({"keep": Types.Null, "replace": Types.Null}))
    options = Types.Opt(Types.Record({"wasm_memory_persistence": heap}))
    kind = Types.Record(
        {
            "mode": Types.Variant({"upgrade": options}),
            "canister_id": Types.Principal,
            "wasm_module": Types.Vec(Types.Nat8),
            "arg": Types.Vec(Types.Nat8),
        }
    )
    value = {
        "mode": {"upgrade": [{"wasm_memory_persistence": [{"keep": None}]}]},
        "canister_id": keeper,
        "wasm_module": wat("keeper"),
        "arg": b"",
    }
    with pytest.raises(RejectError, match="Invalid upgrade option"):
        manage(replica, "install_code", encode([{"type": kind, "value": value}]))


def test_a_module_that_asks_for_what_there_is_not_is_refused(replica: Replica) -> None:
    canister_id = replica.create_canister(ALICE)
    for wanted in (
        '"ic0" "fly" (func)',
        '"env" "msg_reply" (func)',
        '"ic0" "msg_reply" (func (param i32))',
        '"ic0" "time" (func)',
        '"ic0" "time" (func (result f64))',
        '"ic0" "msg_reply" (memory 1)',
    ):
        wasm = bytes(wasmtime.wat2wasm(f"(module (import {wanted}))"))
        with pytest.raises(RejectError, match="imports") as e:
            replica.install(canister_id, wasm, b"", ALICE)
        assert e.value.error == ErrorCode.CANISTER_INVALID_WASM
    assert replica.canister(canister_id).module is None


# --- stopping --------------------------------------------------------------------------------------------------------


def test_a_stopped_canister_takes_no_calls(probe: Probe, friend: Probe) -> None:
    replica = probe.replica
    replica.stop(friend.id)
    assert friend.canister.status == "stopped"
    with pytest.raises(RejectError, match="is stopped") as e:
        friend.update("bump")
    assert e.value.error == ErrorCode.CANISTER_STOPPED
    with pytest.raises(RejectError, match="is stopped"):
        friend.query("state")
    code, message = rejected(probe.update("relay", friend.calling("bump")))
    assert (code, message[:7]) == (RejectCode.CANISTER_ERROR, "IC0508:")
    replica.start(friend.id)
    friend.update("bump")
    assert friend.state().bumps == 1


def test_stopping_waits_for_open_calls_and_takes_no_new_ones(probe: Probe, friend: Probe) -> None:
    replica = probe.replica
    request = probe.submit("relay", friend.calling("who"))
    replica.step()
    stopping = replica.submit(MANAGEMENT, "stop_canister", about(probe.id), ALICE)
    late = probe.submit("bump")
    for _ in range(3):  # the friend's answer is made, the canister is told to stop, the late call is turned away
        replica.step()
    assert probe.canister.status == "stopping"
    assert replica.outcome(stopping) is None
    refused = replica.outcome(late)
    assert refused
    assert refused.rejection
    assert refused.rejection.error == ErrorCode.CANISTER_STOPPING
    replica.settle()
    answered, stopped = replica.outcome(request), replica.outcome(stopping)
    assert answered
    assert stopped
    assert replied(answered.unwrap())[1] == probe.id, "the open call is answered all the same"
    assert (stopped.unwrap(), probe.canister.status) == (EMPTY, "stopped")


def test_starting_again_cancels_a_stop_that_waits(probe: Probe, friend: Probe) -> None:
    replica = probe.replica
    probe.submit("relay", friend.calling("who"))
    replica.step()
    stopping = replica.submit(MANAGEMENT, "stop_canister", about(probe.id), ALICE)
    for _ in range(2):
        replica.step()
    replica.start(probe.id)
    outcome = replica.outcome(stopping)
    assert outcome
    assert outcome.rejection
    assert outcome.rejection.error == ErrorCode.CANISTER_STOPPING_CANCELLED
    replica.settle()
    assert probe.canister.status == "running"


def test_the_timer_of_a_stopped_canister_waits(probe: Probe) -> None:
    probe.update("arm", (probe.replica.now_ns + 5 * 10**9).to_bytes(8, "little"))
    probe.replica.stop(probe.id)
    probe.replica.advance(10)
    probe.replica.start(probe.id)
    assert probe.state().timers == 0
    probe.replica.settle()
    assert probe.state().timers == 1


def test_a_canister_is_deleted_when_it_is_stopped(probe: Probe) -> None:
    with pytest.raises(RejectError, match="must be stopped before it is deleted"):
        manage(probe.replica, "delete_canister", about(probe.id))
    probe.replica.stop(probe.id)
    manage(probe.replica, "delete_canister", about(probe.id))
    with pytest.raises(RejectError, match="not found"):
        probe.update("bump")


def test_uninstalling_answers_whoever_waits(probe: Probe, friend: Probe) -> None:
    request = probe.submit("relay", friend.calling("who"))
    probe.replica.step()
    manage(probe.replica, "uninstall_code", about(probe.id))
    outcome = probe.replica.outcome(request)
    assert outcome
    assert "has been uninstalled" in str(outcome.rejection)
    assert (probe.canister.module, probe.canister.contexts, probe.canister.callbacks) == (None, {}, {})


# --- who may, and what is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["stop_canister", "start_canister", "delete_canister", "uninstall_code", "canister_status"]
)
def test_only_controllers_manage_a_canister(probe: Probe, method: str) -> None:
    with pytest.raises(RejectError, match="Only the controllers of the canister") as e:
        manage(probe.replica, method, about(probe.id), BOB)
    assert e.value.error == ErrorCode.CANISTER_INVALID_CONTROLLER


def test_settings_are_changed_and_shown(probe: Probe) -> None:
    controllers = Types.Opt(Types.Vec(Types.Principal))
    wanted = Types.Record({"controllers": controllers, "freezing_threshold": Types.Opt(Types.Nat)})
    kind = Types.Record({"canister_id": Types.Principal, "settings": wanted})
    value = {"canister_id": probe.id, "settings": {"controllers": [[ALICE, BOB]], "freezing_threshold": [1000]}}
    before = probe.canister.freezing_threshold_cycles
    manage(probe.replica, "update_settings", encode([{"type": kind, "value": value}]))
    assert probe.canister.freezing_threshold_cycles < before
    told = status(probe, BOB)
    assert [bytes(c.bytes) for c in told["settings"]["controllers"]] == [ALICE, BOB]
    assert told["settings"]["freezing_threshold"] == 1000
    assert (told["status"], told["cycles"]) == ({"running": None}, probe.canister.cycles)
    module = probe.canister.module
    assert module
    assert bytes(told["module_hash"][0]) == module.hash


def status(probe: Probe, sender: bytes) -> dict[str, Any]:
    shown = Types.Record({"controllers": Types.Vec(Types.Principal), "freezing_threshold": Types.Nat})
    state = Types.Variant({"running": Types.Null, "stopping": Types.Null, "stopped": Types.Null})
    kind = Types.Record(
        {"status": state, "settings": shown, "cycles": Types.Nat, "module_hash": Types.Opt(Types.Vec(Types.Nat8))}
    )
    reply = manage(probe.replica, "canister_status", about(probe.id), sender)
    told: dict[str, Any] = decode(reply, [kind])[0]["value"]
    return told


def test_what_the_management_canister_does_not_understand_is_rejected(probe: Probe) -> None:
    for method in ("fly", "raw_rand", "provisional_create_canister_with_cycles", "install_code", "stop_canister"):
        for argument in (b"", b"junk", b"DIDL\xff", b"DIDL\x01\x6c\x01\x00\x00\x01\x00"):
            with pytest.raises(RejectError):
                manage(probe.replica, method, argument)
    with pytest.raises(RejectError, match=r"Canister .* not found"):
        manage(probe.replica, "canister_status", about(b"\0" * 8 + b"\1\1"))


KINDS = [Types.Nat, Types.Text, Types.Principal, Types.Opt(Types.Nat), Types.Vec(Types.Nat8), ID]
VALUES = [7, "seven", b"\7", [7], b"seven", {"canister_id": b"\7"}]
FIELDS = ["canister_id", "amount", "settings", "mode", "wasm_module", "arg"]
SHARED = Replica(clock=ManualClock())


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["install_code", "update_settings", "provisional_create_canister_with_cycles"]),
    shape=st.dictionaries(st.sampled_from(FIELDS), st.integers(0, len(KINDS) - 1), min_size=1),
)
def test_candid_of_another_shape_is_rejected_and_ends_nothing(method: str, shape: dict[str, int]) -> None:
    kind = Types.Record({name: KINDS[index] for name, index in shape.items()})
    argument = encode([{"type": kind, "value": {name: VALUES[index] for name, index in shape.items()}}])
    with contextlib.suppress(RejectError):
        manage(SHARED, method, argument)
