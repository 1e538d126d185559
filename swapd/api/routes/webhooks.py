"""Webhooks: who wants to be told of events by HTTP, and what became of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from swapd.api.access import Caller, allows
from swapd.api.conditional import TAGGED, tagged
from swapd.api.forms import Form, Listed, Moment, Told, moment, moment_or_none
from swapd.api.paging import Paged
from swapd.api.routes.events import EventType
from swapd.api.service import Service, Serving
from swapd.coordinator.receivers import MOST_URL, Doors, new_secret, shown
from swapd.store import KeyRole, Reading
from swapd.store.codec import Json
from swapd.store.events import TYPES
from swapd.store.webhooks import DeliveryRow, DeliveryState, WebhookRow

router = APIRouter(tags=["webhooks"])

Reader = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.AUDITOR))]
Keeper = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR))]

WebhookId = Annotated[
    str, Path(pattern="^wh_[0-9a-f]{16}$", description="A webhook's id.", examples=["wh_0f3a91c25be07d64"])
]
DeliveryId = Annotated[str, Path(pattern="^msg_[0-9a-f]{32}$", description="A delivery's id: its `Webhook-Id`.")]
WantedTypes = Annotated[
    list[EventType],
    Field(default_factory=list, max_length=len(TYPES), description="Of these types alone; empty: all."),
]


class WebhookForm(Form):
    url: Annotated[str, Field(min_length=1, max_length=MOST_URL, examples=["https://shop.example/hooks/swapd"])]
    types: WantedTypes


class WebhookTold(Told):
    """waiting, held, dead: how many deliveries are tried (again), wait for an earlier one of their swap, are given up.
    previous_secret_until: until then the secret before signs too."""

    id: str
    owner: str
    url: str
    types: list[str]
    paused: bool
    created: Moment
    previous_secret_until: Moment | None
    waiting: int
    held: int
    dead: int


class WebhookWithSecret(Told):
    """secret: shown this once and never again."""

    webhook: WebhookTold
    secret: str


class DeliveryTold(Told):
    """id: the `Webhook-Id` under which it goes out at every try. event: the event's id. answer: the last HTTP status.
    error: why the last try failed, "" if it did not."""

    id: str
    event: int
    type: str
    swap_id: str | None
    state: DeliveryState
    tries: int
    next_try: Moment | None
    answer: int | None
    error: str
    created: Moment
    updated: Moment


class Replayed(Told):
    """How many dead letters are tried again."""

    deliveries: int


@router.get("/v1/webhooks")
async def list_webhooks(service: Serving, caller: Reader, page: Paged) -> Listed[WebhookTold]:
    """Oldest first. A marketplace sees its own."""
    async with service.house.store.read() as reading:
        found = await reading.webhooks(None if caller.of_the_house else caller.tenant)
        if page.position is not None:
            found = [row for row in found if _place(row) > page.position]
        shown_now = found[: page.limit]
        items = await _told(reading, shown_now, service.house.clock())
    more = len(found) > page.limit
    return Listed(items=items, next=page.cursor(*_place(shown_now[-1])) if more else None)


@router.post("/v1/webhooks", status_code=201)
async def add_webhook(form: WebhookForm, service: Serving, caller: Keeper) -> WebhookWithSecret:
    """Be told of what happens from now on. The secret is in this answer and nowhere else; lost, it is rotated."""
    Doors(service.settings.daemon.trusted_hosts).check(form.url, house=caller.of_the_house)
    secret, bounds = new_secret(), service.settings.webhooks
    async with service.house.store.write(caller.actor) as writing:
        row = await writing.add_webhook(
            caller.tenant,
            form.url,
            form.types,
            secret,
            most_of_owner=bounds.most_per_owner,
            most=bounds.most,
        )
        (webhook,) = await _told(writing, [row], service.house.clock())
    return WebhookWithSecret(webhook=webhook, secret=shown(secret))


@router.get("/v1/webhooks/{webhook_id}", response_model=WebhookTold, responses=TAGGED)
async def read_webhook(webhook_id: WebhookId, request: Request, service: Serving, caller: Reader) -> Response:
    """One webhook."""
    return tagged(request, await _webhook(service, caller, webhook_id))


@router.delete("/v1/webhooks/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: WebhookId, service: Serving, caller: Keeper) -> None:
    """Gone, with all that was on its way to it."""
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        await writing.delete_webhook(webhook_id)


@router.post("/v1/webhooks/{webhook_id}/pause")
async def pause_webhook(webhook_id: WebhookId, service: Serving, caller: Keeper) -> WebhookTold:
    """Nothing is sent, and nothing is lost. Again changes nothing."""
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        await writing.pause_webhook(webhook_id)
    return await _webhook(service, caller, webhook_id)


@router.post("/v1/webhooks/{webhook_id}/resume")
async def resume_webhook(webhook_id: WebhookId, service: Serving, caller: Keeper) -> WebhookTold:
    """It goes on from where it stood, and what waits for another try is tried at once."""
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        await writing.resume_webhook(webhook_id)
    return await _webhook(service, caller, webhook_id)


@router.post("/v1/webhooks/{webhook_id}/ping", status_code=202)
async def ping_webhook(webhook_id: WebhookId, service: Serving, caller: Keeper) -> WebhookTold:
    """Send it an event of type `webhook.ping`, by the way that all go; see its deliveries for what came of it."""
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        await writing.ping_webhook(webhook_id)
    return await _webhook(service, caller, webhook_id)


@router.post("/v1/webhooks/{webhook_id}/rotate")
async def rotate_webhook(webhook_id: WebhookId, service: Serving, caller: Keeper) -> WebhookWithSecret:
    """A new secret, which signs at once. For `webhooks.rotation_seconds` the old one signs too."""
    secret = new_secret()
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        await writing.rotate_webhook(webhook_id, secret, service.settings.webhooks.rotation_seconds)
    return WebhookWithSecret(webhook=await _webhook(service, caller, webhook_id), secret=shown(secret))


@router.get("/v1/webhooks/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: WebhookId,
    service: Serving,
    caller: Reader,
    page: Paged,
    state: Annotated[DeliveryState | None, Query(description="In this state alone.")] = None,
) -> Listed[DeliveryTold]:
    """In the order of their events. What arrived is forgotten after `webhooks.keep_seconds`."""
    after = page.position[0] if page.position and isinstance(page.position[0], int) else 0
    async with service.house.store.read() as reading:
        await _visible(reading, caller, webhook_id)
        rows = await reading.deliveries(webhook_id, state=state, after=after, limit=page.limit + 1)
    more, rows = rows[page.limit :], rows[: page.limit]
    return Listed(items=[_delivery(row) for row in rows], next=page.cursor(rows[-1].seq) if more else None)


@router.post("/v1/webhooks/{webhook_id}/replay")
async def replay_deliveries(webhook_id: WebhookId, service: Serving, caller: Keeper) -> Replayed:
    """Try all dead letters again, in order."""
    return await _replay(service, caller, webhook_id, None)


@router.post("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay")
async def replay_delivery(webhook_id: WebhookId, delivery_id: DeliveryId, service: Serving, caller: Keeper) -> Replayed:
    """Try one dead letter again."""
    return await _replay(service, caller, webhook_id, delivery_id)


async def _replay(service: Service, caller: Caller, webhook_id: str, delivery_id: str | None) -> Replayed:
    async with service.house.store.write(caller.actor) as writing:
        await _visible(writing, caller, webhook_id)
        return Replayed(deliveries=await writing.replay(webhook_id, delivery_id))


async def _visible(reading: Reading, caller: Caller, webhook_id: str) -> WebhookRow:
    """The webhook, if it is there for this caller: another tenant's is as unknown as none."""
    return await reading.webhook(webhook_id, None if caller.of_the_house else caller.tenant)


