"""What the database has to say about itself in numbers, for those who watch it: counts, and nothing of any one swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, cast, exists, func, or_, select

from swapd.chains.base import TxState
from swapd.protocol.status import Status
from swapd.store import models as m
from swapd.store.asking import Asking, Query
from swapd.store.clock import unix_now
from swapd.store.records import DisputeState, EffectState, RequestState
from swapd.store.webhooks import UNDELIVERED

_OPEN = [state.value for state in EffectState if not state.ended]
_UNSENT = (EffectState.WANTED.value, EffectState.SIGNED.value)
_UNANSWERED = (RequestState.WAITING.value, RequestState.DECIDED.value)


@dataclass(frozen=True)
class BookFigures:
    """swaps: by status, every status there is. effects: not ended ones, by kind and state. deadlines: the nearest by
    kind, of those that are wanted and in no block; unsent: of those of which nothing was handed to a network; in Unix
    seconds. fees_paid: by chain, in its coin's smallest unit; a float, since wei have more digits than a database adds.
    leases: held at this moment. due: swaps that wait to be looked at. heights: by chain, how far it was read.
    deliveries: by state."""

    swaps: Mapping[str, int]
    frozen: int
    disputes: int
    effects: Mapping[tuple[str, str], int]
    deadlines: Mapping[str, int]
    unsent: Mapping[str, int]
    fees_paid: Mapping[str, float]
    leases: int
    due: int
    requests: int
    heights: Mapping[str, int]
    deliveries: Mapping[str, int]


class FigureReading(Asking):
    async def figures(self, now: int) -> BookFigures:
        """now: Unix seconds by the clock that decides what is due."""
        wanted = m.Effect.wanted & m.Effect.state.in_(_OPEN)
        mined = exists().where(
            m.Transaction.effect_id == m.Effect.id,
            m.Transaction.voiding.is_(False),
            m.Transaction.fate == TxState.MINED.value,
        )
        by_status = await self._pairs(select(m.Swap.status, func.count()).group_by(m.Swap.status))
        undelivered = m.Delivery.state.in_([state.value for state in UNDELIVERED])
        deliveries = await self._pairs(
            select(m.Delivery.state, func.count()).where(undelivered).group_by(m.Delivery.state)
        )
        fees = (
            select(m.Leg.chain, func.sum(cast(m.Transaction.fee_paid, Float)))
            .join(m.Effect, m.Effect.id == m.Transaction.effect_id)
            .join(m.Leg, and_(m.Leg.swap_id == m.Effect.swap_id, m.Leg.role == m.Effect.role))
            .where(m.Transaction.fee_paid.is_not(None))
            .group_by(m.Leg.chain)
        )
        states = (
            select(m.Effect.kind, m.Effect.state, func.count())
            .where(or_(m.Effect.wanted, m.Effect.state != EffectState.WANTED.value), m.Effect.state.in_(_OPEN))
            .group_by(m.Effect.kind, m.Effect.state)
        )
        return BookFigures(
            swaps={status.value: by_status.get(status.value, 0) for status in Status},
            frozen=await self._count(m.Swap.frozen_at.is_not(None)),
            disputes=await self._count(m.Dispute.state == DisputeState.OPEN.value),
            effects={(kind, state): count for kind, state, count in await self._connection.execute(states)},
            deadlines=await self._nearest(wanted & ~mined),
            unsent=await self._nearest(wanted & m.Effect.state.in_(_UNSENT)),
            fees_paid=await self._pairs(fees),
            leases=await self._count(m.Swap.leased_by.is_not(None) & (m.Swap.leased_until > unix_now())),
            due=await self._count(m.Swap.watched & (m.Swap.next_due_at <= now)),
            requests=await self._count(m.Request.state.in_(_UNANSWERED)),
            heights=await self._pairs(select(m.Cursor.chain, m.Cursor.height)),
            deliveries={state.value: deliveries.get(state.value, 0) for state in UNDELIVERED},
        )

    async def _count(self, which: ColumnElement[bool]) -> int:
        return int((await self._connection.execute(select(func.count()).where(which))).scalar_one())

    async def _pairs(self, query: Query) -> dict[str, Any]:
        return {row[0]: row[1] for row in await self._connection.execute(query)}

    async def _nearest(self, which: ColumnElement[bool]) -> dict[str, int]:
        query = select(m.Effect.kind, func.min(m.Effect.deadline)).where(which).group_by(m.Effect.kind)
        return await self._pairs(query)
