"""The bytes of a message, gone through once, and the values that have no others inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swapd.chains.icp.candid import types as t
from swapd.chains.icp.candid.encoding import LARGEST_PRINCIPAL
from swapd.errors import Unavailable

LONGEST_NUMBER = 64
"""Bytes of a number, seven bits each: enough for more than 2^256, and no work for the machine."""


def wrong(why: str) -> Unavailable:
    return Unavailable(f"the answer is not the Candid that was expected: {why}")


class Reader:
    """Goes through a message once. work: how many elements and fields may still come. Those of some types take no
    bytes, so the message's length alone does not bound their number."""

    __slots__ = ("_at", "_data", "_work")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._work = len(data) + 1_000

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def byte(self) -> int:
        try:
            byte = self._data[self._at]
        except IndexError:
            raise wrong("it ends too early") from None
        self._at += 1
        return byte

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise wrong("it ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def unsigned(self) -> int:
        """LEB128."""
        byte = self.byte()
        if byte < 0x80:
            return byte
        number, shift = byte & 0x7F, 7
        while byte >= 0x80:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * LONGEST_NUMBER:
                raise wrong("a number is too long")
        return number

    def signed(self) -> int:
        """SLEB128."""
        start = self._at
        number = self.unsigned()
        bits = 7 * (self._at - start)
        return number - (1 << bits) if number >> bits - 1 else number

    def count(self) -> int:
        """How many elements follow."""
        count = self.unsigned()
        self.work(count)
        return count

    def work(self, amount: int) -> None:
        self._work -= amount
        if self._work < 0:
            raise wrong("it claims to hold more than its bytes can")


Read = Callable[[Reader, int], Any]
"""Reads one value; the number is how many levels of nesting are left."""


def nothing(reader: Reader, levels: int) -> None:
    return None


def deeper(levels: int) -> int:
    if levels == 0:
        raise wrong("it is nested too deeply")
    return levels - 1


def read_bool(reader: Reader, levels: int) -> bool:
    byte = reader.byte()
    if byte > 1:
        raise wrong("it has a truth value that is neither")
    return byte == 1


def _fixed(type_: t.Fixed) -> Read:
    def fixed(reader: Reader, levels: int) -> int:
        return int.from_bytes(reader.take(type_.size), "little", signed=type_.signed)

    return fixed


def read_blob(reader: Reader, levels: int) -> bytes:
    return reader.take(reader.unsigned())


def _text(reader: Reader, levels: int) -> str:
    try:
        return reader.take(reader.unsigned()).decode()
    except UnicodeDecodeError:
        raise wrong("it has a text that is not UTF-8") from None


def read_principal(reader: Reader, levels: int) -> bytes:
    if reader.byte() != 1:
        raise wrong("it has a reference that only its sender understands")
    size = reader.unsigned()
    if size > LARGEST_PRINCIPAL:
        raise wrong("it has a principal that is too long")
    return reader.take(size)


def read_func(reader: Reader, levels: int) -> tuple[bytes, str]:
    if reader.byte() != 1:
        raise wrong("it has a reference that only its sender understands")
    return read_principal(reader, levels), _text(reader, levels)


def _empty(reader: Reader, levels: int) -> Any:
    raise wrong("it has a value of a type that has none")


PRIMITIVES: dict[int, Read] = {
    t.Null.code: nothing,
    t.Bool.code: read_bool,
    t.Nat.code: lambda reader, levels: reader.unsigned(),
    t.Int.code: lambda reader, levels: reader.signed(),
    **{type_.code: _fixed(type_) for type_ in (t.Nat8, t.Nat16, t.Nat32, t.Nat64, t.Int8, t.Int16, t.Int32, t.Int64)},
    t.FLOAT32_CODE: lambda reader, levels: reader.take(4),
    t.FLOAT64_CODE: lambda reader, levels: reader.take(8),
    t.Text.code: _text,
    t.Reserved.code: nothing,
    t.Empty.code: _empty,
    t.Principal.code: read_principal,
}
