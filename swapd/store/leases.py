"""Who works on which swap: a lease for a while, and a fence that goes up with each so that a late writer is refused."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select, update

from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.records import Lease
from swapd.store.writing import Writing


class Leasing(Writing):
    async def lease(self, swap_id: str, worker: str, seconds: int) -> int | None:
        """The fence to write with, or None while somebody has the swap. Commit before working under it."""
        leases = await self._lease(m.Swap.id == swap_id, worker, seconds)
        return leases[0].fence if leases else None

    async def lease_due(self, worker: str, now: int, seconds: int, limit: int = 20) -> list[Lease]:
        """The most urgent swaps that are due (see `due`) and free, taken in one statement."""
        due = (
            select(m.Swap.id)
            .where(m.Swap.next_due_at <= now, _free())
            .order_by(m.Swap.next_due_at, m.Swap.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        return await self._lease(m.Swap.id.in_(select(due.c.id)), worker, seconds)

    async def release(self, lease: Lease) -> None:
        """Give a swap back. The fence goes up, so nothing more can be written under the old one."""
        await self._connection.execute(
            update(m.Swap)
            .where(m.Swap.id == lease.swap_id, m.Swap.fence == lease.fence)
            .values(leased_by=None, leased_until=0, fence=m.Swap.fence + 1)
        )

    async def release_all(self, worker: str) -> None:
        """A worker that starts holds nothing: what it held before a crash is free at once. Names are one a worker."""
        await self._connection.execute(
            update(m.Swap)
            .where(m.Swap.leased_by == worker)
            .values(leased_by=None, leased_until=0, fence=m.Swap.fence + 1)
        )

    async def _lease(self, which: ColumnElement[bool], worker: str, seconds: int) -> list[Lease]:
        statement = (
            update(m.Swap)
            .where(which, _free())
            .values(leased_by=worker, leased_until=unix_now() + seconds, fence=m.Swap.fence + 1)
            .returning(m.Swap.id, m.Swap.fence)
        )
        return [Lease(*row) for row in await self._connection.execute(statement)]


def _free() -> ColumnElement[bool]:
    return or_(m.Swap.leased_by.is_(None), m.Swap.leased_until <= unix_now())
