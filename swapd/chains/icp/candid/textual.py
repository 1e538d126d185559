"""Candid's textual form of an argument, for people and for the tools into which they paste it."""

from __future__ import annotations

from typing import Any

from swapd.chains.icp.candid.types import Blob, Fixed, Opt, Primitive, Principal, Record, Type
from swapd.chains.icp.principal import text


def as_text(type_: Type, value: Any) -> str:
    """One argument, made of records, options, blobs, principals and numbers; fields in the order the value has them.

    >>> from swapd.chains.icp.candid.types import Nat
    >>> as_text(Record({"amount": Nat, "memo": Opt(Blob)}), {"amount": 5, "memo": b"a"})
    '(record { amount = 5 : nat; memo = opt blob "\\\\61" })'
    """
    return f"({_text(type_, value)})"


def _text(type_: Type, value: Any) -> str:
    if isinstance(type_, Opt):
        return "null" if value is None else f"opt {_text(type_.inner, value)}"
    if isinstance(type_, Record):
        fields = "; ".join(f"{name} = {_text(type_.fields[name], each)}" for name, each in value.items())
        return f"record {{ {fields} }}"
    if type_ is Blob:
        return 'blob "' + "".join(f"\\{byte:02x}" for byte in value) + '"'
    if type_ is Principal:
        return f'principal "{text(value)}"'
    if isinstance(type_, (Fixed, Primitive)):
        return f"{value} : {type_.name}"
    raise TypeError(f"no text for {type(type_).__name__}")
