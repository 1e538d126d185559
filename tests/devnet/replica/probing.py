"""A replica with the canister `probe` on it, and what the tests say to it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swapd.devnet.replica import Canister, Costs, Limits, ManualClock, Replica
from tests.devnet.replica.wasm import wat

ALICE = b"\x0a" * 28 + b"\x02"
BOB = b"\x0b" * 28 + b"\x02"
EMPTY = b"DIDL\0\0"


@dataclass(frozen=True)
class State:
    """What `probe` says about itself: its counter in a global and on the heap, memories, and what was called."""

    bumps: int
    bumps_on_heap: int
    heap_pages: int
    stable_pages: int
    stable_start: bytes
    timers: int
    cleanups: int
    started: int
    time_ns: int

    @classmethod
    def read(cls, data: bytes) -> State:
        return cls(*struct.unpack("<IIII4sIIIQ", data))


class Probe:
    """One `probe`; `replica` may hold more."""

    def __init__(self, replica: Replica, cycles: int = 10**14) -> None:
        self.replica = replica
        self.id = replica.create_canister(ALICE, cycles)
        replica.install(self.id, wat("probe"), b"", ALICE)

    @property
    def canister(self) -> Canister:
        return self.replica.canister(self.id)

    def update(self, method: str, arg: bytes = b"") -> bytes:
        return self.replica.update(self.id, method, arg, ALICE)

    def query(self, method: str, arg: bytes = b"") -> bytes:
        return self.replica.query(self.id, method, arg, ALICE)

    def submit(self, method: str, arg: bytes = b"") -> bytes:
        return self.replica.submit(self.id, method, arg, ALICE)

    def state(self) -> State:
        return State.read(self.query("state"))

    def calling(self, method: str, cycles: int = 0) -> bytes:
        """The argument with which another probe calls this one."""
        return call(self.id, method, cycles)


def call(callee: bytes, method: str, cycles: int = 0) -> bytes:
    assert len(callee) == 10
    return callee + cycles.to_bytes(8, "little") + method.encode()


def new_replica(limits: Limits | None = None, costs: Costs | None = None) -> Replica:
    return Replica(clock=ManualClock(), limits=limits, costs=costs)


def replied(data: bytes) -> tuple[int, bytes]:
    """What `relay` answers when it got a reply: cycles that came back, and the reply."""
    return struct.unpack("<Q", data[:8])[0], data[8:]


def rejected(data: bytes) -> tuple[int, str]:
    """What `relay` answers when it got a rejection: its code and its message."""
    return struct.unpack("<Q", data[:8])[0], data[8:].decode()
