"""Events: what happened, in pages, and as a stream of server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query
from pydantic import AfterValidator, WithJsonSchema
from sse_starlette import EventSourceResponse, ServerSentEvent

from swapd.api import keys
from swapd.api.access import Caller, allows, stream_route
from swapd.api.forms import LARGEST, Moment, Told, moment
from swapd.api.paging import PAGE_DEFAULT, PAGE_MAX
from swapd.api.problems import Problem
from swapd.api.service import Serving
from swapd.coordinator.feed import Crowded
from swapd.errors import SwapdError
from swapd.store import KeyRole, Reading
from swapd.store.events import TYPES, Event, Sight, event_json

router = APIRouter(tags=["events"])
log = structlog.get_logger()

RETRY_MILLISECONDS = 3_000
"""After which a reader that lost its stream should come again."""


def _known(name: str) -> str:
    if name not in TYPES:
        raise ValueError(f"one of {', '.join(TYPES)}")
    return name


EventType = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(TYPES)})]

Reader = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR))]
After = Annotated[int, Query(ge=0, le=LARGEST, description="Those behind this id alone.")]
Types = Annotated[list[EventType] | None, Query(max_length=len(TYPES), description="Of these types alone.")]
OfSwap = Annotated[str | None, Query(pattern="^[0-9a-f]{16}$", description="Of this swap alone.")]

AHEAD: dict[int | str, dict[str, Any]] = {409: {"$ref": "#/components/responses/Problem409"}}
"""Whoever asks for what is behind the last event has read them in a database that is no more."""


class EventTold(Told):
    """id: the number of its entry in the audit chain; they rise, with gaps. data: by type, see docs/events.md."""

    id: int
    type: str
    time: Moment
    swap_id: str | None
    data: dict[str, Any]


class EventPage(Told):
    """Oldest first. after: what to ask for the rest with. more: there is some already, though `items` may be empty.
    head: the last entry of the audit chain."""

    items: list[EventTold]
    after: int
    more: bool
    head: int


@router.get("/v1/events", responses=AHEAD)
async def list_events(
    service: Serving,
    caller: Reader,
    after: After = 0,
    types: Types = None,
    swap_id: OfSwap = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
) -> EventPage:
    """What happened. A marketplace hears of its own swaps alone."""
    async with service.house.store.read() as reading:
        found = await reading.events(_sight(caller, types, swap_id), after, limit)
    return EventPage(items=[told(each) for each in found.events], after=found.next, more=found.more, head=found.head)


async def place(service: Serving) -> AsyncIterator[None]:
    """One of the streams that may be open at a time, until the answer has ended."""
    try:
        with service.feed.place():
            yield
    except Crowded as error:
        raise Problem("too-many-requests", str(error), headers={"Retry-After": "10"}) from None


@router.get(
    "/v1/events/stream",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events, without end."},
        **AHEAD,
    },
    dependencies=[Depends(place)],
)
@stream_route
async def stream_events(
    service: Serving,
    caller: Reader,
    after: Annotated[int | None, Query(ge=0, le=LARGEST, description="Without it: from now on.")] = None,
    types: Types = None,
    swap_id: OfSwap = None,
    last_event_id: Annotated[
        str | None, Header(pattern="^[0-9]{1,15}$", description="Where a stream broke off; goes before `after`.")
    ] = None,
) -> EventSourceResponse:
    """Events as they happen. `id` is the event's, `event` its type, `data` all of it as in `/v1/events`."""
    sight = _sight(caller, types, swap_id)
    start = int(last_event_id) if last_event_id is not None else after
    async with service.house.store.read() as reading:
        head = (await reading.audit_head()).seq
        await reading.events(sight, head if start is None else start, 1)  # says no while it still can
    return EventSourceResponse(
        _stream(service, caller, sight, head if start is None else start),
        ping=service.settings.events.heartbeat_seconds,
        ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        send_timeout=service.settings.events.send_seconds,
        sep="\n",
    )


async def _stream(service: Serving, caller: Caller, sight: Sight, after: int) -> AsyncIterator[ServerSentEvent]:
    async def may_still(reading: Reading) -> bool:
        """A key that was revoked, or has expired, hears nothing more on streams that it opened before."""
        return keys.active(await reading.key(caller.key_id), service.house.clock())

    yield ServerSentEvent(comment="events of swapd", retry=RETRY_MILLISECONDS)
    try:
        async for event in service.feed.follow(sight, after, may_still):
            yield ServerSentEvent(json.dumps(event_json(event)), id=str(event.id), event=event.type)
    except SwapdError as error:  # the answer has begun: it can only end, and the reader comes again
        log.warning("events.stream_ended", error=str(error))


def _sight(caller: Caller, types: list[EventType] | None, swap_id: str | None) -> Sight:
    owner = None if caller.of_the_house else caller.tenant
    return Sight(owner, frozenset(types or ()), swap_id)


def told(event: Event) -> EventTold:
    return EventTold(id=event.id, type=event.type, time=moment(event.at), swap_id=event.swap_id, data=dict(event.data))
