"""Whatever messages do, a trapped one and a query leave no byte changed: with the kernel's help and without."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapd.devnet.replica import ManualClock, RejectError, Replica, written_pages
from tests.devnet.replica.probing import ALICE
from tests.devnet.replica.wasm import wat

GROW, GROW_STABLE, TRAP = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
PAGE = 65536
ARGUMENT_BYTES = 1000  # from address 0: where the argument goes

State = tuple[bytes, bytes, list[int]]


@pytest.fixture(params=["kernel", "copies"], autouse=True, scope="module")
def help_of(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "kernel" and written_pages.watcher() is None:
        pytest.skip("this kernel does not tell which pages were written")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "copies":
            patch.setattr(written_pages, "watcher", lambda: None)
        yield


def state(replica: Replica, canister_id: bytes) -> State:
    canister = replica.canister(canister_id)
    return canister.code.heap(), canister.stable.content(), canister.code.global_values()


addresses = st.integers(ARGUMENT_BYTES, 8 * PAGE) | st.just(GROW) | st.just(GROW_STABLE) | st.just(TRAP)
pokes = st.lists(st.tuples(addresses, st.integers(0, 2**32 - 1)), max_size=12)
acts = st.tuples(st.sampled_from(["poke", "peek", "reload", "upgrade"]), pokes)


@settings(max_examples=60, deadline=None)
@given(st.lists(acts, max_size=12))
def test_only_what_succeeded_is_seen(tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, object]]) -> None:
    replica = Replica(clock=ManualClock())
    canister_id = replica.create_canister(ALICE)
    replica.install(canister_id, wat("pokes"), b"", ALICE)
    for act, what in deeds:
        assert isinstance(what, list)
        argument = b"".join(struct.pack("<II", address, value) for address, value in what)
        before = state(replica, canister_id)
        if act == "poke":
            after = expected(before, what, argument)
            with contextlib.nullcontext() if after else pytest.raises(RejectError):
                replica.update(canister_id, "poke", argument, ALICE)
            assert state(replica, canister_id) == (after or before)
        elif act == "peek":
            with contextlib.suppress(RejectError):
                replica.query(canister_id, "peek", argument, ALICE)
            assert state(replica, canister_id) == before
        elif act == "reload":
            folder: Path = tmp_path_factory.mktemp("replica")
            replica.save(folder)
            replica = Replica.load(folder)
            assert state(replica, canister_id) == before
        else:
            replica.install(canister_id, wat("pokes"), b"", ALICE, "upgrade")
            assert state(replica, canister_id)[1] == before[1]


def expected(before: State, what: list[tuple[int, int]], argument: bytes) -> State | None:
    """What the message makes of the state; None if it traps."""
    heap, stable, [count] = bytearray(before[0]), bytearray(before[1]), before[2]
    heap[: len(argument)] = argument
    for address, value in what:
        count += 1
        if address == TRAP:
            return None
        if address in (GROW, GROW_STABLE):
            (heap if address == GROW else stable).extend(bytes(PAGE))
            continue
        memory = stable if address & 1 else heap
        if address + 4 > len(memory):
            return None
        memory[address : address + 4] = value.to_bytes(4, "little")
    return bytes(heap), bytes(stable), [count]
