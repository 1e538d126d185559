"""What has to be done to a canister's wasm before wasmtime gets it.

The host must reach things that a module keeps to itself: mutable globals (rolled back after a trap, kept on disk), the
memory and table 0 (callbacks are indices into it). And it must decide *when* the start function runs: after a retained
heap has been put back, never before. So: export them under names of our own, and turn the start section into an export.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from swapd.devnet.replica.leb128 import encode_unsigned, read_unsigned

GLOBAL, MEMORY, TABLE, START = "__replica_global_", "__replica_memory", "__replica_table", "__replica_start"

_CUSTOM, _IMPORT, _TABLE, _MEMORY, _GLOBAL, _EXPORT, _START = 0, 2, 4, 5, 6, 7, 8
_ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11]  # of the known sections, by the specification
_FUNC_KIND, _TABLE_KIND, _MEMORY_KIND, _GLOBAL_KIND, _TAG_KIND = range(5)


class NotWasm(Exception):
    """The bytes are not a wasm module that can be used. Says why."""


@dataclass
class Rewritten:
    """The module to compile, the names of its mutable globals, and its custom sections by name."""

    wasm: bytes
    globals: list[str] = field(default_factory=list)
    custom: dict[str, bytes] = field(default_factory=dict)
    has_memory: bool = False
    has_table: bool = False
    has_start: bool = False


def rewrite(wasm: bytes) -> Rewritten:
    """Raises `NotWasm` if the bytes can not be followed; wasmtime validates the rest."""
    try:
        return _rewrite(wasm)
    except (IndexError, UnicodeDecodeError) as e:
        raise NotWasm(f"cut short or garbled: {e}") from e


def _rewrite(wasm: bytes) -> Rewritten:
    result = Rewritten(b"")
    sections: list[tuple[int, bytes]] = []
    added: list[bytes] = []
    imported_globals = 0
    for kind, body in _sections(wasm):
        if kind == _CUSTOM:
            length, at = read_unsigned(body, 0)
            result.custom[body[at : at + length].decode()] = body[at + length :]
            continue  # wasmtime has no use for them
        if kind == _START:
            added.append(_export(START, _FUNC_KIND, read_unsigned(body, 0)[0]))
            result.has_start = True
            continue
        if kind == _IMPORT:
            imported_globals = _count_imported_globals(body)
        elif kind == _GLOBAL:
            for index in _mutable_globals(body, imported_globals):
                result.globals.append(f"{GLOBAL}{index}")
                added.append(_export(result.globals[-1], _GLOBAL_KIND, index))
        elif kind == _TABLE and read_unsigned(body, 0)[0]:
            added.append(_export(TABLE, _TABLE_KIND, 0))
            result.has_table = True
        elif kind == _MEMORY and read_unsigned(body, 0)[0]:
            added.append(_export(MEMORY, _MEMORY_KIND, 0))
            result.has_memory = True
        sections.append((kind, body))
    if all(kind != _EXPORT for kind, _ in sections):
        sections.append((_EXPORT, encode_unsigned(0)))
        sections.sort(key=lambda section: _ORDER.index(section[0]))
    out = bytearray(wasm[:8])
    for kind, body in sections:
        if kind == _EXPORT:
            count, at = read_unsigned(body, 0)
            body = encode_unsigned(count + len(added)) + body[at:] + b"".join(added)
        out += bytes([kind]) + encode_unsigned(len(body)) + body
    result.wasm = bytes(out)
    return result


def _export(name: str, kind: int, index: int) -> bytes:
    return encode_unsigned(len(name)) + name.encode() + bytes([kind]) + encode_unsigned(index)


def _sections(wasm: bytes) -> Iterator[tuple[int, bytes]]:
    if wasm[:8] != b"\0asm\1\0\0\0":
        raise NotWasm("does not begin like a wasm module of version 1")
    at = 8
    while at < len(wasm):
        kind = wasm[at]
        size, start = read_unsigned(wasm, at + 1)
        at = start + size
        if kind not in _ORDER and kind != _CUSTOM:
            raise NotWasm(f"has a section of unknown kind {kind}")
        yield kind, wasm[start:at]


def _count_imported_globals(body: bytes) -> int:
    count, at = read_unsigned(body, 0)
    found = 0
    for _ in range(count):
        for _name in range(2):
            length, at = read_unsigned(body, at)
            at += length
        kind = body[at]
        at += 1
        if kind == _FUNC_KIND:
            _, at = read_unsigned(body, at)
        elif kind == _GLOBAL_KIND:
            at += 2
            found += 1
        else:  # the system gives functions; a module that wants more can not be instantiated
            raise NotWasm("imports something that is neither a function nor a global")
    return found


def _mutable_globals(body: bytes, first: int) -> Iterator[int]:
    count, at = read_unsigned(body, 0)
    for index in range(count):
        if body[at] in (0x63, 0x64):
            raise NotWasm("has a global of a typed reference, which can not be rolled back")
        mutable = body[at + 1]
        at = _after_constant(body, at + 2)
        if mutable:
            yield first + index


def _after_constant(body: bytes, at: int) -> int:
    """The position behind a constant expression."""
    while body[at] != 0x0B:
        op, at = body[at], at + 1
        if op in (0x41, 0x42, 0x23, 0xD0, 0xD2):  # i32.const, i64.const, global.get, ref.null, ref.func
            _, at = read_unsigned(body, at)
        elif op == 0x43:  # f32.const
            at += 4
        elif op == 0x44:  # f64.const
            at += 8
        elif op not in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):  # add, sub, mul of extended constants
            raise NotWasm(f"has opcode {op:#x} in the initial value of a global")
    return at + 1