async def _webhook(service: Service, caller: Caller, webhook_id: str) -> WebhookTold:
    async with service.house.store.read() as reading:
        row = await _visible(reading, caller, webhook_id)
        (webhook,) = await _told(reading, [row], service.house.clock())
    return webhook


async def _told(reading: Reading, rows: list[WebhookRow], now: int) -> list[WebhookTold]:
    counts = await reading.undelivered(row.id for row in rows)
    return [
        WebhookTold(
            id=row.id,
            owner=row.owner,
            url=row.url,
            types=list(row.types),
            paused=row.paused,
            created=moment(row.created_at),
            previous_secret_until=moment(row.both_until) if now < row.both_until else None,
            waiting=counts[row.id][DeliveryState.WAITING],
            held=counts[row.id][DeliveryState.HELD],
            dead=counts[row.id][DeliveryState.DEAD],
        )
        for row in rows
    ]


def _place(row: WebhookRow) -> list[Json]:
    return [row.created_at, row.id]


def _delivery(row: DeliveryRow) -> DeliveryTold:
    again = row.next_try_at if row.state is DeliveryState.WAITING else None
    return DeliveryTold(
        id=row.id,
        event=row.seq,
        type=row.type,
        swap_id=row.swap_id,
        state=row.state,
        tries=row.tries,
        next_try=moment_or_none(again),
        answer=row.answer,
        error=row.error,
        created=moment(row.created_at),
        updated=moment(row.updated_at),
    )
