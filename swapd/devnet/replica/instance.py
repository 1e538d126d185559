"""A module at work: its memory, globals and functions, and how they go back to an earlier state."""

from __future__ import annotations

import ctypes
import inspect
import mmap
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import wasmtime

from swapd.devnet.replica import written_pages
from swapd.devnet.replica.errors import CanisterTrap, invalid_wasm, no_function, too_many_instructions, trapped
from swapd.devnet.replica.module import Module
from swapd.devnet.replica.stable_memory import PAGE_BYTES
from swapd.devnet.replica.wasm_rewriting import MEMORY, TABLE
from swapd.devnet.replica.written_pages import Span, address_of

HostFunction = Callable[..., int | None]
Host = Callable[[str], HostFunction | None]

_TRAPS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "stack overflow",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "heap out of bounds",
    wasmtime.TrapCode.HEAP_MISALIGNED: "heap out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table out of bounds",
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: "table out of bounds",
    wasmtime.TrapCode.BAD_SIGNATURE: "function signature mismatch",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by 0",
    wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: "bad conversion to integer",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}


@dataclass(eq=False)
class Snapshot:
    """Heap and globals at one moment. The buffer may be longer than the heap was."""

    buffer: mmap.mmap
    size: int = 0
    globals: list[Any] = field(default_factory=list)

    @classmethod
    def of_size(cls, size: int) -> Snapshot:
        """An empty one that has room for that much, and as much again: pages that are never used cost nothing."""
        return cls(mmap.mmap(-1, max(2 * size, PAGE_BYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class Instance:
    """One instantiation of `module`, with `host` giving the functions of `ic0` by name: methods of an object that
    lives at least as long."""

    def __init__(self, engine: wasmtime.Engine, module: Module, host: Host) -> None:
        self.module = module
        self._engine = engine
        self._host = host
        self._followed: Snapshot | None  # what the heap is like, but for what was written since
        self._followed_at: int  # where the heap was then
        self._instantiate()

    # --- memory --------------------------------------------------------------------------------------------------

    @property
    def heap_bytes(self) -> int:
        return self._memory.data_len(self._store) if self._memory else 0

    def read(self, offset: int, size: int) -> bytes:
        if offset + size > self.heap_bytes:
            raise trapped("heap out of bounds")
        return ctypes.string_at(self._address() + offset, size) if size else b""

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.heap_bytes:
            raise trapped("heap out of bounds")
        if data:
            ctypes.memmove(self._address() + offset, data, len(data))

    def heap(self) -> bytes:
        return self.read(0, self.heap_bytes)

    def set_heap(self, content: bytes) -> None:
        """Put a retained heap in the place of the own one, which grows as needed."""
        self._grow_to(len(content))
        self.write(0, content)

    def global_values(self) -> list[Any]:
        return [g.value(self._store) for g in self._globals]

    def set_global_values(self, values: list[Any]) -> None:
        for target, value in zip(self._globals, values, strict=True):
            target.set_value(self._store, value)

    # --- going back ----------------------------------------------------------------------------------------------

    def snapshot(self, reuse: Snapshot | None = None) -> Snapshot:
        """A copy of heap and globals, in the buffer of `reuse` if that is large enough. If `reuse` is the last one
        that was taken or gone back to, only what was written since then is copied, where the kernel can tell."""
        size = self.heap_bytes
        snapshot = reuse if reuse and len(reuse.buffer) >= size else Snapshot.of_size(size)
        there = address_of(snapshot.buffer)
        for start, end in self._different(snapshot):
            ctypes.memmove(there + start, self._address() + start, end - start)
        snapshot.size, snapshot.globals = size, self.global_values()
        self._followed = snapshot
        return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """Back to a snapshot. wasm memory can not shrink: if it grew meanwhile, the module is instantiated anew."""
        if self.heap_bytes > snapshot.size:
            self._instantiate()
            self._grow_to(snapshot.size)
        there = address_of(snapshot.buffer)
        for start, end in self._different(snapshot):
            ctypes.memmove(self._address() + start, there + start, end - start)
        self._followed = snapshot
        self.set_global_values(snapshot.globals)

    # --- running -------------------------------------------------------------------------------------------------

    def run(self, function: str | int, arguments: tuple[int, ...], limit: int) -> CanisterTrap | None:
        """Call an export by name, or a function of table 0 by index, with at most `limit` instructions.

        Returns the trap if there was one. `instructions_left` tells the rest of the limit in any case.
        """
        self._store.set_fuel(limit)
        try:
            self._callable(function)(self._store, *arguments)
        except CanisterTrap as e:
            return e
        except wasmtime.Trap as e:
            return _explained(e.trap_code, limit)
        except wasmtime.WasmtimeError as e:  # e.g. a function called with the wrong number of arguments
            return trapped(str(e).splitlines()[0])
        return None

    @property
    def instructions_left(self) -> int:
        return self._store.get_fuel()

    def exports(self, name: str) -> bool:
        return name in self.module.exports

    # --- inside --------------------------------------------------------------------------------------------------

    def _different(self, snapshot: Snapshot) -> list[Span]:
        """Offsets where the heap may differ from the snapshot, which will be made to agree: writes count from here."""
        size = self.heap_bytes
        whole = [(0, size)] if size else []
        kernel = written_pages.watcher()
        if not size or kernel is None:
            return whole
        address = self._address()
        known = snapshot.size if snapshot is self._followed and address == self._followed_at else 0
        self._followed_at = address
        try:
            if size > known:
                kernel.watch(address + known, size - known)
            written = kernel.take(address, size)
        except OSError:  # too many mappings, a fork: then without the kernel's help
            self._followed_at = 0
            return whole
        return [(start - address, end - address) for start, end in written] if known else whole

    def _instantiate(self) -> None:
        self._followed, self._followed_at = None, 0
        self._store = wasmtime.Store(self._engine)
        self._store.set_fuel(2**62)
        imports = [self._import(wanted) for wanted in self.module.compiled.imports]
        try:
            instance = wasmtime.Instance(self._store, self.module.compiled, imports)
        except wasmtime.Trap as e:  # a data segment beyond the memory
            raise invalid_wasm(e.message.splitlines()[0]) from e
        except wasmtime.WasmtimeError as e:
            raise invalid_wasm(str(e).splitlines()[0]) from e
        self._exports = instance.exports(self._store)
        memory = self._exports[MEMORY] if self.module.has_memory else None
        self._memory = memory if isinstance(memory, wasmtime.Memory) else None
        table = self._exports[TABLE] if self.module.has_table else None
        self._table = table if isinstance(table, wasmtime.Table) else None
        named = [self._exports[name] for name in self.module.globals]
        self._globals = [g for g in named if isinstance(g, wasmtime.Global)]

    def _import(self, wanted: wasmtime.ImportType) -> wasmtime.Func:
        function = self._host(wanted.name or "") if wanted.module == "ic0" else None
        kind = wanted.type
        if function is None or not isinstance(kind, wasmtime.FuncType):
            raise invalid_wasm(f"imports {wanted.module}.{wanted.name}, which this replica does not have")
        if not _fits(function, kind):
            raise invalid_wasm(f"imports {wanted.module}.{wanted.name} with another signature than it has")
        return wasmtime.Func(self._store, kind, _with_unsigned_numbers(function, kind))

    def _callable(self, function: str | int) -> wasmtime.Func:
        if isinstance(function, str):
            found: object = self._exports[function]
        else:
            if self._table is None or function >= self._table.size(self._store):
                raise no_function(function)
            found = self._table.get(self._store, function)
            if found is None:
                raise no_function(function)
        if not isinstance(found, wasmtime.Func):
            raise invalid_wasm(f"export '{function}' is not a function")
        return found

    def _address(self) -> int:
        if self._memory is None:
            raise trapped("heap out of bounds")
        return ctypes.addressof(self._memory.data_ptr(self._store).contents)

    def _grow_to(self, size: int) -> None:
        if self._memory and size > self.heap_bytes:
            self._memory.grow(self._store, (size - self.heap_bytes) // PAGE_BYTES)


def _fits(function: HostFunction, kind: wasmtime.FuncType) -> bool:
    """Whether a module expects as many parameters and results as there are, all of them whole numbers."""
    signature = inspect.signature(function)
    numbers = [str(value) for value in (*kind.params, *kind.results)]
    has_result = signature.return_annotation not in (None, "None")
    counts = (len(signature.parameters), int(has_result))
    return counts == (len(kind.params), len(kind.results)) and set(numbers) <= {"i32", "i64"}


def _with_unsigned_numbers(method: HostFunction, kind: wasmtime.FuncType) -> HostFunction:
    """wasmtime hands out and wants signed numbers; the system API's are unsigned.

    wasmtime keeps what it may call in a table of the whole process: with a strong reference there, no canister that
    was ever instantiated would give its memory back.
    """
    weak = weakref.WeakMethod(method)

    def function(*numbers: int) -> int | None:
        found = weak()
        if found is None:
            raise RuntimeError("the canister is gone, but its code runs")
        return found(*numbers)

    masks = [0xFFFFFFFF if str(parameter) == "i32" else 0xFFFFFFFFFFFFFFFF for parameter in kind.params]
    results = [str(result) for result in kind.results]
    if not results:

        def without_result(*numbers: int) -> None:
            function(*[n & mask for n, mask in zip(numbers, masks, strict=True)])

        return without_result
    full = 1 << (32 if results[0] == "i32" else 64)

    def with_result(*numbers: int) -> int:
        result = function(*[n & mask for n, mask in zip(numbers, masks, strict=True)]) or 0
        return result - full if result >= full >> 1 else result

    return with_result


def _explained(code: wasmtime.TrapCode | None, limit: int) -> CanisterTrap:
    if code == wasmtime.TrapCode.OUT_OF_FUEL:
        return too_many_instructions(limit)
    return trapped(_TRAPS.get(code, "unknown") if code else "unknown")
