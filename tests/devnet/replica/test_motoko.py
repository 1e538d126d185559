"""Canisters as the Motoko compiler makes them: awaits, timers, cycles, upgrades that keep the heap."""

from __future__ import annotations

from typing import Any

import pytest
from ic.candid import Types, decode, encode

from swapd.devnet.replica import Costs, RejectCode, RejectError, Replica
from tests.devnet.replica.probing import ALICE, BOB, EMPTY
from tests.devnet.replica.wasm import motoko

INIT = Types.Record({"friend": Types.Principal})
SEEN = Types.Record({"ticks": Types.Nat, "cleanups": Types.Nat})


class Diary:
    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.friend = replica.create_canister(ALICE)
        self.id = replica.create_canister(ALICE)
        self.init = encode([{"type": INIT, "value": {"friend": self.friend}}])
        replica.install(self.friend, motoko("other"), EMPTY, ALICE)
        replica.install(self.id, motoko("diary"), self.init, ALICE)

    def update(self, method: str, argument: Any = None) -> Any:
        return first(self.replica.update(self.id, method, candid(argument), ALICE))

    def query(self, method: str, argument: Any = None) -> Any:
        return first(self.replica.query(self.id, method, candid(argument), ALICE))

    def seen(self) -> tuple[int, int]:
        """Ticks of timers, and cleanups."""
        value = decode(self.replica.query(self.id, "seen", EMPTY, ALICE), [SEEN])[0]["value"]
        return value["ticks"], value["cleanups"]

    def upgrade(self, to: str, **options: Any) -> None:
        self.replica.install(self.id, motoko(to), self.init, ALICE, "upgrade", **options)


def candid(argument: Any) -> bytes:
    if argument is None:
        return EMPTY
    kind = Types.Nat if isinstance(argument, int) else Types.Text
    data: bytes = encode([{"type": kind, "value": argument}])
    return data


def first(reply: bytes) -> Any:
    values = decode(reply)
    return values[0]["value"] if values else None


@pytest.fixture
def diary(replica: Replica) -> Diary:
    return Diary(replica)


def test_it_keeps_what_it_is_told(diary: Diary) -> None:
    assert diary.update("write", "one") == 1
    assert diary.update("write", "two") == 2
    assert diary.query("read", 1) == ["two"]


def test_a_trap_undoes_the_message_and_a_trap_after_a_call_only_what_came_after_it(diary: Diary) -> None:
    with pytest.raises(RejectError, match="at once"):
        diary.update("trapAtOnce")
    assert diary.query("count") == 0
    with pytest.raises(RejectError, match="after the call"):
        diary.update("trapAfterCall")
    assert (diary.query("count"), diary.query("read", 0)) == (1, ["before the call"])


def test_finally_runs_though_the_continuation_trapped(diary: Diary) -> None:
    with pytest.raises(RejectError, match="in try"):
        diary.update("cleanUp")
    assert diary.seen() == (0, 1)


def test_awaits_return_replies_and_throw_rejections(diary: Diary) -> None:
    assert diary.update("ask") == 1
    assert diary.update("failing") == "#canister_reject no way"
    assert diary.update("missing").startswith("#canister_error IC0536: Error from Canister ")


def test_memory_that_a_trapped_message_grew_is_given_back(diary: Diary) -> None:
    before = diary.replica.canister(diary.id).heap_bytes
    with pytest.raises(RejectError, match="9000000"):
        diary.update("allocateAndTrap", 9_000_000)
    assert diary.replica.canister(diary.id).heap_bytes == before
    assert diary.update("allocate", 9_000_000) == 9_000_000
    assert diary.replica.canister(diary.id).heap_bytes > before + 60_000_000
    assert diary.update("write", "after") == 1


def test_timers_fire_when_they_are_due(diary: Diary) -> None:
    diary.update("arm", 5)
    diary.update("repeat", 60)
    diary.replica.advance(4)
    assert diary.seen()[0] == 0
    diary.replica.advance(1)
    assert diary.seen()[0] == 1
    for _ in range(3):
        diary.replica.advance(60)
    assert diary.seen()[0] == 4
    assert [text for _, text in diary.replica.canister(diary.id).logs] == ["tick"]


