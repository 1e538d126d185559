"""Reads Candid by what the bytes themselves say, whatever type the sender had in mind.

Agents differ in which optional fields they send to the management canister, and know fields that this replica does not.
Results: records are dicts from field hash to value (`field_hash(name)`), a variant is (hash, value), opt is None or
the value, vec nat8 is bytes, principals are bytes. Candid specification, section "Binary format".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from swapd.devnet.replica.leb128 import read_signed, read_unsigned

_NAT8, _OPT, _VEC, _RECORD, _VARIANT = -5, -18, -19, -20, -21
_FIXED = {-5: "<B", -6: "<H", -7: "<I", -8: "<Q", -9: "<b", -10: "<h", -11: "<i", -12: "<q", -13: "<f", -14: "<d"}
_MAX_ITEMS = 10_000_000
_MAX_DEPTH = 100


class NotCandid(Exception):
    """The bytes can not be read as Candid arguments. Says why."""


def field_hash(name: str) -> int:
    number = 0
    for byte in name.encode():
        number = (number * 223 + byte) % 2**32
    return number


def read_arguments(data: bytes) -> list[Any]:
    """Raises `NotCandid`."""
    try:
        return _Reader(data).arguments()
    except (IndexError, struct.error, UnicodeDecodeError) as e:
        raise NotCandid(f"cut short or garbled: {e}") from e


def field(record: Any, name: str) -> Any:
    """A field of a record, None if it is not there. Raises `NotCandid` if this is no record."""
    if not isinstance(record, dict):
        raise NotCandid(f"expected a record with {name}")
    return record.get(field_hash(name))


def case(variant: Any, names: Sequence[str]) -> tuple[str, Any]:
    """Which of the cases a variant is, and its value. Raises `NotCandid` if it is none of them."""
    if isinstance(variant, tuple):
        for name in names:
            if variant[0] == field_hash(name):
                return name, variant[1]
    raise NotCandid(f"expected a variant of {', '.join(names)}")


class _Reader:
    def __init__(self, data: bytes) -> None:
        if data[:4] != b"DIDL":
            raise NotCandid("does not begin with DIDL")
        self._data = data
        self._at = 4
        self._types: list[tuple[int, Any]] = []

    def arguments(self) -> list[Any]:
        for _ in range(self._count()):
            self._types.append(self._composite())
        kinds = [self._signed() for _ in range(self._count())]
        return [self._value(kind, 0) for kind in kinds]

    def _composite(self) -> tuple[int, Any]:
        kind = self._signed()
        if kind in (_OPT, _VEC):
            return kind, self._signed()
        if kind in (_RECORD, _VARIANT):
            return kind, [(self._unsigned(), self._signed()) for _ in range(self._count())]
        raise NotCandid(f"has a type of kind {kind}, for which the management canister has no use")

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise NotCandid("nested too deeply")
        if kind >= 0:
            composite, inner = self._types[kind]
            return self._composite_value(composite, inner, depth + 1)
        if kind in _FIXED:
            size = struct.calcsize(_FIXED[kind])
            return struct.unpack(_FIXED[kind], self._take(size))[0]
        match kind:
            case -1 | -16:  # null, reserved
                return None
            case -2:  # bool
                return self._take(1) == b"\1"
            case -3:  # nat
                return self._unsigned()
            case -4:  # int
                return self._signed()
            case -15:  # text
                return self._take(self._unsigned()).decode()
            case -24:  # principal
                if self._take(1) != b"\1":
                    raise NotCandid("has an opaque reference")
                return self._take(self._unsigned())
        raise NotCandid(f"has a value of type {kind}")

    def _composite_value(self, kind: int, inner: Any, depth: int) -> Any:
        if kind == _OPT:
            return self._value(inner, depth) if self._take(1) == b"\1" else None
        if kind == _VEC:
            count = self._count()
            if inner == _NAT8:
                return self._take(count)
            return [self._value(inner, depth) for _ in range(count)]
        if kind == _RECORD:
            return {label: self._value(of, depth) for label, of in inner}
        label, of = inner[self._unsigned()]
        return label, self._value(of, depth)

    def _count(self) -> int:
        count = self._unsigned()
        if count > max(len(self._data), _MAX_ITEMS):
            raise NotCandid(f"claims to have {count} items")
        return count

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise NotCandid("ends too soon")
        self._at += size
        return self._data[self._at - size : self._at]

    def _unsigned(self) -> int:
        number, self._at = read_unsigned(self._data, self._at)
        return number

    def _signed(self) -> int:
        number, self._at = read_signed(self._data, self._at)
        return number
