"""The types that a message says it has (Candid specification, "Binary format")."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from swapd.chains.icp.candid import types as t
from swapd.chains.icp.candid.reader import Reader, wrong

MOST_TYPES = 1_000
MOST_FIELDS = 5_000
"""In a message's table; the largest of ours has some thirty types and two hundred fields and cases."""


@dataclass(frozen=True)
class Entry:
    """A compound type of the message. code: which kind. fields: id and type, of a record or variant; the one of an opt
    or vec has the id 0. A type is a primitive's code, or its place in the table."""

    code: int
    fields: tuple[tuple[int, int], ...] = ()


def read_table(reader: Reader) -> list[Entry]:
    size = reader.count()
    if size > MOST_TYPES:
        raise wrong("it has too many types")
    table = [_entry(reader) for _ in range(size)]
    if sum(len(entry.fields) for entry in table) > MOST_FIELDS:
        raise wrong("its types have too many fields")
    return table


def _entry(reader: Reader) -> Entry:
    code = reader.signed()
    if code in (t.OPT_CODE, t.VEC_CODE):
        return Entry(code, ((0, reader.signed()),))
    if code in (t.RECORD_CODE, t.VARIANT_CODE):
        fields = tuple((reader.unsigned(), reader.signed()) for _ in range(reader.count()))
        if any(first >= second for (first, _), (second, _) in pairwise(fields)):
            raise wrong("the fields of a type are out of order")
        return Entry(code, fields)
    if code == t.FUNC_CODE:
        for _ in range(2):  # arguments, results
            for _ in range(reader.count()):
                reader.signed()
        reader.take(reader.count())  # annotations
        return Entry(code)
    if code == t.SERVICE_CODE:
        for _ in range(reader.count()):
            reader.take(reader.unsigned())
            reader.signed()
        return Entry(code)
    raise wrong("it has a type of no known kind")
