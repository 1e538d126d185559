"""Installing code: all of it or nothing. IC interface specification, section "IC method `install_code`"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from swapd.devnet.replica.canister import Canister
from swapd.devnet.replica.errors import CanisterTrap, ErrorCode, RejectError, no_module, text_of
from swapd.devnet.replica.execution import Entry, Execution
from swapd.devnet.replica.instance import Instance
from swapd.devnet.replica.module import Module
from swapd.devnet.replica.stable_memory import StableMemory
from swapd.devnet.replica.wasm_rewriting import START

Mode = Literal["install", "reinstall", "upgrade"]
HeapOption = Literal["keep", "replace"]


@dataclass(frozen=True)
class Installation:
    """What to install. `heap` is the option `wasm_memory_persistence` of an upgrade."""

    module: Module
    mode: Mode
    argument: bytes
    sender: bytes
    heap: HeapOption | None = None
    skip_pre_upgrade: bool = False


def install(canister: Canister, wanted: Installation, now_ns: int) -> None:
    """Raises `RejectError` with everything as it was, but for the cycles that the attempt cost."""
    _check(canister, wanted)
    limit = canister.limits.instructions_per_install
    prepaid = canister.prepay(limit)
    run = _Run(canister, wanted, now_ns, limit)
    try:
        run.install()
    except CanisterTrap as e:
        raise e.rejection(canister.id) from None
    finally:
        canister.settle_execution(prepaid, run.instructions)
        canister.instructions_used = run.instructions


def uninstall(canister: Canister) -> None:
    """Code and state are gone; settings, cycles and id stay. Open calls are the caller's to answer."""
    canister.instance = None
    canister.forget_snapshot()
    canister.stable = StableMemory()
    canister.certified_data = b""
    canister.timer_ns = 0
    canister.version += 1


def _check(canister: Canister, wanted: Installation) -> None:
    if wanted.mode == "install" and canister.module is not None:
        raise RejectError.of(
            ErrorCode.CANISTER_NON_EMPTY,
            f"Canister {text_of(canister.id)} cannot be installed because the canister is not empty. "
            "Try installing with mode='reinstall' instead.",
        )
    if wanted.mode != "upgrade":
        return
    if canister.module is None:
        raise no_module().rejection(canister.id)
    if wanted.heap is None and canister.module.persists_heap:
        raise RejectError.of(
            ErrorCode.CANISTER_CONTRACT_VIOLATION,
            "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade "
            "option.",
        )
    if wanted.heap == "keep" and not wanted.module.persists_heap:
        raise RejectError.of(
            ErrorCode.CANISTER_CONTRACT_VIOLATION,
            "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new "
            "canister module supports enhanced orthogonal persistence.",
        )


class _Run:
    """One installation on its way; `instructions` counts all its parts against one limit."""

    def __init__(self, canister: Canister, wanted: Installation, now_ns: int, limit: int) -> None:
        self._canister = canister
        self._wanted = wanted
        self._now_ns = now_ns
        self._limit = limit
        self._timer_ns = 0
        self._certified_data = canister.certified_data if wanted.mode == "upgrade" else b""
        self._balance = canister.cycles
        self.instructions = 0

    def install(self) -> None:
        canister, before = self._canister, self._canister.instance
        stable_before = canister.stable
        heap_before = before.snapshot() if before and self._wanted.mode == "upgrade" else None
        canister.stable.mark()
        try:
            retained = self._leave_old_code() if self._wanted.mode == "upgrade" else None
            self._enter_new_code(retained)
        except BaseException:
            canister.instance = before
            canister.stable = stable_before
            canister.stable.roll_back()
            if before and heap_before:
                before.restore(heap_before)
            canister.forget_snapshot()
            raise
        canister.cycles = self._balance
        canister.timer_ns = self._timer_ns  # those set before are lost, as on the real replica
        canister.certified_data = self._certified_data
        canister.version += 1

    def _leave_old_code(self) -> bytes | None:
        """Run the old code's last act; the heap to be kept, if it is."""
        code = self._canister.code
        if code.exports("canister_pre_upgrade") and not self._wanted.skip_pre_upgrade:
            self._run(Entry.PRE_UPGRADE, "canister_pre_upgrade")
        return code.heap() if self._wanted.heap == "keep" else None

    def _enter_new_code(self, retained: bytes | None) -> None:
        canister = self._canister
        if self._wanted.mode != "upgrade":
            canister.stable = StableMemory()
        canister.instance = Instance(canister.engine, self._wanted.module, canister.api.function)
        canister.forget_snapshot()
        if retained is not None:
            canister.code.set_heap(retained)  # before any code of the module runs
        if self._wanted.module.has_start:
            self._run(Entry.START, START)
        upgrade = self._wanted.mode == "upgrade"
        function = "canister_post_upgrade" if upgrade else "canister_init"
        if canister.code.exports(function):
            self._run(Entry.POST_UPGRADE if upgrade else Entry.INIT, function)

    def _run(self, entry: Entry, function: str) -> None:
        execution = Execution(
            entry,
            self._now_ns,
            self._wanted.argument if entry is not Entry.PRE_UPGRADE else b"",
            self._wanted.sender,
            balance=self._balance,
            limit=self._limit - self.instructions,
        )
        trap = self._canister.run(execution, function)
        self.instructions += execution.instructions
        if trap is not None:
            raise trap
        self._balance = execution.balance
        if execution.new_certified_data is not None:
            self._certified_data = execution.new_certified_data
        if execution.new_timer is not None and entry is not Entry.PRE_UPGRADE:
            self._timer_ns = execution.new_timer
