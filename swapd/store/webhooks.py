"""Who wants to be told of events, and what is on its way to them: the questions. `deliveries.py` writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, RowMapping, func, or_, select

from swapd.errors import Invalid, SwapdError
from swapd.store import audit
from swapd.store import models as m
from swapd.store.asking import Asking, Query
from swapd.store.clock import unix_now
from swapd.store.codec import loads
from swapd.store.errors import DamagedRow, NotHere
from swapd.store.events import Event, Sight, visible
from swapd.store.sealing import Sealer, unseal


class DeliveryState(StrEnum):
    WAITING = "waiting"
    """It is sent as soon as its time has come."""
    HELD = "held"
    """An earlier event of its swap was not delivered yet."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Tried for the last time. It holds what comes after it of its swap, until it is replayed."""


COLLECT_SPAN = 500
"""Audit entries that one transaction goes through: some milliseconds, in which on SQLite nobody else writes."""

UNDELIVERED: tuple[DeliveryState, ...] = (DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.DEAD)


@dataclass(frozen=True)
class WebhookRow:
    """owner: the tenant of whose swaps it hears; "" is the house, which hears of all. types: none is all. cursor: the
    last audit entry that was looked at for it. both_until: Unix seconds until which the secret before signs too."""

    id: str
    owner: str
    url: str
    types: tuple[str, ...]
    cursor: int
    paused: bool
    created_at: int
    both_until: int


@dataclass(frozen=True)
class DeliveryRow:
    """seq: the event's id. tries: made so far. next_try_at: Unix seconds; 0 is at once. answer: the last HTTP status,
    None if there was none. error: why the last try failed, in words."""

    id: str
    webhook_id: str
    seq: int
    swap_id: str | None
    type: str
    state: DeliveryState
    tries: int
    next_try_at: int
    answer: int | None
    error: str
    created_at: int
    updated_at: int


@dataclass(frozen=True)
class Parcel:
    """A delivery that its taker has to send now. fence: to be shown with what came of it. secrets: all that sign it."""

    id: str
    webhook_id: str
    owner: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    event: Event
    tries: int
    fence: int


class WebhookReading(Asking):
    async def webhook(self, webhook_id: str, owner: str | None = None) -> WebhookRow:
        """Raises Invalid for one that is not here, or not this owner's: the same words for both."""
        row = await self._one(select(m.Webhook.__table__).where(m.Webhook.id == webhook_id))
        if row is None or owner not in (None, row["owner"]):
            raise no_such_webhook(webhook_id)
        return to_webhook(row)

    async def webhooks(self, owner: str | None = None) -> list[WebhookRow]:
        """Oldest first; of one owner or of all."""
        query = select(m.Webhook.__table__).order_by(m.Webhook.created_at, m.Webhook.id)
        if owner is not None:
            query = query.where(m.Webhook.owner == owner)
        return [to_webhook(row) for row in await self._all(query)]

    async def undelivered(self, webhook_ids: Iterable[str]) -> dict[str, dict[DeliveryState, int]]:
        """By webhook, how many deliveries wait, are held, and are dead."""
        ids = list(webhook_ids)
        query = (
            select(m.Delivery.webhook_id, m.Delivery.state, func.count().label("number"))
            .where(m.Delivery.webhook_id.in_(ids), m.Delivery.state != DeliveryState.DELIVERED)
            .group_by(m.Delivery.webhook_id, m.Delivery.state)
        )
        counts = {each: dict.fromkeys(UNDELIVERED, 0) for each in ids}
        for row in await self._all(query):
            counts[row["webhook_id"]][DeliveryState(row["state"])] = row["number"]
        return counts

    async def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, after: int = 0, limit: int = 50
    ) -> list[DeliveryRow]:
        """In the order of their events. after: the event of the last one of the page before."""
        query = select(m.Delivery.__table__).where(m.Delivery.webhook_id == webhook_id, m.Delivery.seq > after)
        if state is not None:
            query = query.where(m.Delivery.state == state)
        return [to_delivery(row) for row in await self._all(query.order_by(m.Delivery.seq).limit(limit))]

    async def webhooks_behind(self) -> list[str]:
        """Those for which there is something in the chain behind their cursors. Where there is nothing yet, the cursor
        is left to lag a while: to move it is a write, and entries come all the time."""
        head = (await audit.last(self._connection)).seq
        behind = select(m.Webhook.__table__).where(m.Webhook.cursor < head, *served())
        hooks = [to_webhook(row) for row in await self._all(behind.order_by(m.Webhook.cursor))]
        return [hook.id for hook in hooks if head - hook.cursor >= COLLECT_SPAN or await self._has_news(hook)]

    async def _has_news(self, hook: WebhookRow) -> bool:
        return bool(await self._all(news_of(hook, hook.cursor + COLLECT_SPAN).limit(1)))

    async def webhooks_due(self) -> list[str]:
        """Those for which something could be sent at this moment."""
        due = (
            select(m.Delivery.webhook_id)
            .join(m.Webhook, m.Webhook.id == m.Delivery.webhook_id)
            .where(
                m.Delivery.state == DeliveryState.WAITING,
                m.Delivery.next_try_at <= unix_now(),
                m.Delivery.leased_until <= unix_now(),
                *served(),
            )
        )
        return list(await self._connection.scalars(due.distinct()))


