"""What is watched, as this process last read it, so that a look at all of it reads again only what has changed.

Every write that changes a swap, its legs or its sightings raises the swap's `version` or its `touches`, which never go
down; together with when it is due they are its stamp. Only committed states are kept: a stamp of a transaction that is
rolled back comes again with another content.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import String, cast, func

from swapd.store import models as m
from swapd.store.records import SwapRow

STAMP = (
    m.Swap.id
    + (" " + cast(m.Swap.version, String))
    + (" " + cast(m.Swap.touches, String))
    + func.coalesce(" " + cast(m.Swap.next_due_at, String), "")
)
"""One text for each swap and not a row of four columns: of ten thousand, that is a third of the time."""


class Remembered:
    def __init__(self) -> None:
        self._rows: dict[str, SwapRow] = {}

    def of(self, stamps: Iterable[str]) -> list[SwapRow | None]:
        """In this order, the very objects that were kept; None for what is not known in this state."""
        return list(map(self._rows.get, stamps))

    def keep(self, rows: Iterable[SwapRow]) -> None:
        self._rows.update((_stamp(row), row) for row in rows)

    def keep_only(self, rows: Collection[SwapRow]) -> None:
        """Of these, all kept, and nothing else: neither what they were before."""
        if len(self._rows) > len(rows):
            self._rows = {_stamp(row): row for row in rows}

    def forget(self) -> None:
        """All of it: the next look finds damage too that somebody did to the database."""
        self._rows.clear()


def id_in(stamp: str) -> str:
    return stamp.partition(" ")[0]


def _stamp(row: SwapRow) -> str:
    due = () if row.next_due_at is None else (row.next_due_at,)
    return " ".join(map(str, (row.id, row.version, row.touches, *due)))
