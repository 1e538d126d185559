"""The types of Candid as values (Candid specification, "Core grammar"), as far as canisters are spoken to here.

No `opt` of an `opt`, of `null` or of `reserved`: in Python their values could not be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping


class Type:
    """Two types are the same only if they are one object."""


class Primitive(Type):
    """code: how it is written in a message."""

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.code = code


class Fixed(Primitive):
    """A whole number of `size` bytes."""

    def __init__(self, name: str, code: int, size: int, *, signed: bool) -> None:
        super().__init__(name, code)
        self.size = size
        self.signed = signed
        self.least = -(1 << 8 * size - 1) if signed else 0
        self.most = (1 << 8 * size - signed) - 1


Null = Primitive("null", -1)
Bool = Primitive("bool", -2)
Nat = Primitive("nat", -3)
Int = Primitive("int", -4)
Nat8 = Fixed("nat8", -5, 1, signed=False)
Nat16 = Fixed("nat16", -6, 2, signed=False)
Nat32 = Fixed("nat32", -7, 4, signed=False)
Nat64 = Fixed("nat64", -8, 8, signed=False)
Int8 = Fixed("int8", -9, 1, signed=True)
Int16 = Fixed("int16", -10, 2, signed=True)
Int32 = Fixed("int32", -11, 4, signed=True)
Int64 = Fixed("int64", -12, 8, signed=True)
Text = Primitive("text", -15)
Reserved = Primitive("reserved", -16)
Empty = Primitive("empty", -17)
Principal = Primitive("principal", -24)

EMPTY_CODE = Empty.code
FLOAT32_CODE, FLOAT64_CODE = -13, -14
OPT_CODE, VEC_CODE, RECORD_CODE, VARIANT_CODE, FUNC_CODE, SERVICE_CODE = -18, -19, -20, -21, -22, -23


class Opt(Type):
    def __init__(self, inner: Type) -> None:
        if isinstance(inner, Opt) or inner in (Null, Reserved):
            raise TypeError("an opt of what may itself be null")
        self.inner = inner


class Vec(Type):
    def __init__(self, inner: Type) -> None:
        self.inner = inner


class _Blob(Type):
    """vec nat8, as bytes."""


Blob = _Blob()


class Record(Type):
    """fields: by name, in the order of their ids, as messages have them."""

    def __init__(self, fields: Mapping[str, Type]) -> None:
        self.fields = dict(sorted(fields.items(), key=lambda field: field_id(field[0])))


class Tuple(Type):
    """A record of the fields 0, 1, 2 …"""

    def __init__(self, *fields: Type) -> None:
        self.fields = fields


class Variant(Type):
    """cases: by name, in the order of their ids."""

    def __init__(self, cases: Mapping[str, Type]) -> None:
        self.cases = dict(sorted(cases.items(), key=lambda case: field_id(case[0])))


class Func(Type):
    """A reference to some method. What it takes and gives is not looked at, because none is called."""


class Recursive(Type):
    """A type that contains itself, or that is named before it is known: made first, and filled later."""

    _inner: Type | None = None

    def fill(self, inner: Type) -> None:
        self._inner = inner

    @property
    def inner(self) -> Type:
        if self._inner is None:
            raise TypeError("a recursive type that was never filled")
        return self._inner.inner if isinstance(self._inner, Recursive) else self._inner


def field_id(name: str) -> int:
    """The number that stands for a name in messages."""
    number = 0
    for byte in name.encode():
        number = (number * 223 + byte) % 2**32
    return number


def may_be_missing(type_: Type) -> bool:
    """Whether a record without this field is a value of the record type all the same."""
    return isinstance(type_, Opt) or type_ in (Null, Reserved)
