"""Candid bytes to values of an expected type (Candid specification, "Binary format", "Subtyping", "Coercion").

A message says itself what types it holds. First that is compared with what is expected: legal differences are bridged
(more fields, fewer optional ones, a `nat` for an `int`, and null for an `opt` of what is not understood). From the two
types readers are put together, once for each pair, and these read the values. The message's size bounds all this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from swapd.chains.icp.candid import types as t
from swapd.chains.icp.candid.encoding import MAGIC
from swapd.chains.icp.candid.reader import (
    PRIMITIVES,
    Read,
    Reader,
    deeper,
    nothing,
    read_blob,
    read_bool,
    read_func,
    read_principal,
    wrong,
)
from swapd.chains.icp.candid.table import Entry, read_table

DEEPEST = 100
"""Levels of nesting, of types and of values."""


def decode(type_: t.Type, raw: bytes) -> Any:
    """The value of the first argument; further ones are ignored, as the specification allows. Raises Unavailable."""
    reader = Reader(raw)
    if reader.take(len(MAGIC)) != MAGIC:
        raise wrong("it does not begin as a message does")
    message = _Message(read_table(reader))
    references = [reader.signed() for _ in range(reader.count())]
    message.require(references)
    value = None
    if references:
        if not message.fits(references[0], type_, set(), DEEPEST):
            raise wrong("its type is another")
        value = message.reader(references[0], type_, DEEPEST)(reader, DEEPEST)
    elif not t.may_be_missing(type_):
        raise wrong("there is no value in it")
    for reference in references[1:]:
        message.skip(reference, reader, DEEPEST)
    if not reader.is_at_end:
        raise wrong("something is left over at its end")
    return value


class _Message:
    def __init__(self, table: list[Entry]) -> None:
        self._table = table
        self._readers: dict[tuple[int, t.Type], Read] = {}
        for entry in table:
            self.require([reference for _, reference in entry.fields])

    def require(self, references: list[int]) -> None:
        """That there are such types."""
        if not all(reference in PRIMITIVES or 0 <= reference < len(self._table) for reference in references):
            raise wrong("it refers to a type that is not there")

    def fits(self, reference: int, wanted: t.Type, assumed: set[tuple[int, t.Type]], levels: int) -> bool:
        """Whether every value of the message's type is one of the type wanted. assumed: pairs that are being looked at
        further out, for types that contain themselves."""
        if levels == 0:
            raise wrong("its types are nested too deeply")
        if isinstance(wanted, t.Recursive):
            wanted = wanted.inner
        if wanted is t.Reserved or isinstance(wanted, t.Opt) or reference == t.EMPTY_CODE:
            return True
        if isinstance(wanted, t.Primitive):
            return reference == wanted.code or (wanted is t.Int and reference == t.Nat.code)
        if reference < 0:
            return False
        if (reference, wanted) in assumed:
            return True
        assumed.add((reference, wanted))
        entry = self._table[reference]
        there = dict(entry.fields)

        def all_fit(pairs: dict[int, t.Type]) -> bool:
            return all(self.fits(there[number], inner, assumed, levels - 1) for number, inner in pairs.items())

        match wanted:
            case t.Vec():
                return entry.code == t.VEC_CODE and all_fit({0: wanted.inner})
            case t.Record() | t.Tuple():
                fields = _fields(wanted)
                missing = [inner for number, inner in fields.items() if number not in there]
                known = {number: inner for number, inner in fields.items() if number in there}
                return entry.code == t.RECORD_CODE and all(map(t.may_be_missing, missing)) and all_fit(known)
            case t.Variant():
                cases = _cases(wanted)
                known = {number: cases[number][1] for number in there if number in cases}
                return entry.code == t.VARIANT_CODE and len(known) == len(there) and all_fit(known)
            case t.Func():
                return entry.code == t.FUNC_CODE
        return wanted is t.Blob and entry == Entry(t.VEC_CODE, ((0, t.Nat8.code),))

    def reader(self, reference: int, wanted: t.Type, levels: int) -> Read:
        """For a pair that fits."""
        if levels == 0:
            raise wrong("its types are nested too deeply")
        if isinstance(wanted, t.Recursive):
            wanted = wanted.inner
        key = reference, wanted
        if key not in self._readers:
            self._readers[key] = lambda reader, levels: self._readers[key](reader, levels)  # if it contains itself
            self._readers[key] = self._reader(reference, wanted, levels - 1)
        return self._readers[key]

    def _reader(self, reference: int, wanted: t.Type, levels: int) -> Read:
        if wanted is t.Reserved:
            return lambda reader, levels: self.skip(reference, reader, levels)
        if isinstance(wanted, t.Opt):
            return self._opt(reference, wanted.inner, levels)
        if reference < 0:
            return PRIMITIVES[reference]
        entry = self._table[reference]
        match wanted:
            case t.Vec():
                return _vec(self.reader(entry.fields[0][1], wanted.inner, levels))
            case t.Record():
                return self._record(entry, wanted, levels)
            case t.Tuple():
                inner = dict(enumerate(wanted.fields))
                reads = [self.reader(each, inner.get(number, t.Reserved), levels) for number, each in entry.fields]
                return _tuple(reads, [number for number, _ in entry.fields], len(wanted.fields))
            case t.Variant():
                cases = _cases(wanted)
                reads = [self.reader(each, cases[number][1], levels) for number, each in entry.fields]
                return _variant(reads, [cases[number][0] for number, _ in entry.fields])
            case t.Func():
                return read_func
        return read_blob

    def _record(self, entry: Entry, wanted: t.Record, levels: int) -> Read:
        names = {t.field_id(name): name for name in wanted.fields}
        inner = _fields(wanted)
        reads = [self.reader(each, inner.get(number, t.Reserved), levels) for number, each in entry.fields]
        return _record(reads, [names.get(number) for number, _ in entry.fields], list(wanted.fields))

    def _opt(self, reference: int, inner: t.Type, levels: int) -> Read:
        """Every type fits an `opt`: what is not null and not of the type inside becomes null."""
        is_opt = reference >= 0 and self._table[reference].code == t.OPT_CODE
        content = self._table[reference].fields[0][1] if is_opt else reference
        if not is_opt and reference in (t.Null.code, t.Reserved.code):
            return nothing
        read = self.reader(content, inner if self.fits(content, inner, set(), levels) else t.Reserved, levels)
        return _optional(read) if is_opt else read

    def skip(self, reference: int, reader: Reader, levels: int) -> None:
        """Go past a value that nobody wants."""
        if reference < 0:
            PRIMITIVES[reference](reader, levels)
            return
        below = deeper(levels)
        entry = self._table[reference]
        inner = [each for _, each in entry.fields]
        match entry.code:
            case t.OPT_CODE:
                if read_bool(reader, below):
                    self.skip(inner[0], reader, below)
            case t.VEC_CODE if inner[0] == t.Nat8.code:
                read_blob(reader, below)
            case t.VEC_CODE:
                for _ in range(reader.count()):
                    self.skip(inner[0], reader, below)
            case t.RECORD_CODE:
                reader.work(len(inner))
                for each in inner:
                    self.skip(each, reader, below)
            case t.VARIANT_CODE:
                self.skip(_chosen(inner, reader), reader, below)
            case t.FUNC_CODE:
                read_func(reader, below)
            case t.SERVICE_CODE:
                read_principal(reader, below)


def _fields(type_: t.Type) -> dict[int, t.Type]:
    match type_:
        case t.Record():
            return {t.field_id(name): inner for name, inner in type_.fields.items()}
        case t.Tuple():
            return dict(enumerate(type_.fields))
    return {}


def _cases(type_: t.Variant) -> dict[int, tuple[str, t.Type]]:
    return {t.field_id(name): (name, inner) for name, inner in type_.cases.items()}


def _optional(read: Read) -> Read:
    def optional(reader: Reader, levels: int) -> Any:
        return read(reader, deeper(levels)) if read_bool(reader, levels) else None

    return optional


def _vec(read: Read) -> Read:
    def vec(reader: Reader, levels: int) -> list[Any]:
        below = deeper(levels)
        return [read(reader, below) for _ in range(reader.count())]

    return vec


def _record(reads: list[Read], there: list[str | None], names: list[str]) -> Read:
    steps = list(zip(reads, there, strict=True))

    def record(reader: Reader, levels: int) -> dict[str, Any]:
        below = deeper(levels)
        reader.work(len(steps))
        value: dict[str, Any] = dict.fromkeys(names)
        for read, name in steps:
            content = read(reader, below)
            if name is not None:
                value[name] = content
        return value

    return record


def _tuple(reads: list[Read], there: list[int], size: int) -> Read:
    steps = list(zip(reads, there, strict=True))

    def tuple_(reader: Reader, levels: int) -> tuple[Any, ...]:
        below = deeper(levels)
        reader.work(len(steps))
        value = {number: read(reader, below) for read, number in steps}
        return tuple(value.get(number) for number in range(size))

    return tuple_


def _variant(reads: list[Read], names: list[str]) -> Read:
    steps = list(zip(reads, names, strict=True))

    def variant(reader: Reader, levels: int) -> dict[str, Any]:
        read, name = _chosen(steps, reader)
        return {name: read(reader, deeper(levels))}

    return variant


_Case = TypeVar("_Case")


def _chosen(cases: Sequence[_Case], reader: Reader) -> _Case:
    place = reader.unsigned()
    if place >= len(cases):
        raise wrong("it has a case that its type has not")
    return cases[place]
