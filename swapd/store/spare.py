"""A copy in memory of what is still open: with it exits go on while the database is away (`coordinator/lifeboat.py`).

It has the same tables and the same rules, so everything that works with a store works with this one. What is written to
it ends with the process.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import URL, event, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import aliased
from sqlalchemy.pool import AsyncAdaptedQueuePool

from swapd.store import audit
from swapd.store import engine as engines
from swapd.store import models as m
from swapd.store.backup import Which, copy_rows
from swapd.store.driver import sqlite_engine

_LEFT_OUT = tuple(
    each.__tablename__ for each in (m.Audit, m.Request, m.Webhook, m.Delivery, m.Answer, m.ApiKey, m.Nonce)
)
"""The story is told in the database, and to others from there; and nothing new is answered without it."""


_MOST_NAMED = 5_000
"""Databases take some ten thousand parameters."""

_WAIT_SECONDS = 15
"""For the one connection, which is held for moments only."""


async def make() -> AsyncEngine:
    """An empty one. A database in memory lives in its connection: there is one, and whoever needs it waits for it."""
    pool = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": _WAIT_SECONDS}
    url = URL.create("sqlite+aiosqlite", database=":memory:")
    engine = sqlite_engine(url, _WAIT_SECONDS, hide_parameters=True, **pool)
    event.listen(engine.sync_engine, "connect", engines.take_begin_over)
    event.listen(engine.sync_engine, "begin", engines.begin_sqlite)
    try:
        async with engines.writing(engine).begin() as connection:
            await connection.run_sync(m.Base.metadata.create_all)
    except BaseException:
        await engine.dispose()
        raise
    return engine


async def fill(engine: AsyncEngine, source: AsyncConnection, names: Collection[str]) -> None:
    """What is open now, in the place of what was. names: of these swaps alone, if they are few enough to be named."""
    watched = aliased(m.Swap)
    open_ids = select(watched.id).where(watched.watched)
    if len(names) <= _MOST_NAMED:
        open_ids = open_ids.where(watched.id.in_(names))
    its = aliased(m.Effect)
    effects = select(its.id).where(its.swap_id.in_(open_ids))
    which: dict[str, Which] = {
        "swaps": lambda t: t.c.id.in_(open_ids),
        "legs": lambda t: t.c.swap_id.in_(open_ids),
        "sightings": lambda t: t.c.swap_id.in_(open_ids),
        "approvals": lambda t: t.c.swap_id.in_(open_ids),
        "consents": lambda t: t.c.swap_id.in_(open_ids),
        "effects": lambda t: t.c.swap_id.in_(open_ids),
        "transactions": lambda t: t.c.effect_id.in_(effects),
    }
    async with engines.writing(engine).begin() as target:
        for each in reversed(m.Base.metadata.sorted_tables):
            await target.execute(each.delete())
        await copy_rows(source, target, which, without=_LEFT_OUT)
        head = f"{audit.GENESIS.seq} {audit.GENESIS.hash}"
        await target.execute(update(m.Meta).where(m.Meta.key == audit.HEAD).values(value=head))
        await target.execute(update(m.Swap).values(leased_by=None, leased_until=0, next_due_at=0))
