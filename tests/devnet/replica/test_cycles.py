"""Cycles: what is charged, what moves with calls, and what happens when there are none left."""

from __future__ import annotations

import pytest

from swapd.devnet.replica import Costs, ErrorCode, RejectCode, RejectError
from swapd.devnet.replica.cycles import MAX_RESPONSE_BYTES
from tests.devnet.replica.probing import Probe, new_replica, rejected, replied

DAY = 86_400


def test_a_message_is_paid_for(probe: Probe) -> None:
    before, costs = probe.canister.cycles, Costs()
    probe.update("bump")
    expected = costs.ingress(len("bump")) + costs.execution(probe.canister.instructions_used, wasm64=False)
    assert before - probe.canister.cycles == expected


def test_a_trapped_message_is_paid_for_too(probe: Probe) -> None:
    before = probe.canister.cycles
    with pytest.raises(RejectError):
        probe.update("explode")
    assert before - probe.canister.cycles > Costs().update_message


def test_a_query_is_free(probe: Probe) -> None:
    before = probe.canister.cycles
    probe.query("bump_in_query")
    assert probe.canister.cycles == before


def test_a_call_is_paid_by_its_size_and_not_by_what_was_set_aside(probe: Probe, friend: Probe) -> None:
    before = probe.canister.cycles
    request = probe.submit("relay", friend.calling("bump"))
    probe.replica.step()
    assert before - probe.canister.cycles > Costs().response_bytes(MAX_RESPONSE_BYTES), "the worst case is set aside"
    probe.replica.settle()
    assert probe.replica.outcome(request)
    spent = before - probe.canister.cycles
    assert Costs().call < spent < 20 * Costs().update_message


def test_cycles_move_with_a_call_and_the_rest_comes_back(probe: Probe, friend: Probe) -> None:
    mine, theirs = probe.canister.cycles, friend.canister.cycles
    refunded, _ = replied(probe.update("relay", friend.calling("accept_half", 10**12)))
    assert refunded == 10**12 // 2
    assert mine - probe.canister.cycles == pytest.approx(10**12 // 2, rel=0.001)
    assert friend.canister.cycles - theirs == pytest.approx(10**12 // 2, rel=0.001)


@pytest.mark.parametrize("method", ["accept_and_trap", "missing", "refuse"])
def test_cycles_come_back_from_a_call_that_failed(probe: Probe, friend: Probe, method: str) -> None:
    mine, theirs = probe.canister.cycles, friend.canister.cycles
    rejected(probe.update("relay", friend.calling(method, 10**12)))
    assert mine - probe.canister.cycles < 10**9
    assert friend.canister.cycles <= theirs


def test_cycles_that_a_canister_does_not_have_can_not_be_sent(probe: Probe, friend: Probe) -> None:
    with pytest.raises(RejectError, match="is out of cycles: please top up the canister with at least"):
        probe.update("relay", friend.calling("accept_half", 10**15))
    assert probe.state().bumps == 0


def test_a_drained_canister_freezes_and_a_topped_up_one_thaws(probe: Probe) -> None:
    canister, replica = probe.canister, probe.replica
    replica.add_cycles(probe.id, -canister.cycles + canister.freezing_threshold_cycles - 1)
    with pytest.raises(RejectError, match="is out of cycles") as e:
        probe.update("bump")
    assert (e.value.code, e.value.error) == (RejectCode.SYS_TRANSIENT, ErrorCode.CANISTER_OUT_OF_CYCLES)
    with pytest.raises(RejectError, match="unable to process query calls because it's frozen") as e:
        probe.query("state")
    assert e.value.error == ErrorCode.CANISTER_OUT_OF_CYCLES
    replica.add_cycles(probe.id, 10**13)
    probe.update("bump")
    assert probe.state().bumps == 1


def test_a_canister_that_can_not_pay_for_the_worst_case_is_not_run(probe: Probe) -> None:
    """The real replica sets aside what a message may cost at most, though it will cost far less."""
    canister = probe.canister
    probe.replica.add_cycles(probe.id, -canister.cycles + canister.freezing_threshold_cycles + 10**9)
    with pytest.raises(RejectError, match="is out of cycles") as e:
        probe.update("bump")
    assert e.value.error == ErrorCode.CANISTER_OUT_OF_CYCLES


def test_a_call_to_a_frozen_canister_is_rejected_and_its_cycles_come_back(probe: Probe, friend: Probe) -> None:
    probe.replica.add_cycles(friend.id, -friend.canister.cycles)
    mine = probe.canister.cycles
    code, message = rejected(probe.update("relay", friend.calling("accept_half", 10**12)))
    assert code == RejectCode.SYS_TRANSIENT
    assert "is out of cycles" in message
    assert mine - probe.canister.cycles < 10**9


def test_a_call_that_can_not_be_paid_for_is_not_sent(probe: Probe, friend: Probe) -> None:
    """`call_perform` says so, and nothing else happens."""
    canister = probe.canister
    one_message = Costs().execution(probe.replica.state.limits.instructions_per_message, wasm64=False)
    spare = one_message + 10**9  # to run, and not to call as well
    probe.replica.add_cycles(probe.id, -canister.cycles + canister.freezing_threshold_cycles + spare)
    with pytest.raises(RejectError, match="sorry"):
        probe.update("relay", friend.calling("bump"))
    assert friend.state().bumps == 0


def test_a_callback_runs_though_its_canister_has_frozen_meanwhile(probe: Probe, friend: Probe) -> None:
    request = probe.submit("relay", friend.calling("who"))
    probe.replica.step()
    probe.replica.add_cycles(probe.id, -probe.canister.cycles)
    probe.replica.settle()
    outcome = probe.replica.outcome(request)
    assert outcome
    assert replied(outcome.unwrap())[1] == probe.id


def test_storage_is_paid_for_as_time_goes_by(probe: Probe) -> None:
    canister = probe.canister
    before = canister.cycles
    probe.replica.advance(DAY)
    assert before - canister.cycles == Costs().storage(canister.memory_bytes, DAY)


def test_a_canister_that_can_not_pay_its_storage_is_emptied(probe: Probe, friend: Probe) -> None:
    request = friend.submit("relay", probe.calling("bump"))
    probe.replica.step()
    probe.replica.add_cycles(probe.id, -probe.canister.cycles)
    probe.replica.clock.advance(DAY)
    probe.replica.settle()
    assert probe.canister.module is None
    outcome = probe.replica.outcome(request)
    assert outcome
    assert "contains no Wasm module" in rejected(outcome.unwrap())[1]


def test_the_timer_of_a_frozen_canister_waits(probe: Probe) -> None:
    probe.update("arm", (probe.replica.now_ns + 5 * 10**9).to_bytes(8, "little"))
    held = probe.canister.cycles
    probe.replica.add_cycles(probe.id, -held)
    probe.replica.advance(9)
    probe.replica.add_cycles(probe.id, held)
    assert probe.state().timers == 0
    probe.replica.settle()
    assert probe.state().timers == 1


def test_install_needs_cycles_too() -> None:
    replica = new_replica()
    with pytest.raises(RejectError, match="is out of cycles"):
        Probe(replica, cycles=10**9)
