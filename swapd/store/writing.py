"""What all writing has in common: who does it, and that the audit chain hears of it in the same transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.store import audit
from swapd.store import models as m
from swapd.store.codec import Json
from swapd.store.errors import LeaseLost
from swapd.store.reading import SwapReading, no_such_swap
from swapd.store.sealing import Sealer


class Writing(SwapReading):
    """A transaction that writes: all of it or nothing. actor: who is named in the audit chain."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer, actor: str) -> None:
        super().__init__(connection, sealer)
        self._actor = actor
        self._notes: list[audit.Note] = []

    def audit(self, event: str, swap_id: str | None = None, **data: Json) -> None:
        """Say something in the audit chain; it is written when the transaction commits. Never a secret (S9)."""
        self._notes.append((event, swap_id, data))

    async def close_books(self) -> bool:
        """Write the audit entries, if there are any; the store calls it right before the commit."""
        if self._notes:
            await audit.append(self._connection, self._actor, self._notes)
        return bool(self._notes)

    # -- inside

    def _insert(self, table: type[m.Base]) -> Any:
        """INSERT with the ON CONFLICT that both engines have, in the same words but from two places."""
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)

    async def _hold(self, swap_id: str, fence: int) -> None:
        """Lock the swap's row until the end of the transaction; raise `LeaseLost` unless the fence is its newest."""
        query = select(m.Swap.fence).where(m.Swap.id == swap_id).with_for_update()
        row = await self._one(query)
        if row is None:
            raise no_such_swap(swap_id)
        if row["fence"] != fence:
            raise LeaseLost(f"swap {swap_id}: this worker's lease {fence} has ended, the newest is {row['fence']}")
