"""A canister: its code and memories, its cycles, its open calls, and how one message of it is run, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import wasmtime

from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import CanisterTrap, ErrorCode, RejectError, no_module, out_of_cycles, text_of
from swapd.devnet.replica.execution import Execution
from swapd.devnet.replica.ic0 import SystemApi
from swapd.devnet.replica.instance import Instance, Snapshot
from swapd.devnet.replica.messages import Callback, CallContext, FromCanister, FromUser
from swapd.devnet.replica.module import Module
from swapd.devnet.replica.stable_memory import StableMemory

Status = Literal["running", "stopping", "stopped"]

_STATUS_NUMBERS: dict[Status, int] = {"running": 1, "stopping": 2, "stopped": 3}
_LOG_LINES = 1000


@dataclass
class Settings:
    """As `canister_settings` of the management canister, those that mean something here."""

    controllers: list[bytes]
    freezing_threshold_seconds: int = 2_592_000  # 30 days
    compute_allocation: int = 0
    memory_allocation: int = 0
    others: dict[str, int] = field(default_factory=dict)  # remembered and shown only


class Canister:
    """`cycles` is the balance, `instructions_used` belongs to the last message, `logs` are (ns, text) pairs."""

    def __init__(
        self,
        canister_id: bytes,
        settings: Settings,
        engine: wasmtime.Engine,
        *,
        costs: Costs,
        limits: Limits,
        root_key: bytes,
        subnet_id: bytes,
    ) -> None:
        self.id = canister_id
        self.settings = settings
        self.engine = engine
        self.costs = costs
        self.limits = limits
        self.root_key = root_key
        self.subnet_id = subnet_id
        self.status: Status = "running"
        self.version = 0
        self.cycles = 0
        self.storage_paid_until_ns = 0
        self.stable = StableMemory()
        self.certified_data = b""
        self.timer_ns = 0
        self.timer_queued = False
        self.contexts: dict[int, CallContext] = {}
        self.callbacks: dict[int, Callback] = {}
        self.next_id = 1
        self.waiting_for_stop: list[FromUser | FromCanister] = []
        self.logs: list[tuple[int, str]] = []
        self.instructions_used = 0
        self.instance: Instance | None = None
        self.api = SystemApi(self)
        self._snapshot: Snapshot | None = None
        self._snapshot_is_current = False

    def __repr__(self) -> str:
        return f"Canister({text_of(self.id)}, {self.status})"

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def code(self) -> Instance:
        """Raises a `CanisterTrap` where no module is installed."""
        if self.instance is None:
            raise no_module()
        return self.instance

    @property
    def module(self) -> Module | None:
        return self.instance.module if self.instance else None

    @property
    def heap_bytes(self) -> int:
        return self.instance.heap_bytes if self.instance else 0

    @property
    def memory_bytes(self) -> int:
        """All that is paid for: heap, stable memory, module."""
        return self.heap_bytes + len(self.stable) + (len(self.module.wasm) if self.module else 0)

    @property
    def status_number(self) -> int:
        return _STATUS_NUMBERS[self.status]

    @property
    def wasm64(self) -> bool:
        return bool(self.module and self.module.wasm64)

    def is_controller(self, principal: bytes) -> bool:
        return principal in self.settings.controllers

    def calls_under_way_to(self, callee: bytes) -> int:
        return sum(callback.callee == callee for callback in self.callbacks.values())

    def log(self, now_ns: int, text: str) -> None:
        self.logs.append((now_ns, text))
        del self.logs[:-_LOG_LINES]

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    # --- cycles --------------------------------------------------------------------------------------------------

    @property
    def freezing_threshold_cycles(self) -> int:
        """Below this nothing is spent on anything but storage."""
        return self.costs.storage(self.memory_bytes, self.settings.freezing_threshold_seconds)

    @property
    def frozen(self) -> bool:
        return self.cycles < self.freezing_threshold_cycles

    def withdraw(self, amount: int, *, tell_how_much: bool = False) -> None:
        """Raises `RejectError` (canister out of cycles) if that would reach below the freezing threshold."""
        missing = self.freezing_threshold_cycles + amount - self.cycles
        if missing > 0:
            raise out_of_cycles(self.id, missing if tell_how_much else None)
        self.cycles -= amount

    def pay_storage(self, now_ns: int) -> bool:
        """Pay for storage up to now. False if the cycles did not reach: then the balance is empty."""
        seconds = (now_ns - self.storage_paid_until_ns) // 10**9
        if seconds < self.costs.storage_interval_seconds:
            return True
        self.storage_paid_until_ns += seconds * 10**9
        cost = self.costs.storage(self.memory_bytes, seconds)
        paid = cost <= self.cycles
        self.cycles = max(0, self.cycles - cost)
        return paid

    # --- running -------------------------------------------------------------------------------------------------

    def execute(
        self, execution: Execution, function: str | int, arguments: tuple[int, ...] = (), *, commit: bool = True
    ) -> CanisterTrap | None:
        """Run one message. If it traps, or is not to be committed, heap, globals and stable memory go back.

        The caller pays for it and carries out `execution`'s effects.
        """
        self.mark()
        trap = self.run(execution, function, arguments)
        self.instructions_used = execution.instructions
        if trap is not None or not commit:
            self.roll_back()
        else:
            self.keep(execution)
        return trap

    def run(self, execution: Execution, function: str | int, arguments: tuple[int, ...] = ()) -> CanisterTrap | None:
        """Run code without any care for what it leaves behind."""
        code = self.code
        self.api.execution = execution
        try:
            trap = code.run(function, arguments, execution.limit)
        finally:
            self.api.execution = None
        execution.instructions += execution.limit - code.instructions_left + execution.copied_bytes
        if trap is not None:
            self.log(execution.now_ns, f"[TRAP]: {trap.message}")
        return trap

    def mark(self) -> None:
        """From here `roll_back` goes back to."""
        if not self._snapshot_is_current:
            self._snapshot = self.code.snapshot(self._snapshot)
            self._snapshot_is_current = True
        self.stable.mark()

    def roll_back(self) -> None:
        if self._snapshot is None:
            raise RuntimeError("there is nothing to go back to")
        self.code.restore(self._snapshot)
        self.stable.roll_back()

    def keep(self, execution: Execution) -> None:
        """A message has ended well: what it did to the canister itself is so now."""
        self._snapshot_is_current = False
        self.cycles = execution.balance
        if execution.new_timer is not None:
            self.timer_ns = execution.new_timer
        if execution.new_certified_data is not None:
            self.certified_data = execution.new_certified_data

    def forget_snapshot(self) -> None:
        """Another instance is in place."""
        self._snapshot = None
        self._snapshot_is_current = False

    def prepay(self, limit: int) -> int:
        """Set aside what a message of that limit costs at most. Raises `RejectError` (out of cycles)."""
        amount = self.costs.execution(limit, wasm64=self.wasm64)
        self.withdraw(amount)
        return amount

    def settle_execution(self, prepaid: int, instructions: int) -> None:
        """Give back what was set aside and not used."""
        self.cycles += prepaid - min(prepaid, self.costs.execution(instructions, wasm64=self.wasm64))


def refusal(canister: Canister) -> RejectError | None:
    """Why the canister takes no calls, if it does not."""
    if canister.status == "stopped":
        return RejectError.of(ErrorCode.CANISTER_STOPPED, f"Canister {text_of(canister.id)} is stopped")
    if canister.status == "stopping":
        return RejectError.of(ErrorCode.CANISTER_STOPPING, f"Canister {text_of(canister.id)} is stopping")
    return None
