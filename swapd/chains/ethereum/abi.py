"""Encoding and decoding by an ABI (the JSON that compilers write), for calls, events and errors alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

_STANDARD_ERROR = {"name": "Error", "type": "error", "inputs": [{"name": "reason", "type": "string"}]}


class Abi:
    """One contract's functions, events and errors. Names must be unique among each of the three.

    Values are those of eth_abi: ints, bytes, addresses in lower case, tuples for structs.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self._functions = {_selector(e): e for e in entries if e["type"] == "function"}
        self._errors = {_selector(e): e for e in (*entries, _STANDARD_ERROR) if e["type"] == "error"}
        self._events = {_hash(e): e for e in entries if e["type"] == "event"}
        self._selectors = {e["name"]: selector for selector, e in self._functions.items()}
        self.topics = {e["name"]: topic for topic, e in self._events.items()}

    def call(self, name: str, *arguments: object) -> bytes:
        """Calldata."""
        selector = self._selectors[name]
        return selector + encode(_types(self._functions[selector]["inputs"]), arguments)

    def called(self, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Function and arguments of calldata; None if it is not of this contract or malformed."""
        entry = self._functions.get(data[:4])
        values = _decoded(entry["inputs"], data[4:]) if entry else None
        return (entry["name"], values) if entry and values is not None else None

    def event(self, topics: Sequence[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Name and fields of an event; None if it is not of this contract or malformed."""
        entry = self._events.get(topics[0]) if topics else None
        if entry is None:
            return None
        indexed = [field for field in entry["inputs"] if field["indexed"]]
        plain = [field for field in entry["inputs"] if not field["indexed"]]
        values = _decoded(indexed, b"".join(topics[1:])), _decoded(plain, data)  # all indexed ones here are one word
        if values[0] is None or values[1] is None:
            return None
        names = [field["name"] for field in (*indexed, *plain)]
        return entry["name"], dict(zip(names, (*values[0], *values[1]), strict=True))

    def error(self, data: bytes) -> str | None:
        """What a revert says, in words, like `NotDue(timelock=1700000000)`; None if it is not of this contract."""
        entry = self._errors.get(data[:4])
        values = _decoded(entry["inputs"], data[4:]) if entry else None
        if entry is None or values is None:
            return None
        names = [field["name"] for field in entry["inputs"]]
        return f"{entry['name']}({', '.join(f'{n}={_shown(v)}' for n, v in zip(names, values, strict=True))})"


def _types(fields: Sequence[Mapping[str, Any]]) -> list[str]:
    return [collapse_if_tuple(dict(field)) for field in fields]


def _hash(entry: Mapping[str, Any]) -> bytes:
    return keccak(text=f"{entry['name']}({','.join(_types(entry['inputs']))})")


def _selector(entry: Mapping[str, Any]) -> bytes:
    return _hash(entry)[:4]


def _decoded(fields: Sequence[Mapping[str, Any]], data: bytes) -> tuple[Any, ...] | None:
    try:
        return tuple(decode(_types(fields), data))
    except (DecodingError, OverflowError, ValueError):
        return None  # anybody may call or emit anything: what can not be read is none of ours


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
