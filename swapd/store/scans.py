"""Writing about chains: how far each was scanned and what was seen, always together."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, select, update

from swapd.chains.base import Cursor, Scan, Sighting
from swapd.protocol.hashlock import opens
from swapd.store import models as m
from swapd.store.codec import dumps
from swapd.store.swaps import SwapWriting


class ScanWriting(SwapWriting):
    async def record_scan(self, chain: str, scan: Scan) -> frozenset[str]:
        """A scan's outcome: new sightings come, the cursor moves. Returns the swaps it touched.

        What orphaned blocks showed stays: it says where to look, and nothing else, so it does no harm (S1). Without it
        a node that invents a reorganisation would hide what is in the chain, and a secret that was seen is public (S6).
        """
        touched: frozenset[str] = frozenset()
        if scan.fork is not None:
            touched = await self.touch_above(chain, scan.fork)
        touched |= await self.add_sightings(chain, scan.sightings)
        await self.set_cursor(chain, scan.cursor)
        return touched

    async def add_sightings(self, chain: str, sightings: Iterable[Sighting]) -> frozenset[str]:
        """Store what was not known yet and touch its swaps; returns those."""
        touched: set[str] = set()
        for sighting in sightings:
            row = self._insert(m.Sighting).values(
                swap_id=sighting.swap_id,
                chain=chain,
                role=sighting.role,
                kind=sighting.kind,
                ref=sighting.ref,
                txid=sighting.txid,
                block_hash=sighting.block_hash or "",
                height=sighting.height,
                preimage=sighting.preimage,
                note=sighting.note,
            )
            new = await self._connection.scalars(row.on_conflict_do_nothing().returning(m.Sighting.swap_id))
            touched.update(new)
        await self.touch(touched)
        return frozenset(touched)

    async def touch_above(self, chain: str, height: int) -> frozenset[str]:
        """Touch the swaps that were seen in blocks above this height (the last common one); returns those."""
        above = (m.Sighting.chain == chain, m.Sighting.height > height)
        await self._keep_secrets(*above)
        touched = frozenset(await self._connection.scalars(select(m.Sighting.swap_id).where(*above)))
        await self.touch(touched)
        return touched

    async def forget_sightings(self, swap_id: str) -> None:
        """They are damaged, and can be seen again."""
        await self._keep_secrets(m.Sighting.swap_id == swap_id)
        await self._connection.execute(delete(m.Sighting).where(m.Sighting.swap_id == swap_id))
        self.audit("sightings forgotten", swap_id)
        await self.touch([swap_id])

    async def set_cursor(self, chain: str, cursor: Cursor) -> None:
        values = {"height": cursor.height, "hash": cursor.hash, "trail": dumps(cursor.trail)}
        row = self._insert(m.Cursor).values(chain=chain, **values)
        await self._connection.execute(row.on_conflict_do_update(index_elements=["chain"], set_=values))

    async def _keep_secrets(self, *which: ColumnElement[bool]) -> None:
        """S6: before these are forgotten, or believed no more. A secret that was seen once is public, wherever it has
        gone."""
        shown = select(m.Swap.id, m.Sighting.preimage, m.Swap.hashlock).join(m.Swap, m.Swap.id == m.Sighting.swap_id)
        for row in await self._all(shown.where(*which, m.Sighting.preimage.is_not(None))):
            if opens(bytes(row["preimage"]), bytes.fromhex(row["hashlock"])):
                kept = update(m.Swap).where(m.Swap.id == row["id"])
                await self._connection.execute(kept.values(revealed_preimage=row["preimage"]))
