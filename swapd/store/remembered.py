"""What is watched, as this process last read it, so that a look at all of it reads again only what has changed.

Every write that changes a swap, its legs or its sightings raises the swap's `version` or its `touches`, which never go
down; together with when it is due they are its stamp. Only committed states are kept: a stamp of a transaction that is
rolled back comes again with another content.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import RowMapping

from swapd.store import models as m
from swapd.store.records import SwapRow

STAMP = (m.Swap.id, m.Swap.version, m.Swap.touches, m.Swap.next_due_at)

Stamp = tuple[object, ...]


class Remembered:
    def __init__(self) -> None:
        self._rows: dict[str, tuple[Stamp, SwapRow]] = {}

    def get(self, row: RowMapping) -> SwapRow | None:
        """row: of the columns `STAMP`. None if it is not known in this state."""
        stamp, known = self._rows.get(row["id"], ((), None))
        return known if stamp == tuple(row.values()) else None

    def keep(self, rows: Iterable[SwapRow]) -> None:
        for row in rows:
            self._rows[row.id] = ((row.id, row.version, row.touches, row.next_due_at), row)

    def keep_only(self, ids: Iterable[str]) -> None:
        for gone in self._rows.keys() - set(ids):
            del self._rows[gone]

    def forget(self) -> None:
        """All of it: the next look finds damage too that somebody did to the database."""
        self._rows.clear()
