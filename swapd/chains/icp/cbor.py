"""CBOR from strangers (RFC 8949): what the interface specification uses of it, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import cbor2

from swapd.chains.icp.errors import Untrusted

SELF_DESCRIBED = 55799
"""The tag that the specification puts before everything, or not."""

DEEPEST = 300
"""Levels of nesting: more than any hash tree has (`hashtree.DEEPEST`), fewer than Python's stack."""


def decode(raw: bytes, what: str) -> Any:
    """Maps, arrays, blobs, text, whole numbers, booleans and null as Python's own, without tags; Untrusted else.

    cbor2 knows dates, fractions and shared references too. The last can make a value that contains itself, and answers
    are walked recursively: so types and depth are checked here, once for all.
    """
    stream = io.BytesIO(raw)
    decoder = cbor2.CBORDecoder(stream, max_depth=DEEPEST, allow_duplicate_keys=False, strict_hashable_types=True)
    try:
        value = decoder.decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise Untrusted(f"{what} is not CBOR ({type(error).__name__})") from None
    if stream.tell() != len(raw):
        raise Untrusted(f"{what} has something left over at its end")
    return _plain(value, what, DEEPEST, [len(raw)])


def _plain(value: object, what: str, levels: int, left: list[int]) -> Any:
    """left: how many values may still come; there are never more of them than bytes, unless they are shared."""
    left[0] -= 1
    if levels < 0 or left[0] < 0:
        raise Untrusted(f"{what} is nested too deeply")
    if isinstance(value, cbor2.CBORTag) and value.tag == SELF_DESCRIBED:
        left[0] += 1
        return _plain(value.value, what, levels - 1, left)
    if value is None or type(value) in (bytes, str, int, bool):
        return value
    if isinstance(value, Mapping):  # a dict, or a frozendict below a tag
        if not all(isinstance(key, str) for key in value):
            raise Untrusted(f"{what} has a map whose keys are not text")
        return {key: _plain(each, what, levels - 1, left) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, what, levels - 1, left) for each in value]
    raise Untrusted(f"{what} has a value of a type that does not belong there ({type(value).__name__})")


def encode(value: object) -> bytes:
    """With the tag in front."""
    return cbor2.dumps(cbor2.CBORTag(SELF_DESCRIBED, value))