def served() -> tuple[ColumnElement[bool], ...]:
    """Of webhooks to which anything is sent: not paused, and the house's or of a tenant whose key is good. One that was
    revoked must hear nothing more; one that has expired goes on from where it stood when it is renewed."""
    good = select(m.ApiKey.id).where(
        m.ApiKey.name == m.Webhook.owner,
        m.ApiKey.revoked_at.is_(None),
        or_(m.ApiKey.expires_at.is_(None), m.ApiKey.expires_at > unix_now()),
    )
    return m.Webhook.paused.is_(False), or_(m.Webhook.owner == "", good.correlate(m.Webhook).exists())


def news_of(hook: WebhookRow, to: int) -> Query:
    """The entries from behind its cursor up to this one that it is told of."""
    sight = Sight(hook.owner or None, frozenset(hook.types))
    return visible(sight, ping=hook.id).where(m.Audit.seq > hook.cursor, m.Audit.seq <= to)


def to_webhook(row: RowMapping) -> WebhookRow:
    with_types = {**row, "types": _types(row)}
    columns = ("id", "owner", "url", "types", "cursor", "paused", "created_at")
    return WebhookRow(**{name: with_types[name] for name in columns}, both_until=row["previous_until"])


def to_delivery(row: RowMapping) -> DeliveryRow:
    columns = ("id", "webhook_id", "seq", "type", "tries", "next_try_at", "answer", "error", "created_at", "updated_at")
    try:
        state = DeliveryState(row["state"])
    except ValueError as error:
        raise DamagedRow("deliveries", row["id"], str(error)) from error
    return DeliveryRow(**{name: row[name] for name in columns}, state=state, swap_id=row["queue"] or None)


def secrets_of(row: RowMapping, sealer: Sealer, now: int) -> tuple[bytes, ...]:
    """All that sign at this moment, the newest first. Raises `DamagedRow` for a webhook that somebody planted, or whose
    URL or owner somebody changed."""
    sealed = [(secret_place(row["id"], row["owner"], row["url"]), row["secret"])]
    if row["previous"] is not None and now < row["previous_until"]:
        sealed.append((previous_place(row["id"], row["owner"], row["url"]), row["previous"]))
    try:
        return tuple(unseal(sealer, place, bytes(secret)) for place, secret in sealed)
    except SwapdError as error:
        raise DamagedRow("webhooks", row["id"], str(error)) from error


def secret_place(webhook_id: str, owner: str, url: str) -> str:
    return f"webhooks/{webhook_id}/{owner}/{url}"


def previous_place(webhook_id: str, owner: str, url: str) -> str:
    return f"previous webhooks/{webhook_id}/{owner}/{url}"


def no_such_webhook(webhook_id: str) -> Invalid:
    return NotHere("webhook", webhook_id, "the id of a webhook in this database")


def _types(row: RowMapping) -> tuple[str, ...]:
    try:
        return loads(tuple[str, ...], row["types"])
    except SwapdError as error:
        raise DamagedRow("webhooks", row["id"], str(error)) from error
