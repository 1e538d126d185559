"""A third party's canister in Rust, unmodified: ic-cdk, its executor and timers, ic-stable-structures, QuickJS.

It is Azle's, from npm: no package registry has the ledger of the ICRC standard as wasm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ic.candid import Types, decode, encode

from swapd.devnet.replica import RejectError, Replica
from tests.devnet.replica.probing import ALICE, EMPTY
from tests.devnet.replica.wasm import azle

SEEN = Types.Tuple(Types.Nat32, Types.Nat32)


class Script:
    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.id = replica.create_canister(ALICE)
        replica.install(self.id, azle(), EMPTY, ALICE)
        replica.settle()  # it asks for randomness first

    def update(self, method: str, argument: bytes = EMPTY) -> Any:
        values = decode(self.replica.update(self.id, method, argument, ALICE))
        return values[0]["value"] if values else None

    def relay(self, other: Script, method: str) -> Any:
        values = [{"type": Types.Principal, "value": other.id}, {"type": Types.Text, "value": method}]
        return self.update("relay", encode(values))

    def seen(self) -> tuple[int, int]:
        """Its count on the heap and in stable memory."""
        one, two = decode(self.replica.query(self.id, "seen", EMPTY, ALICE), [SEEN])[0]["value"]
        return one, two


@pytest.fixture
def script(replica: Replica) -> Script:
    return Script(replica)


def test_it_answers_and_remembers(script: Script) -> None:
    assert bytes(script.update("who").bytes) == ALICE
    assert [script.update("bump"), script.update("bump")] == [1, 2]
    assert script.seen() == (2, 2)


def test_a_panic_undoes_heap_and_stable_memory(script: Script) -> None:
    script.update("bump")
    with pytest.raises(RejectError, match="boom"):
        script.update("explode")
    assert script.seen() == (1, 1)


def test_it_awaits_others_and_hears_their_rejections(script: Script, replica: Replica) -> None:
    other = Script(replica)
    assert script.relay(other, "bump") == 1
    with pytest.raises(RejectError, match="call rejected: 5 - IC0503: Error from Canister"):
        script.relay(other, "explode")
    with pytest.raises(RejectError, match="has no update method 'nowhere'"):
        script.relay(other, "nowhere")
    assert (script.seen(), other.seen()) == ((3, 3), (1, 1)), "what was done before an await is committed"
    assert script.replica.canister(script.id).contexts == {}


def test_its_timers_fire(script: Script) -> None:
    script.update("arm")
    script.replica.advance(4)
    assert script.seen()[0] == 0
    script.replica.advance(1)
    assert script.seen()[0] == 1000


def test_an_upgrade_keeps_stable_memory_and_a_restart_keeps_all(script: Script, tmp_path: Path) -> None:
    script.update("bump")
    script.replica.save(tmp_path)
    script.replica = Replica.load(tmp_path)
    assert script.seen() == (1, 1)
    script.replica.install(script.id, azle(), EMPTY, ALICE, "upgrade")
    script.replica.settle()
    assert script.seen() == (0, 1)
