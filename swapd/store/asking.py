"""How a transaction asks its database, whatever about."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.store.remembered import Remembered
from swapd.store.sealing import Sealer

Query = Select[*tuple[Any, ...]]


class Asking:
    """All answers are of one moment."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer, remembered: Remembered | None = None) -> None:
        self._connection = connection
        self._sealer = sealer
        self._remembered = remembered

    async def _all(self, query: Query) -> list[RowMapping]:
        return list((await self._connection.execute(query)).mappings())

    async def _one(self, query: Query) -> RowMapping | None:
        row: RowMapping | None = (await self._connection.execute(query)).mappings().one_or_none()
        return row

    async def _grouped(self, query: Query, key: str) -> defaultdict[Any, list[RowMapping]]:
        groups: defaultdict[Any, list[RowMapping]] = defaultdict(list)
        for row in await self._all(query):
            groups[row[key]].append(row)
        return groups