def test_timers_are_lost_on_upgrade_but_for_those_of_the_actors_body(diary: Diary) -> None:
    diary.update("arm", 5)
    diary.replica.advance(1)
    diary.upgrade("diary_next")
    diary.replica.advance(100)
    assert diary.seen()[0] == 0
    diary.replica.advance(1000)
    assert diary.seen()[0] == 1000


def test_an_upgrade_keeps_the_heap(diary: Diary) -> None:
    diary.update("write", "kept")
    version = diary.replica.canister(diary.id).version
    diary.upgrade("diary_next")
    assert diary.query("read", 0) == ["kept"]
    assert diary.update("feel", "old") == "new"
    diary.upgrade("diary_next")
    assert diary.update("feel", "older") == "old"
    assert diary.replica.canister(diary.id).version == version + 2


def test_an_upgrade_that_does_not_keep_the_heap_loses_it(diary: Diary) -> None:
    diary.update("write", "lost")
    diary.upgrade("diary_next", keep_memory=False)
    assert diary.query("count") == 0


def test_an_incompatible_upgrade_is_refused_and_nothing_is_lost(diary: Diary) -> None:
    diary.update("write", "kept")
    diary.update("arm", 5)
    before = diary.replica.canister(diary.id).module
    with pytest.raises(RejectError, match="Memory-incompatible program upgrade"):
        diary.upgrade("other")
    assert diary.replica.canister(diary.id).module is before
    assert diary.query("read", 0) == ["kept"]
    assert diary.update("write", "more") == 2
    diary.replica.advance(5)
    assert diary.seen()[0] == 1, "the timer, too, is as it was"


def test_an_upgrade_while_a_call_is_under_way_is_refused(diary: Diary) -> None:
    """Motoko's own guard: an answer must not find other code than asked."""
    request = diary.replica.submit(diary.id, "ask", EMPTY, ALICE)
    diary.replica.step()
    with pytest.raises(RejectError, match="outstanding message callbacks"):
        diary.upgrade("diary_next")
    diary.replica.settle()
    outcome = diary.replica.outcome(request)
    assert outcome
    assert first(outcome.unwrap()) == 1
    diary.upgrade("diary_next")


def test_only_a_controller_installs(diary: Diary) -> None:
    with pytest.raises(RejectError, match="Only the controllers of the canister"):
        diary.replica.install(diary.id, motoko("diary"), diary.init, BOB, "reinstall")


def test_a_canister_that_is_not_empty_is_not_installed_over(diary: Diary) -> None:
    with pytest.raises(RejectError, match="the canister is not empty"):
        diary.replica.install(diary.id, motoko("diary"), diary.init, ALICE)
    diary.update("write", "lost")
    diary.replica.install(diary.id, motoko("diary"), diary.init, ALICE, "reinstall")
    assert diary.query("count") == 0


def test_what_is_no_wasm_is_refused(diary: Diary) -> None:
    for wasm in (b"", b"\0asm\1\0\0\0\1", b"\x1f\x8bjunk", motoko("diary")[:1000]):
        with pytest.raises(RejectError, match="Wasm module is not valid"):
            diary.replica.install(diary.id, wasm, diary.init, ALICE, "upgrade")
    assert diary.update("write", "still here") == 1


def test_randomness_comes_from_the_management_canister(diary: Diary) -> None:
    one, two = bytes(diary.update("random")), bytes(diary.update("random"))
    assert (len(one), one != two) == (32, True)


def test_cycles_go_to_another_canister_and_into_a_new_one(diary: Diary) -> None:
    replica = diary.replica
    before = replica.canister(diary.friend).cycles
    diary.update("feed", 10**12)
    assert replica.canister(diary.friend).cycles == before + 10**12
    child = replica.canister(diary.update("give_birth", 10**12).bytes)
    assert (child.cycles, child.settings.controllers) == (10**12 - Costs().create_canister, [diary.id])
    with pytest.raises(RejectError, match="requires a fee"):
        diary.update("give_birth", 10**9)


def test_without_cycles_a_call_throws_before_it_is_sent(diary: Diary) -> None:
    canister = diary.replica.canister(diary.id)
    worst = Costs().execution(diary.replica.state.limits.instructions_per_message, wasm64=True)
    diary.replica.add_cycles(diary.id, canister.freezing_threshold_cycles + worst + 10**9 - canister.cycles)
    with pytest.raises(RejectError) as e:
        diary.update("ask")
    assert e.value.code in (RejectCode.CANISTER_ERROR, RejectCode.CANISTER_REJECT)
