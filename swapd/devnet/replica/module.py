"""A compiled canister module: what it exports, and what its custom sections say."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from typing import Literal

import wasmtime

from swapd.devnet.replica.errors import invalid_wasm
from swapd.devnet.replica.wasm_rewriting import MEMORY, NotWasm, Rewritten, rewrite

MethodKind = Literal["update", "query", "composite_query"]

_PREFIXES: dict[str, MethodKind] = {
    "canister_update ": "update",
    "canister_query ": "query",
    "canister_composite_query ": "composite_query",
}
_MAX_WASM_BYTES = 100 * 2**20
_STACK_BYTES = 1 << 20  # above the 2 MiB of wasmtime's own stack it would abort the whole process
_EOP_SECTION = "enhanced-orthogonal-persistence"


def new_engine() -> wasmtime.Engine:
    """An engine that counts instructions ("fuel"). Compiled modules are kept on disk by wasmtime."""
    config = wasmtime.Config()
    config.wasm_memory64 = True
    config.wasm_multi_memory = True
    config.wasm_bulk_memory = True
    config.wasm_tail_call = True
    config.cranelift_opt_level = "speed"
    config.cranelift_nan_canonicalization = True  # the IC is deterministic to the bit
    config.consume_fuel = True
    config.max_wasm_stack = _STACK_BYTES
    config.cache = True
    return wasmtime.Engine(config)


class Module:
    """One module, compiled for one engine (sharing it between engines would abort the process).

    `wasm` is what was installed, gzipped or not; `hash` is its SHA-256, as `module_hash` in the state tree.
    """

    def __init__(self, engine: wasmtime.Engine, wasm: bytes) -> None:
        self.wasm = wasm
        self.hash = hashlib.sha256(wasm).digest()
        rewritten = _rewritten(wasm)
        try:
            self.compiled = wasmtime.Module(engine, rewritten.wasm)
        except wasmtime.WasmtimeError as e:
            raise invalid_wasm(str(e).splitlines()[0]) from e
        self.globals = rewritten.globals
        self.has_memory = rewritten.has_memory
        self.has_table = rewritten.has_table
        self.has_start = rewritten.has_start
        self.custom = rewritten.custom
        self.exports = {export.name for export in self.compiled.exports}
        self.methods = self._methods()
        self.wasm64 = self._is_wasm64()

    @property
    def persists_heap(self) -> bool:
        """Whether the module was made for enhanced orthogonal persistence (Motoko)."""
        return self.metadata(_EOP_SECTION) is not None

    def metadata(self, name: str) -> tuple[bool, bytes] | None:
        """(is public, content) of the custom section `icp:public NAME` or `icp:private NAME`."""
        for prefix, public in (("icp:public ", True), ("icp:private ", False)):
            if prefix + name in self.custom:
                return public, self.custom[prefix + name]
        return None

    def _methods(self) -> dict[str, MethodKind]:
        methods: dict[str, MethodKind] = {}
        for export in sorted(self.exports):
            for prefix, kind in _PREFIXES.items():
                if export.startswith(prefix):
                    name = export[len(prefix) :]
                    if name in methods:
                        raise invalid_wasm(f"method '{name}' is exported twice")
                    methods[name] = kind
        return methods

    def _is_wasm64(self) -> bool:
        for export in self.compiled.exports:
            if export.name == MEMORY and isinstance(export.type, wasmtime.MemoryType):
                return export.type.is_64
        return False


def persists_heap(wasm: bytes) -> bool:
    """As the property of a compiled module, without compiling. Raises `CanisterTrap` if the wasm is not valid."""
    return f"icp:private {_EOP_SECTION}" in _rewritten(wasm).custom


def _rewritten(wasm: bytes) -> Rewritten:
    try:
        if wasm[:2] == b"\x1f\x8b":
            wasm = gzip.decompress(wasm)
        if len(wasm) > _MAX_WASM_BYTES:
            raise invalid_wasm(f"larger than {_MAX_WASM_BYTES} bytes")
        return rewrite(wasm)
    except (NotWasm, OSError, EOFError, zlib.error) as e:
        raise invalid_wasm(str(e)) from e
