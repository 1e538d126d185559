"""What all parts of the system API share: the message at hand, and the way in and out of the canister's memory."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import contract_violation, trapped
from swapd.devnet.replica.execution import Entry, Execution
from swapd.devnet.replica.instance import Instance
from swapd.devnet.replica.stable_memory import StableMemory

INIT = {Entry.INIT}
UPGRADE = {Entry.PRE_UPGRADE, Entry.POST_UPGRADE}
UPDATE = {Entry.UPDATE}
QUERY = {Entry.QUERY, Entry.REPLICATED_QUERY}
CALLBACK = {Entry.REPLY, Entry.REJECT}
CLEANUP = {Entry.CLEANUP}
TIMER = {Entry.TIMER}
INSPECT = {Entry.INSPECT}
NOT_START = set(Entry) - {Entry.START}
ANY = set(Entry)


class Owner(Protocol):
    """What the system API has to know of the canister it serves."""

    id: bytes
    version: int
    timer_ns: int
    stable: StableMemory
    costs: Costs
    limits: Limits
    root_key: bytes
    subnet_id: bytes

    @property
    def code(self) -> Instance: ...
    @property
    def status_number(self) -> int: ...
    @property
    def wasm64(self) -> bool: ...
    @property
    def freezing_threshold_cycles(self) -> int: ...
    def is_controller(self, principal: bytes) -> bool: ...
    def calls_under_way_to(self, callee: bytes) -> int: ...
    def log(self, now_ns: int, text: str) -> None: ...


P = ParamSpec("P")
R = TypeVar("R")
SelfT = TypeVar("SelfT", bound="ApiBase")

FUNCTIONS: set[str] = set()


def ic0(*allowed: set[Entry]) -> Callable[[Callable[Concatenate[SelfT, P], R]], Callable[Concatenate[SelfT, P], R]]:
    """Makes a method a function of the module `ic0`, callable from the given entries only."""
    entries = frozenset[Entry]().union(*allowed)

    def made(method: Callable[Concatenate[SelfT, P], R]) -> Callable[Concatenate[SelfT, P], R]:
        FUNCTIONS.add(method.__name__)

        @functools.wraps(method)
        def checked(self: SelfT, /, *numbers: P.args, **none: P.kwargs) -> R:
            if self.execution.entry not in entries:
                raise contract_violation(
                    f'"ic0_{method.__name__}" cannot be executed in {self.execution.entry.value} mode'
                )
            return method(self, *numbers, **none)

        return checked

    return made


class ApiBase:
    """`execution` is the message that runs now; it is put there by whoever runs it."""

    def __init__(self, owner: Owner) -> None:
        self._owner: Owner = weakref.proxy(owner)  # no cycle: a heap is given back with its canister, at once
        self._execution: Execution | None = None

    @property
    def execution(self) -> Execution:
        if self._execution is None:
            raise contract_violation("a system call outside of a message")
        return self._execution

    @execution.setter
    def execution(self, execution: Execution | None) -> None:
        self._execution = execution

    def _read(self, offset: int, size: int) -> bytes:
        self.execution.copied_bytes += size
        return self._owner.code.read(offset, size)

    def _read_text(self, offset: int, size: int) -> str:
        return self._read(offset, size).decode(errors="replace")

    def _write(self, offset: int, data: bytes) -> None:
        self.execution.copied_bytes += len(data)
        self._owner.code.write(offset, data)

    def _copy(self, source: bytes, destination: int, offset: int, size: int) -> None:
        """The pattern of all `..._copy` functions: a part of `source`, which must have it."""
        if offset + size > len(source):
            raise contract_violation(
                f"a copy of {size} bytes from offset {offset} reaches beyond the {len(source)} bytes there are"
            )
        self._write(destination, source[offset : offset + size])

    def _write_u128(self, destination: int, number: int) -> None:
        self._write(destination, number.to_bytes(16, "little"))

    @staticmethod
    def _fits_u64(number: int) -> int:
        if number >= 2**64:
            raise trapped("cycles amount exceeds 64-bit representation")
        return number
