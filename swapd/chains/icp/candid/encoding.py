"""Candid values to bytes (Candid specification, "Binary format")."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.chains.icp.candid import types as t
from swapd.errors import Invalid

MAGIC = b"DIDL"

NO_ARGUMENTS = MAGIC + b"\x00\x00"

LARGEST_PRINCIPAL = 29


def encode(type_: t.Type, value: object) -> bytes:
    """One argument. A record may lack its optional fields. Raises Invalid, with the place and never with the value
    itself: an argument may hold a secret (rule S9)."""
    return encode_all((type_, value))


def encode_all(*arguments: tuple[t.Type, object]) -> bytes:
    """Several arguments, each as `encode` does it."""
    table = _TypeTable()
    references = [table.reference(type_) for type_, _ in arguments]
    written = bytearray()
    for type_, value in arguments:
        _write(type_, value, "argument", written)
    types = unsigned(len(table.entries)) + b"".join(table.entries)
    return MAGIC + types + unsigned(len(arguments)) + b"".join(references) + written


def unsigned(number: int) -> bytes:
    """LEB128."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def signed(number: int) -> bytes:
    """SLEB128."""
    groups = bytearray()
    while not -0x40 <= number < 0x40:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number & 0x7F)
    return bytes(groups)


class _TypeTable:
    """What a message says about the types in it: each compound type once, referred to by its place."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._place: dict[t.Type, int] = {}

    def reference(self, type_: t.Type) -> bytes:
        if isinstance(type_, t.Recursive):
            type_ = type_.inner
        if isinstance(type_, t.Primitive):
            return signed(type_.code)
        if type_ not in self._place:
            self._place[type_] = len(self.entries)
            self.entries.append(b"")  # keeps the place while what is inside gets later ones
            self.entries[self._place[type_]] = self._entry(type_)
        return signed(self._place[type_])

    def _entry(self, type_: t.Type) -> bytes:
        match type_:
            case t.Opt():
                return signed(t.OPT_CODE) + self.reference(type_.inner)
            case t.Vec():
                return signed(t.VEC_CODE) + self.reference(type_.inner)
            case t.Record():
                return signed(t.RECORD_CODE) + self._fields({t.field_id(n): f for n, f in type_.fields.items()})
            case t.Tuple():
                return signed(t.RECORD_CODE) + self._fields(dict(enumerate(type_.fields)))
            case t.Variant():
                return signed(t.VARIANT_CODE) + self._fields({t.field_id(n): c for n, c in type_.cases.items()})
            case _ if type_ is t.Blob:
                return signed(t.VEC_CODE) + signed(t.Nat8.code)
        raise TypeError(f"{type(type_).__name__} is only read, never written")

    def _fields(self, fields: Mapping[int, t.Type]) -> bytes:
        written = [unsigned(number) + self.reference(inner) for number, inner in fields.items()]
        return unsigned(len(written)) + b"".join(written)


def _write(type_: t.Type, value: object, where: str, to: bytearray) -> None:
    match type_:
        case t.Primitive():
            _write_primitive(type_, value, where, to)
        case t.Recursive():
            _write(type_.inner, value, where, to)
        case t.Opt():
            to.append(value is not None)
            if value is not None:
                _write(type_.inner, value, where, to)
        case t.Vec():
            if not isinstance(value, (list, tuple)):
                raise _misfit(where, value, "a list")
            to += unsigned(len(value))
            for place, each in enumerate(value):
                _write(type_.inner, each, f"{where}[{place}]", to)
        case t.Record():
            _write_record(type_, value, where, to)
        case t.Tuple():
            if not isinstance(value, tuple) or len(value) != len(type_.fields):
                raise _misfit(where, value, f"a tuple of {len(type_.fields)}")
            for place, (inner, each) in enumerate(zip(type_.fields, value, strict=True)):
                _write(inner, each, f"{where}.{place}", to)
        case t.Variant():
            _write_variant(type_, value, where, to)
        case _ if type_ is t.Blob:
            if not isinstance(value, bytes):
                raise _misfit(where, value, "bytes")
            to += unsigned(len(value)) + value
        case _:
            raise TypeError(f"{type(type_).__name__} is only read, never written")


def _write_record(type_: t.Record, value: object, where: str, to: bytearray) -> None:
    if not isinstance(value, Mapping):
        raise _misfit(where, value, "a dict of fields")
    if strangers := value.keys() - type_.fields.keys():
        raise Invalid(where, f"fields {sorted(map(str, strangers))}", f"fields of {sorted(type_.fields)} only")
    for name, inner in type_.fields.items():
        if name not in value and not t.may_be_missing(inner):
            raise Invalid(f"{where}.{name}", None, "a value: the field is missing")
        _write(inner, value.get(name), f"{where}.{name}", to)


def _write_variant(type_: t.Variant, value: object, where: str, to: bytearray) -> None:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise _misfit(where, value, "a dict of one case")
    ((name, content),) = value.items()
    if name not in type_.cases:
        raise Invalid(where, f"case {name!s}", f"one of {sorted(type_.cases)}")
    to += unsigned(list(type_.cases).index(name))
    _write(type_.cases[name], content, f"{where}.{name}", to)


def _write_primitive(type_: t.Primitive, value: object, where: str, to: bytearray) -> None:
    match value:
        case None if type_ in (t.Null, t.Reserved):
            pass
        case bool() if type_ is t.Bool:
            to.append(value)
        case bool():  # an int to Python, and none to us
            raise _misfit(where, value, type_.name)
        case int() if isinstance(type_, t.Fixed) and type_.least <= value <= type_.most:
            to += value.to_bytes(type_.size, "little", signed=type_.signed)
        case int() if type_ is t.Nat and value >= 0:
            to += unsigned(value)
        case int() if type_ is t.Int:
            to += signed(value)
        case str() if type_ is t.Text:
            content = value.encode()
            to += unsigned(len(content)) + content
        case bytes() if type_ is t.Principal and len(value) <= LARGEST_PRINCIPAL:
            to += b"\x01" + unsigned(len(value)) + value
        case _:
            raise _misfit(where, value, type_.name)


def _misfit(where: str, value: object, expected: str) -> Invalid:
    size = f" of {len(value)}" if isinstance(value, (bytes, str, list, tuple, dict)) else ""
    return Invalid(where, f"{type(value).__name__}{size}", expected)
