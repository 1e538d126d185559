"""LEB128 numbers, as wasm, Candid and the IC's state tree write them."""

from __future__ import annotations


def encode_unsigned(number: int) -> bytes:
    out = bytearray()
    while True:
        low = number & 0x7F
        number >>= 7
        if not number:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and the position behind it. Raises `IndexError` where the bytes end too soon."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def read_signed(data: bytes, at: int) -> tuple[int, int]:
    """As `read_unsigned`, in two's complement."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (number - (1 << shift) if byte & 0x40 else number), at
