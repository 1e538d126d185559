"""Calls between canisters, message by message."""

from __future__ import annotations

import pytest

from swapd.devnet.replica import ErrorCode, Limits, RejectCode, RejectError
from tests.devnet.replica.probing import ALICE, Probe, call, new_replica, rejected, replied

NOBODY = b"\0" * 8 + b"\1\1"


def test_a_reply_reaches_the_callback(probe: Probe, friend: Probe) -> None:
    assert replied(probe.update("relay", friend.calling("who"))) == (0, probe.id)
    assert (probe.state().bumps, probe.canister.contexts, probe.canister.callbacks) == (1, {}, {})


def test_one_step_is_one_message(probe: Probe, friend: Probe) -> None:
    request = probe.submit("relay", friend.calling("bump"))
    seen = []
    for _ in range(3):
        assert probe.replica.step()
        seen.append((probe.state().bumps, friend.state().bumps, probe.replica.outcome(request) is not None))
    assert seen == [(1, 0, False), (1, 1, False), (1, 1, True)]
    assert not probe.replica.step()


def test_two_calls_interleave(probe: Probe, friend: Probe) -> None:
    requests = [probe.submit("relay", friend.calling("bump")) for _ in range(2)]
    for _ in range(4):
        probe.replica.step()
    assert (probe.state().bumps, friend.state().bumps) == (2, 2)
    assert [probe.replica.outcome(request) for request in requests] == [None, None]
    probe.replica.settle()
    assert all(probe.replica.outcome(request) for request in requests)


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("refuse", RejectCode.CANISTER_REJECT, "sorry"),
        ("explode", RejectCode.CANISTER_ERROR, "IC0503: Error from Canister "),
        ("silent", RejectCode.CANISTER_ERROR, "IC0506: Error from Canister "),
        ("missing", RejectCode.CANISTER_ERROR, "IC0536: Error from Canister "),
    ],
)
def test_a_rejection_reaches_the_callback(
    probe: Probe, friend: Probe, method: str, code: RejectCode, words: str
) -> None:
    told = rejected(probe.update("relay", friend.calling(method)))
    assert told[0] == code
    assert told[1].startswith(words)
    assert friend.state().bumps == (1 if method == "refuse" else 0), "only a trap undoes what was done"


def test_a_call_to_nobody_is_rejected(probe: Probe) -> None:
    code, message = rejected(probe.update("relay", call(NOBODY, "x")))
    assert code == RejectCode.DESTINATION_INVALID
    assert message.startswith("IC0301: Canister ")


def test_a_trapping_callback_undoes_itself_alone_and_runs_the_cleanup(probe: Probe, friend: Probe) -> None:
    with pytest.raises(RejectError, match="boom") as e:
        probe.update("relay_and_trap", friend.calling("bump"))
    assert e.value.error == ErrorCode.CANISTER_CALLED_TRAP
    state = probe.state()
    assert state.bumps == 1, "what was done before the call is committed, the callback's own bump is not"
    assert state.cleanups == 7, "the cleanup runs with its environment"
    assert friend.state().bumps == 1
    assert probe.canister.contexts == {}


def test_a_call_that_no_callback_answers_is_rejected(probe: Probe, friend: Probe) -> None:
    with pytest.raises(RejectError, match="Canister did not reply to the call"):
        probe.update("relay_and_forget", friend.calling("bump"))
    assert probe.state().bumps == 1


def test_a_call_may_go_on_after_its_reply(probe: Probe, friend: Probe) -> None:
    request = probe.submit("reply_then_relay", friend.calling("bump"))
    probe.replica.step()
    assert probe.replica.outcome(request) is not None
    probe.replica.settle()
    assert (friend.state().bumps, probe.state().bumps) == (1, 1)


def test_a_callback_that_does_not_exist_is_a_fault(probe: Probe, friend: Probe) -> None:
    with pytest.raises(RejectError, match="non-existent Wasm function 77") as e:
        probe.update("wrong_function", friend.calling("bump"))
    assert e.value.error == ErrorCode.CANISTER_FUNCTION_NOT_FOUND


def test_a_canister_calls_itself(probe: Probe) -> None:
    probe.update("relay", probe.calling("bump"))
    assert probe.state().bumps == 2


def test_calls_under_way_are_bounded() -> None:
    replica = new_replica(Limits(queue_messages=20))
    probe, friend = Probe(replica), Probe(replica)
    assert int.from_bytes(probe.update("flood", friend.calling("bump")), "little") == 20
    assert friend.state().bumps == 20


def test_messages_from_outside_are_bounded() -> None:
    probe = Probe(new_replica(Limits(queue_messages=5)))
    for _ in range(5):
        probe.submit("bump")
    with pytest.raises(RejectError) as e:
        probe.submit("bump")
    assert e.value.error == ErrorCode.CANISTER_QUEUE_FULL
    probe.replica.settle()
    assert probe.state().bumps == 5


def test_a_request_id_runs_once(probe: Probe) -> None:
    for _ in range(2):
        probe.replica.submit(probe.id, "bump", b"", ALICE, request_id=b"\7" * 32)
    probe.replica.settle()
    probe.replica.submit(probe.id, "bump", b"", ALICE, request_id=b"\7" * 32)
    probe.replica.settle()
    assert probe.state().bumps == 1
