"""The few questions that are asked. All answers of one `Reading` are of one moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import ColumnElement, RowMapping, Select, and_, func, or_, select, tuple_, union

from swapd.chains.base import Cursor, TxState
from swapd.errors import Invalid, SwapdError
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import ENDED, Status
from swapd.protocol.terms import Wallet
from swapd.store import audit
from swapd.store import models as m
from swapd.store.asking import Asking, Query
from swapd.store.codec import loads
from swapd.store.errors import DamagedRow, NotHere
from swapd.store.records import (
    AuditEntry,
    AuditHead,
    EffectRow,
    EffectState,
    Found,
    FoundRequests,
    RequestRow,
    RequestState,
    SwapRow,
)
from swapd.store.remembered import STAMP, id_in
from swapd.store.rows import to_effect, to_request, to_swap

NEXT_INDEX = "next_index"
_ENDED = [state.value for state in EffectState if state.ended]
_SETTLED = [TxState.MINED.value, TxState.FAILED.value, TxState.REPLACED.value]
_UNPAID = (LegState.UNKNOWN, LegState.ABSENT)
GOING = m.Swap.status.in_([each.value for each in Status if each not in ENDED])
"""Those that have not ended are few, and an index finds them."""
_NEWEST_FIRST = (m.Swap.created_at.desc(), m.Swap.id.desc())
MANY = 500
"""Of which not each is named in a query: databases take some thousand parameters."""

_BROKERED = "%".join(["", *2 * [f'"funded_by":"{Wallet.EXTERNAL}"'], ""])
"""Terms as they are written (`codec.canonical`) of which others fund both legs. No value can look like it: a quotation
mark in a value is escaped."""


def promised(swaps: Iterable[SwapRow], now: int) -> dict[str, int]:
    """See `SwapReading.reserved`."""
    total: dict[str, int] = defaultdict(int)
    for swap in swaps:
        for leg in swap.terms.legs:
            row = swap.legs[leg.role]
            hot = leg.funded_by is Wallet.HOT and row.view.state in _UNPAID
            if hot and now <= leg.terms.fund_by and (row.lock_sent or not swap.memory.called_off):
                total[leg.terms.asset.symbol] += leg.terms.amount
    return dict(total)


class SwapReading(Asking):
    """About swaps, what was signed for them, requests for them, chains and the audit chain."""

    # -- swaps

    async def swap(self, swap_id: str) -> SwapRow:
        """Raises Invalid for a swap that is not here, `DamagedRow` for one that cannot be trusted."""
        return _the(await self._swaps(select(m.Swap.id).where(m.Swap.id == swap_id)), swap_id)

    async def known(self, swap_id: str) -> SwapRow:
        """As `swap`, but not read again if it has not changed since this process read it: to be shown, not to decide
        by."""
        return _the(await self._changed(m.Swap.id == swap_id), swap_id)

    async def knows(self, swap_id: str) -> bool:
        """Whether it is here, readable or not."""
        return await self._one(select(m.Swap.id).where(m.Swap.id == swap_id)) is not None

    async def swaps(
        self,
        *,
        status: Iterable[Status] | None = None,
        owner: str | None = None,
        frozen: bool | None = None,
        before: tuple[int, str] | None = None,
        limit: int = 50,
    ) -> Found:
        """Newest first. owner: of this tenant alone. before: creation and id of the last swap of the page before."""
        ids = select(m.Swap.id).order_by(*_NEWEST_FIRST).limit(limit)
        if owner is not None:
            ids = ids.where(m.Swap.owner == owner)
        if frozen is not None:
            ids = ids.where(m.Swap.frozen_at.is_not(None) if frozen else m.Swap.frozen_at.is_(None))
        if status is not None:
            ids = ids.where(m.Swap.status.in_(list(status)))
        if before is not None:
            ids = ids.where(tuple_(m.Swap.created_at, m.Swap.id) < before)
        return await self._changed(m.Swap.id.in_(ids))

    async def open_swaps(self, chain: str | None = None) -> Found:
        """Everything that still has to be watched, of one chain or of all."""
        found = await self._changed(and_(m.Swap.watched))
        if self._remembered is not None:
            self._remembered.keep_only(found.swaps)
        return (
            found
            if chain is None
            else Found(tuple(row for row in found.swaps if chain in row.legs_by_chain), found.damaged)
        )

    async def count_going(self) -> int:
        """How many have not ended. What has is still watched for a while (rule S12), and holds nothing up."""
        return int((await self._connection.execute(select(func.count(m.Swap.id)).where(GOING))).scalar_one())

    async def at_stake(self) -> Found:
        """Of those that swapd's own wallets fund a leg of, or that can not be read: everything that has not ended, and
        what has while a leg may still be paid for."""
        unpaid = m.Swap.id.in_(select(m.Leg.swap_id).where(m.Leg.state.in_(_UNPAID)))
        damaged = m.Swap.status.not_in([each.value for each in Status])
        found = union(
            *(select(m.Swap.id).where(which) for which in (GOING, damaged, and_(m.Swap.watched, unpaid)))
        ).subquery()
        ours = m.Swap.terms.not_like(_BROKERED)
        return await self._swaps(select(m.Swap.id).where(m.Swap.id.in_(select(found.c.id)), ours))

    async def peek_index(self, floor: int = 0) -> int:
        """The index that the next swap would get, at least `floor`. Nothing is taken by asking."""
        stored = await self.meta(NEXT_INDEX) or "0"
        if not stored.isdigit():
            raise DamagedRow("meta", NEXT_INDEX, f"{stored!r} is no number")
        return max(floor, int(stored))

    async def reserved(self, now: int) -> dict[str, int]:
        """By asset symbol, what swapd's own wallets have promised to legs and not paid yet, but may still.

        Network fees are not in it. A damaged swap stops the count (`DamagedRow`): it blocks new swaps, not old ones.
        """
        return promised((await self.at_stake()).whole(), now)

    # -- outbox

    async def effects(self, swap_id: str) -> tuple[EffectRow, ...]:
        """All effects of a swap, wanted and not, oldest first. One that can not be read is left out (see `damage`): the
        next decision writes it anew if it is wanted."""
        return (await self._effects(m.Effect.swap_id == swap_id))[0]

    async def effect(self, effect_id: int) -> EffectRow:
        found, damaged = await self._effects(m.Effect.id == effect_id)
        if damaged:
            raise damaged[0]
        if not found:
            raise NotHere("effect", effect_id, "the id of an effect in this database")
        return found[0]

    async def damage(self) -> tuple[DamagedRow, ...]:
        """Every row of what is open that can not be what swapd wrote."""
        found = await self.open_swaps()
        watched = m.Effect.swap_id.in_(select(m.Swap.id).where(m.Swap.watched))
        effects, broken = await self._effects(watched)
        requests = await self._requests(select(m.Request.__table__))
        attempts = [each for effect in effects for each in effect.damaged]
        return (*found.damaged, *broken, *attempts, *requests.damaged)

    async def sequences(self, chain: str, first: int) -> set[int]:
        """Of everything that was ever signed here: the places from this one on in the account's order."""
        query = (
            select(m.Transaction.sequence)
            .join(m.Effect, m.Effect.id == m.Transaction.effect_id)
            .join(m.Leg, (m.Leg.swap_id == m.Effect.swap_id) & (m.Leg.role == m.Effect.role))
            .where(m.Leg.chain == chain, m.Transaction.sequence >= first)
        )
        found = (await self._connection.execute(query)).scalars()
        return {sequence for sequence in found if sequence is not None}

    async def next_place(self, chain: str, account: str) -> int | None:
        """What `next_sequence` goes by; None before the first."""
        query = select(m.Account.next_sequence).where(m.Account.chain == chain, m.Account.account == account)
        return (await self._connection.execute(query)).scalar_one_or_none()

    async def unfinished(self, limit: int = 1000) -> list[str]:
        """Ids of swaps with effects wanted and not done, or signed and not wanted any more; most urgent first."""
        deadline = func.min(m.Effect.deadline)
        ids = (
            select(m.Effect.swap_id)
            .where(m.Effect.state.not_in(_ENDED), m.Effect.wanted | (m.Effect.state != EffectState.WANTED))
            .group_by(m.Effect.swap_id)
            .order_by(deadline, m.Effect.swap_id)
            .limit(limit)
        )
        return list(await self._connection.scalars(ids))

    async def earliest_deadline(self, chain: str, behind: int) -> int | None:
        """Of everything that is wanted on this chain, not done, and signed for a place behind this one in the account's
        order: the time by which the most urgent should be in a block. None if nothing waits there."""
        query = (
            select(func.min(m.Effect.deadline))
            .join(m.Leg, (m.Leg.swap_id == m.Effect.swap_id) & (m.Leg.role == m.Effect.role))
            .join(m.Transaction, m.Transaction.effect_id == m.Effect.id)
            .where(
                m.Leg.chain == chain,
                m.Effect.wanted,
                m.Effect.state.not_in(_ENDED),
                m.Transaction.sequence > behind,
                or_(m.Transaction.fate.is_(None), m.Transaction.fate.not_in(_SETTLED)),
            )
        )
        return (await self._connection.execute(query)).scalar_one()

    async def lock_under_way(self, swap_id: str) -> bool:
        """Whether a lock of swapd's own was sent, and it is not final yet what became of it (rule S12)."""
        query = select(m.Effect.id).where(
            m.Effect.swap_id == swap_id,
            m.Effect.kind == EffectKind.LOCK,
            m.Effect.state.not_in(_ENDED),
            m.Effect.state != EffectState.WANTED,
        )
        return (await self._connection.execute(query)).first() is not None

    # -- requests

    async def request(self, chain: str, ref: str) -> RequestRow | None:
        row = await self._one(select(m.Request.__table__).where(m.Request.chain == chain, m.Request.ref == ref))
        return None if row is None else to_request(row, self._sealer)

    async def request_for(self, swap_id: str) -> RequestRow | None:
        """The request that this swap was made for."""
        row = await self._one(select(m.Request.__table__).where(m.Request.swap_id == swap_id))
        return None if row is None else to_request(row, self._sealer)

    async def unanswered(self, swap_id: str) -> bool:
        """Whether the swap was made for a request whose answer does not stand on its chain."""
        row = await self._one(select(m.Request.state).where(m.Request.swap_id == swap_id))
        return row is not None and row["state"] != RequestState.ANSWERED

    async def open_requests(self, chain: str, state: RequestState, limit: int = 1000) -> FoundRequests:
        """Those in this state, oldest first."""
        query = select(m.Request.__table__).where(m.Request.chain == chain, m.Request.state == state)
        return await self._requests(query.order_by(m.Request.asked_at, m.Request.ref).limit(limit))

    async def requests(self, *, states: Iterable[RequestState] | None = None, limit: int = 50) -> FoundRequests:
        """Newest first, of all chains."""
        query = select(m.Request.__table__).order_by(m.Request.asked_at.desc(), m.Request.ref).limit(limit)
        if states is not None:
            query = query.where(m.Request.state.in_(list(states)))
        return await self._requests(query)

    # -- chains, audit, meta

    async def cursor(self, chain: str) -> Cursor | None:
        row = await self._one(select(m.Cursor.__table__).where(m.Cursor.chain == chain))
        if row is None:
            return None
        try:
            return Cursor(int(row["height"]), row["hash"], loads(tuple[tuple[int, str], ...], row["trail"]))
        except (SwapdError, ValueError) as error:
            raise DamagedRow("cursors", chain, str(error)) from error

    async def audit_trail(
        self,
        swap_id: str | None = None,
        *,
        actor: str | None = None,
        event: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[AuditEntry]:
        """Entries after number `after`, oldest first; of one swap or of all, by one actor, of one kind."""
        query = select(m.Audit.__table__).where(m.Audit.seq > after).order_by(m.Audit.seq).limit(limit)
        for column, value in ((m.Audit.swap_id, swap_id), (m.Audit.actor, actor), (m.Audit.event, event)):
            if value is not None:
                query = query.where(column == value)
        return [AuditEntry(**row) for row in await self._all(query)]

    async def verify_audit(self, known: AuditHead = audit.GENESIS) -> AuditHead:
        """Walk the audit chain; raises `AuditBroken`. known: an earlier head, kept elsewhere."""
        return await audit.verify(self._connection, known)

    async def meta(self, key: str) -> str | None:
        row = await self._one(select(m.Meta.value).where(m.Meta.key == key))
        return None if row is None else str(row["value"])

    # -- inside

    async def _changed(self, which: ColumnElement[bool]) -> Found:
        """As `_swaps`, but what has not changed since this process read it is not read again (`remembered`)."""
        ids = select(m.Swap.id).where(which)
        if self._remembered is None:
            return await self._swaps(ids)
        now = (await self._connection.scalars(select(STAMP).where(which).order_by(*_NEWEST_FIRST))).all()
        known = self._remembered.of(now)
        changed = [id_in(stamp) for stamp, row in zip(now, known, strict=True) if row is None]
        if not changed:
            return Found(tuple(row for row in known if row is not None))
        found = await self._swaps(ids if len(changed) > MANY else select(m.Swap.id).where(m.Swap.id.in_(changed)))
        self._remembered.keep(row for row in found.swaps if row.watched)
        fresh = {row.id: row for row in found.swaps}
        rows = (row or fresh.get(id_in(stamp)) for stamp, row in zip(now, known, strict=True))
        return Found(tuple(row for row in rows if row is not None), found.damaged)

    async def _swaps(self, ids: Select[str]) -> Found:
        swaps = await self._all(select(m.Swap.__table__).where(m.Swap.id.in_(ids)).order_by(*_NEWEST_FIRST))
        if not swaps:
            return Found(())
        legs = await self._grouped(select(m.Leg.__table__).where(m.Leg.swap_id.in_(ids)), "swap_id")
        sightings = await self._grouped(
            select(m.Sighting.__table__).where(m.Sighting.swap_id.in_(ids)).order_by(m.Sighting.id), "swap_id"
        )
        approvals, consents = await self._agreed(swaps)
        good, damaged = [], []
        for number, row in enumerate(swaps):
            if number % 100 == 99:
                await asyncio.sleep(0)  # checking the seals of many takes long enough that others want their turn
            key = row["id"]
            try:
                good.append(to_swap(row, legs[key], sightings[key], approvals[key], consents[key], self._sealer))
            except DamagedRow as error:
                damaged.append(error)
        return Found(tuple(good), tuple(damaged))

    async def _agreed(self, swaps: list[RowMapping]) -> tuple[defaultdict[str, list[RowMapping]], ...]:
        """Approvals and consents, of the few swaps that have any."""
        approved = [row["id"] for row in swaps if row["approved"]]
        forced = [row["id"] for row in swaps if row["forced_at"] is not None]
        approvals = select(m.Approval.__table__).where(m.Approval.swap_id.in_(approved))
        consents = select(m.Consent.__table__).where(m.Consent.swap_id.in_(forced))
        nothing: defaultdict[str, list[RowMapping]] = defaultdict(list)
        return (
            await self._grouped(approvals, "swap_id") if approved else nothing,
            await self._grouped(consents, "swap_id") if forced else nothing,
        )

    async def _effects(self, which: ColumnElement[bool]) -> tuple[tuple[EffectRow, ...], tuple[DamagedRow, ...]]:
        effects = await self._all(select(m.Effect.__table__).where(which).order_by(m.Effect.id))
        if not effects:
            return (), ()
        attempts = await self._grouped(
            select(m.Transaction.__table__).join(m.Effect).where(which).order_by(m.Transaction.attempt), "effect_id"
        )
        good, damaged = [], []
        for row in effects:
            try:
                good.append(to_effect(row, attempts[row["id"]], self._sealer))
            except DamagedRow as error:
                damaged.append(error)
        return tuple(good), tuple(damaged)

    async def _requests(self, query: Query) -> FoundRequests:
        good, damaged = [], []
        for row in await self._all(query):
            try:
                good.append(to_request(row, self._sealer))
            except DamagedRow as error:
                damaged.append(error)
        return FoundRequests(tuple(good), tuple(damaged))


def _the(found: Found, swap_id: str) -> SwapRow:
    if found.damaged:
        raise found.damaged[0]
    if not found.swaps:
        raise no_such_swap(swap_id)
    return found.swaps[0]


def no_such_swap(swap_id: str) -> Invalid:
    return NotHere("swap", swap_id, "the id of a swap in this database")
