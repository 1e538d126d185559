"""Frozen values to JSON and back, strictly: what cannot have been written by `encode` is Invalid.

Amounts are decimal strings (a JSON number holds no wei), bytes are hex, names of fields are the values' own. Reading
builds the values through their constructors, so every validation of theirs runs again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from swapd.errors import Invalid

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

_T = TypeVar("_T")

MOST_BRACKETS = 2_000
"""Nothing of ours comes near, and deeper nesting can overflow the parser's stack: a library that we use raises Python's
recursion limit far above what the stack holds, so the interpreter would die instead of raising RecursionError."""


def canonical(value: Json) -> str:
    """The one text of a JSON value: sorted keys, no spaces, ASCII. Floats have no business here."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse(text: str) -> Json:
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise Invalid("json", f"{len(text)} characters", f"at most {MOST_BRACKETS} lists and objects")
    try:
        value: Json = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise Invalid("json", f"{len(text)} characters", "a JSON text without floats") from None
    return value


def dumps(value: object) -> str:
    """A value as canonical JSON text."""
    return canonical(encode(value))


def loads(kind: type[_T], text: str) -> _T:
    """The value that `dumps` made this text from."""
    return decode(kind, parse(text))


def encode(value: object) -> Json:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _field(f.name, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"no JSON form for {type(value).__name__}")


def decode(kind: type[_T], data: Json, at: str = "") -> _T:
    """Build `kind` from JSON. at: where we are, for the error's field name."""
    value: _T = _decode(kind, data, at)
    return value


def _field(name: str, value: object) -> Json:
    return str(value) if _holds_amount(name) else encode(value)


def _holds_amount(name: str) -> bool:
    return name == "amount" or name.endswith("_amount")


def _decode(kind: Any, data: Json, at: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # X | None
        inner = next(a for a in arguments if a is not type(None))
        return None if data is None else _decode(inner, data, at)
    if origin is tuple:
        return _tuple(arguments, data, at)
    if is_dataclass(kind):
        return _dataclass(kind, data, at)
    if kind is bytes:
        return _bytes(data, at)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if isinstance(data, str):
            with suppress(ValueError):
                return kind(data)
        raise Invalid(at, data, " | ".join(kind))
    if type(data) is not kind:  # exactly: True is not an int here
        raise Invalid(at, data, kind.__name__)
    return data


def _dataclass(kind: Any, data: Json, at: str) -> Any:
    if not isinstance(data, dict):
        raise Invalid(at or kind.__name__, data, f"an object with the fields of {kind.__name__}")
    known = {f.name: f for f in fields(kind)}
    for name in data.keys() - known.keys():
        raise Invalid(f"{at}.{name}".lstrip("."), data[name], f"no such field in {kind.__name__}")
    values = {}
    for name, f in known.items():
        path = f"{at}.{name}".lstrip(".")
        if name in data:
            values[name] = (
                _amount(data[name], path) if _holds_amount(name) else _decode(_hints(kind)[name], data[name], path)
            )
        elif f.default is MISSING:
            raise Invalid(path, None, f"a field of {kind.__name__}")
    return kind(**values)


def _tuple(arguments: tuple[Any, ...], data: Json, at: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise Invalid(at, data, "a list")
    if arguments[-1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{at}[{n}]") for n, item in enumerate(data))
    if len(data) != len(arguments):
        raise Invalid(at, data, f"a list of {len(arguments)}")
    return tuple(_decode(kind, item, at) for kind, item in zip(arguments, data, strict=True))


def _amount(data: Json, at: str) -> int:
    if not (isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 78):
        raise Invalid(at, data, "a decimal string of smallest units")
    return int(data)


def _bytes(data: Json, at: str) -> bytes:
    try:
        if isinstance(data, str):
            return bytes.fromhex(data)
    except ValueError:
        pass
    raise Invalid(at, data, "hex digits")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _no_float(text: str) -> Json:
    raise ValueError(text)


def _refuse_floats(value: Json | float) -> None:
    if isinstance(value, float):
        raise Invalid("json", value, "a whole number or a string")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_floats(item)
