"""A replica that went to disk and came back is the same replica."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swapd.devnet.replica import Limits, ManualClock, Replica
from swapd.devnet.replica.persistence import NotAState, exists
from tests.devnet.replica.probing import ALICE, EMPTY, Probe, replied
from tests.devnet.replica.test_motoko import Diary


def reborn(probe: Probe, folder: Path) -> Probe:
    """The same canister, on the replica that was read from disk."""
    probe.replica.save(folder)
    other = Probe.__new__(Probe)
    other.replica, other.id = Replica.load(folder), probe.id
    return other


def test_memories_time_cycles_and_keys_come_back(probe: Probe, tmp_path: Path) -> None:
    probe.update("bump")
    probe.update("grow")
    probe.update("certify", b"\3" * 32)
    probe.update("speak")
    again = reborn(probe, tmp_path)
    assert again.state() == probe.state()
    assert again.replica.root_key == probe.replica.root_key
    for name in ("cycles", "certified_data", "logs", "settings", "version", "status", "memory_bytes"):
        assert getattr(again.canister, name) == getattr(probe.canister, name)
    again.update("bump")
    assert again.state().bumps == 2
    assert probe.state().bumps == 1


def test_an_armed_timer_fires_after_the_restart(probe: Probe, tmp_path: Path) -> None:
    probe.update("arm", (probe.replica.now_ns + 60 * 10**9).to_bytes(8, "little"))
    probe.replica.advance(59)
    again = reborn(probe, tmp_path)
    again.replica.settle()
    assert again.state().timers == 0
    again.replica.advance(1)
    assert again.state().timers == 1


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_call_under_way_goes_on_after_the_restart(probe: Probe, friend: Probe, tmp_path: Path, steps: int) -> None:
    request = probe.submit("relay", friend.calling("accept_half", 10**12))
    for _ in range(steps):
        probe.replica.step()
    again = reborn(probe, tmp_path)
    again.replica.settle()
    probe.replica.settle()
    outcome = again.replica.outcome(request)
    assert outcome
    assert replied(outcome.unwrap())[0] == 10**12 // 2
    assert again.canister.cycles == probe.canister.cycles
    assert again.canister.contexts == {}


def test_answers_are_remembered_and_requests_still_run_once(probe: Probe, tmp_path: Path) -> None:
    done = probe.submit("bump")
    probe.replica.settle()
    failed = probe.submit("explode")
    probe.replica.settle()
    again = reborn(probe, tmp_path)
    outcome = again.replica.outcome(failed)
    assert outcome
    assert "boom" in str(outcome.rejection)
    again.replica.submit(probe.id, "bump", b"", ALICE, request_id=done)
    again.replica.settle()
    assert again.state().bumps == 1


def test_a_stopped_canister_and_a_stop_that_waits_come_back(probe: Probe, friend: Probe, tmp_path: Path) -> None:
    probe.submit("relay", friend.calling("who"))
    probe.replica.step()
    probe.replica.stop(probe.id)
    again = reborn(probe, tmp_path)
    seen = [again.canister.status]
    again.replica.settle()
    assert [*seen, again.canister.status] == ["stopping", "stopped"]


def test_the_clock_the_limits_and_the_next_canister_come_back(tmp_path: Path) -> None:
    replica = Replica(limits=Limits(queue_messages=3), seed=b"x", delegated="sharded")
    first = replica.create_canister(ALICE)
    replica.advance(10**7)
    before = replica.now_ns
    replica.save(tmp_path)
    again = Replica.load(tmp_path)
    assert 0 <= again.now_ns - before < 60 * 10**9
    assert again.state.limits == replica.state.limits
    assert (again.state.delegated, again.root_key) == ("sharded", replica.root_key)
    assert again.create_canister(ALICE) != first
    assert Replica.load(tmp_path, clock=ManualClock(5)).now_ns == 5


def test_a_motoko_canister_comes_back_with_its_timers(replica: Replica, tmp_path: Path) -> None:
    diary = Diary(replica)
    diary.update("write", "kept")
    diary.update("repeat", 60)
    replica.advance(61)
    request = replica.submit(diary.id, "ask", EMPTY, ALICE)
    replica.step()
    replica.save(tmp_path)
    diary.replica = Replica.load(tmp_path)
    diary.replica.settle()
    assert diary.replica.outcome(request)
    assert (diary.query("read", 0), diary.seen()[0]) == (["kept"], 1)
    diary.replica.advance(60)
    assert diary.seen()[0] == 2
    diary.upgrade("diary_next")
    assert diary.query("read", 0) == ["kept"]


def test_a_server_goes_on_with_what_is_read_into_it(probe: Probe, tmp_path: Path) -> None:
    probe.replica.save(tmp_path)
    probe.update("bump")
    probe.replica.reload(tmp_path)
    assert probe.state().bumps == 0


def test_a_save_that_was_cut_short_leaves_the_one_before(probe: Probe, tmp_path: Path) -> None:
    probe.update("bump")
    probe.replica.save(tmp_path)
    (tmp_path / "state-half").mkdir()
    (tmp_path / "current.new").write_text("state-half")
    assert Replica.load(tmp_path).canister(probe.id).certified_data == b""


def test_only_the_last_save_is_kept(probe: Probe, tmp_path: Path) -> None:
    for _ in range(3):
        probe.replica.save(tmp_path)
    assert len(list(tmp_path.glob("state-*"))) == 1


def test_what_is_no_state_is_refused(probe: Probe, tmp_path: Path) -> None:
    with pytest.raises(NotAState):
        Replica.load(tmp_path)
    probe.replica.save(tmp_path)
    state = next(tmp_path.glob("state-*"))
    (state / "state.cbor").write_bytes(b"\xa1\x66format\x05")
    with pytest.raises(NotAState, match="format 5"):
        Replica.load(tmp_path)
    shutil.rmtree(tmp_path)
    assert not exists(tmp_path)
