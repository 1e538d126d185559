"""Writing about webhooks: making them, putting events on their way, and what came of each try.

From the audit chain to the outside nothing is lost and nothing is made twice: one transaction reads the entries behind
a webhook's cursor, writes a delivery for each that it wants to hear of, and moves the cursor. Of each swap one delivery
at a time can be taken, the oldest; who took it has a lease, and after that a fence that no longer fits. The webhook's
row is locked by whoever adds deliveries or ends one, so that none is held behind one that has just gone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, func, insert, select, update

from swapd.errors import Rejected
from swapd.store import audit
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import dumps
from swapd.store.errors import LeaseLost
from swapd.store.events import PING, Sight, to_event
from swapd.store.records import AuditEntry
from swapd.store.sealing import seal
from swapd.store.webhooks import (
    COLLECT_SPAN,
    DeliveryState,
    Parcel,
    WebhookReading,
    WebhookRow,
    news_of,
    no_such_webhook,
    previous_place,
    secret_place,
    secrets_of,
    to_webhook,
)
from swapd.store.writing import Writing

_PURGE = 500
"""Rows deleted by one transaction: see `COLLECT_SPAN`."""


class WebhookWriting(Writing, WebhookReading):
    # -- webhooks

    async def add_webhook(
        self, owner: str, url: str, types: Sequence[str], secret: bytes, *, most_of_owner: int, most: int
    ) -> WebhookRow:
        """It hears of what happens from now on. Raises Invalid for a type that does not exist, Rejected when there are
        too many."""
        Sight(types=frozenset(types))
        for which, bound in ((m.Webhook.owner == owner, most_of_owner), (m.Webhook.id.is_not(None), most)):
            there = (await self._connection.execute(select(func.count()).select_from(m.Webhook).where(which))).scalar()
            if (there or 0) >= bound:
                raise Rejected(f"there are {there} webhooks already, and no more than {bound} are allowed")
        webhook_id = f"wh_{secrets.token_hex(8)}"
        row = insert(m.Webhook).values(
            id=webhook_id,
            owner=owner,
            url=url,
            types=dumps(tuple(sorted(set(types)))),
            secret=seal(self._sealer, secret_place(webhook_id, owner, url), secret),
            previous_until=0,
            cursor=(await audit.last(self._connection)).seq,
            paused=False,
            created_at=unix_now(),
        )
        await self._connection.execute(row)
        self.audit("webhook added", None, webhook=webhook_id, owner=owner, types=[*sorted(set(types))])
        return await self.webhook(webhook_id)

    async def delete_webhook(self, webhook_id: str) -> None:
        """With all that was on its way to it."""
        await self._locked(webhook_id)
        await self._connection.execute(delete(m.Delivery).where(m.Delivery.webhook_id == webhook_id))
        await self._connection.execute(delete(m.Webhook).where(m.Webhook.id == webhook_id))
        self.audit("webhook deleted", None, webhook=webhook_id)

    async def pause_webhook(self, webhook_id: str) -> None:
        """Nothing is sent to it, and nothing is lost: it goes on from where it stood."""
        await self._set_paused(webhook_id, True)

    async def resume_webhook(self, webhook_id: str) -> None:
        """What waits for another try is tried at once."""
        await self._set_paused(webhook_id, False)
        await self._connection.execute(
            update(m.Delivery)
            .where(m.Delivery.webhook_id == webhook_id, m.Delivery.state == DeliveryState.WAITING)
            .values(next_try_at=0)
        )

    async def rotate_webhook(self, webhook_id: str, secret: bytes, both_seconds: int) -> None:
        """A new secret. For so long the one before signs too, so that the receiver can change over."""
        row = await self._locked(webhook_id)
        (before, *_) = secrets_of(row, self._sealer, 0)
        at = (row["id"], row["owner"], row["url"])
        await self._connection.execute(
            update(m.Webhook)
            .where(m.Webhook.id == webhook_id)
            .values(
                secret=seal(self._sealer, secret_place(*at), secret),
                previous=seal(self._sealer, previous_place(*at), before),
                previous_until=unix_now() + both_seconds,
            )
        )
        self.audit("webhook secret rotated", None, webhook=webhook_id)

    async def ping_webhook(self, webhook_id: str) -> None:
        """Send it an event that is there to be received, by the way that all go."""
        if to_webhook(await self._locked(webhook_id)).paused:
            raise Rejected(f"webhook {webhook_id} is paused")
        self.audit(PING.said, None, webhook=webhook_id)

    # -- deliveries

    async def collect(self, webhook_id: str) -> None:
        """Put the next events on their way to a webhook. Nothing, if another worker does so at this moment."""
        query = select(m.Webhook.__table__).where(m.Webhook.id == webhook_id, m.Webhook.paused.is_(False))
        row = await self._one(query.with_for_update(skip_locked=True))
        if row is None:
            return
        hook = to_webhook(row)
        to = min(hook.cursor + COLLECT_SPAN, (await audit.last(self._connection)).seq)
        await self._add(hook, [AuditEntry(**each) for each in await self._all(news_of(hook, to))])
        await self._connection.execute(update(m.Webhook).where(m.Webhook.id == webhook_id).values(cursor=to))

    async def take_deliveries(self, webhook_id: str, worker: str, seconds: int, limit: int) -> list[Parcel]:
        """What is to be sent to a webhook now, for this worker alone for so long. Commit before sending. Raises
        `DamagedRow` for a webhook that swapd did not make."""
        row = await self._one(select(m.Webhook.__table__).where(m.Webhook.id == webhook_id))
        if row is None:
            return []
        now = (await self._connection.execute(select(unix_now()))).scalar_one()
        keys = secrets_of(row, self._sealer, now)
        due = (
            select(m.Delivery.id)
            .where(
                m.Delivery.webhook_id == webhook_id,
                m.Delivery.state == DeliveryState.WAITING,
                m.Delivery.next_try_at <= now,
                m.Delivery.leased_until <= now,
            )
            .order_by(m.Delivery.next_try_at, m.Delivery.seq)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        taken = (
            update(m.Delivery)
            .where(m.Delivery.id.in_(select(due.c.id)), m.Delivery.leased_until <= now)
            .values(leased_by=worker, leased_until=now + seconds, fence=m.Delivery.fence + 1)
            .returning(m.Delivery.id, m.Delivery.seq, m.Delivery.tries, m.Delivery.fence)
        )
        rows = {each.seq: each for each in await self._connection.execute(taken)}
        entries = await self._all(select(m.Audit.__table__).where(m.Audit.seq.in_(rows)).order_by(m.Audit.seq))
        return [
            Parcel(
                id=rows[entry["seq"]].id,
                webhook_id=webhook_id,
                owner=row["owner"],
                url=row["url"],
                secrets=keys,
                event=to_event(AuditEntry(**entry)),
                tries=rows[entry["seq"]].tries,
                fence=rows[entry["seq"]].fence,
            )
            for entry in entries
        ]

    async def delivered(self, parcel: Parcel, answer: int) -> None:
        """It was taken: the next of its swap may go. Raises `LeaseLost` if somebody else has it now."""
        await self._try_ended(parcel, DeliveryState.DELIVERED, answer, "", 0)
        queue = parcel.event.swap_id
        if queue is None:
            return
        held = select(func.min(m.Delivery.seq)).where(
            m.Delivery.webhook_id == parcel.webhook_id,
            m.Delivery.queue == queue,
            m.Delivery.state == DeliveryState.HELD,
        )
        await self._connection.execute(
            update(m.Delivery)
            .where(m.Delivery.webhook_id == parcel.webhook_id, m.Delivery.seq == held.scalar_subquery())
            .values(state=DeliveryState.WAITING, updated_at=unix_now())
        )

    async def not_delivered(self, parcel: Parcel, answer: int | None, error: str, retry_in: int | None) -> None:
        """It is tried again in so many seconds; None: never, unless somebody replays it. error: without a secret.
        Raises `LeaseLost` if somebody else has it now."""
        state = DeliveryState.DEAD if retry_in is None else DeliveryState.WAITING
        await self._try_ended(parcel, state, answer, error, retry_in or 0)

    async def replay(self, webhook_id: str, delivery_id: str | None = None) -> int:
        """Try dead letters again as if they were new, one or all; returns how many. Raises Rejected if the one that was
        named is not dead."""
        await self._locked(webhook_id)
        which = update(m.Delivery).where(m.Delivery.webhook_id == webhook_id, m.Delivery.state == DeliveryState.DEAD)
        if delivery_id is not None:
            which = which.where(m.Delivery.id == delivery_id)
        values = {"state": DeliveryState.WAITING, "tries": 0, "next_try_at": 0, "updated_at": unix_now()}
        count = (await self._connection.execute(which.values(**values))).rowcount
        if delivery_id is not None and not count:
            raise Rejected(f"webhook {webhook_id} has no dead delivery {delivery_id}")
        if count:
            self.audit("webhook replayed", None, webhook=webhook_id, deliveries=count)
        return count

    async def release_deliveries(self, worker: str) -> None:
        """A worker that starts sends nothing: what it had taken before a crash is free at once."""
        await self._connection.execute(
            update(m.Delivery)
            .where(m.Delivery.leased_by == worker)
            .values(leased_by=None, leased_until=0, fence=m.Delivery.fence + 1)
        )

    async def purge_deliveries(self, seconds: int) -> int:
        """Forget some of those that arrived longer ago than that; returns how many."""
        old = (
            select(m.Delivery.id)
            .where(m.Delivery.state == DeliveryState.DELIVERED, m.Delivery.next_try_at < unix_now() - seconds)
            .limit(_PURGE)
        )
        return (await self._connection.execute(delete(m.Delivery).where(m.Delivery.id.in_(old)))).rowcount

    # -- inside

    async def _locked(self, webhook_id: str) -> RowMapping:
        row = await self._one(select(m.Webhook.__table__).where(m.Webhook.id == webhook_id).with_for_update())
        if row is None:
            raise no_such_webhook(webhook_id)
        return row

    async def _set_paused(self, webhook_id: str, paused: bool) -> None:
        if to_webhook(await self._locked(webhook_id)).paused is paused:
            return
        await self._connection.execute(update(m.Webhook).where(m.Webhook.id == webhook_id).values(paused=paused))
        self.audit("webhook paused" if paused else "webhook resumed", None, webhook=webhook_id)

    async def _add(self, hook: WebhookRow, entries: Sequence[AuditEntry]) -> None:
        undelivered = (
            select(m.Delivery.queue)
            .where(
                m.Delivery.webhook_id == hook.id,
                m.Delivery.queue.in_({entry.swap_id for entry in entries if entry.swap_id}),
                m.Delivery.state != DeliveryState.DELIVERED,
            )
            .distinct()
        )
        busy = set(await self._connection.scalars(undelivered)) if entries else set()
        for entry in entries:
            event, queue = to_event(entry), entry.swap_id or ""
            row = insert(m.Delivery).values(
                id=delivery_id(hook.id, entry),
                webhook_id=hook.id,
                seq=entry.seq,
                queue=queue,
                type=event.type,
                state=DeliveryState.HELD if queue in busy else DeliveryState.WAITING,
                tries=0,
                next_try_at=0,
                error="",
                leased_until=0,
                fence=0,
                created_at=unix_now(),
                updated_at=unix_now(),
            )
            await self._connection.execute(row)
            if queue:
                busy.add(queue)

    async def _try_ended(
        self, parcel: Parcel, state: DeliveryState, answer: int | None, error: str, retry_in: int
    ) -> None:
        await self._connection.execute(select(m.Webhook.id).where(m.Webhook.id == parcel.webhook_id).with_for_update())
        changed = await self._connection.execute(
            update(m.Delivery)
            .where(m.Delivery.id == parcel.id, m.Delivery.fence == parcel.fence)
            .values(
                state=state,
                tries=m.Delivery.tries + 1,
                next_try_at=unix_now() + retry_in,
                answer=answer,
                error=error,
                leased_by=None,
                leased_until=0,
                updated_at=unix_now(),
            )
        )
        if changed.rowcount != 1:
            raise LeaseLost(f"delivery {parcel.id} was taken by somebody else, or its webhook was deleted")


def delivery_id(webhook_id: str, entry: AuditEntry) -> str:
    """The same whenever it is made: a database that was restored to an older state delivers some events again, under
    the ids that their receivers know; and what happens anew under an old number has another id."""
    return f"msg_{hashlib.sha256(f'{webhook_id} {entry.hash}'.encode()).hexdigest()[:32]}"
