"""The audit chain as an event log: what of it others are told, under which name, and with which data.

An event is an audit entry in public words, and its id is the entry's number. Only what stands in `KINDS` is told, and
of its data only the fields named there: what is added to the chain is private until somebody decides otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_, select

from swapd.errors import Invalid, Rejected
from swapd.store import audit
from swapd.store import models as m
from swapd.store.asking import Asking, Query
from swapd.store.codec import Json, parse
from swapd.store.errors import DamagedRow, NotHere
from swapd.store.proof import digest
from swapd.store.records import AuditEntry, AuditHead

Step = str | dict[str, str]

SPAN = 2_000
"""Entries of the chain that one question goes through at the most: some milliseconds, however little is found."""


@dataclass(frozen=True)
class Kind:
    """One kind of event. said: how the audit chain calls it. fields: of the entry's data, those that are told."""

    type: str
    said: str
    fields: tuple[str, ...]
    meaning: str


_EFFECT = ("effect", "txid")
_REQUEST = ("chain", "ref")

KINDS: tuple[Kind, ...] = (
    Kind("swap.created", "swap added", ("status",), "a swap was made"),
    Kind("swap.status_changed", "status", ("before", "after", "note"), "its derived status changed; it may go back"),
    Kind("swap.legs_changed", "legs", ("initiator", "participant"), "what the chains show of its legs changed"),
    Kind("swap.cancelled", "swap cancelled", ("why",), "it was called off before anything was locked"),
    Kind("swap.secret_revealed", "secret revealed", (), "its secret is about to be public; the event does not hold it"),
    Kind("effect.sent", "transaction sent", _EFFECT, "a transaction goes to the network now"),
    Kind("effect.pending", "transaction pending", _EFFECT, "a node has it and it waits for a block"),
    Kind("effect.mined", "transaction mined", _EFFECT, "it is in a block, which a reorg may take back"),
    Kind("effect.missing", "transaction missing", _EFFECT, "no node knows it; it may still come"),
    Kind("effect.failed", "transaction failed", _EFFECT, "it is in a block without its effect"),
    Kind("effect.replaced", "transaction replaced", _EFFECT, "another transaction took its place"),
    Kind("effect.done", "effect done", ("effect",), "what was to be done is on chain, finally"),
    Kind("effect.void", "effect void", ("effect",), "what was to be done is not wanted any more, and can not happen"),
    Kind("leg.submitted", "signed by its owner", ("role", *_EFFECT), "a leg's owner handed a signed transaction in"),
    Kind("dispute.opened", "dispute opened", ("dispute", "reason"), "the swap is frozen: nothing new, no secret shown"),
    Kind("dispute.noted", "dispute note", ("dispute",), "the handler wrote something down"),
    Kind("dispute.resumed", "dispute resumed", ("dispute", "why"), "decided: the swap goes on"),
    Kind("dispute.forced", "dispute forced", ("dispute", "why"), "decided: whatever is locked goes back"),
    Kind("consent.given", "consent given", ("role", "by"), "a leg's receiver gives it back before its timelock"),
    Kind("approval.given", "approval given", ("by", "expires_at"), "an operator approved a swap over the threshold"),
    Kind("approval.withdrawn", "approval withdrawn", ("by",), "an operator took that back"),
    Kind("request.taken", "request taken", _REQUEST, "a request for a swap was read from a chain"),
    Kind("request.accepted", "request accepted", _REQUEST, "a swap was made for it"),
    Kind("request.refused", "request refused", (*_REQUEST, "field", "reason"), "it was refused"),
    Kind("request.answered", "request answered", _REQUEST, "the answer stands on the chain"),
    Kind("database.restored", "database restored", ("backup_at", "open_swaps"), "swapd goes on from an older state"),
)

PING = Kind("webhook.ping", "webhook pinged", ("webhook",), "somebody wants to see whether a webhook works")
"""For the webhook that it names alone."""

HANDLERS_OWN = "dispute note"
"""Of this its swap's tenant learns that it was written, and not what."""

_BY_SAID = {kind.said: kind for kind in (*KINDS, PING)}
TYPES: Mapping[str, Kind] = {kind.type: kind for kind in KINDS}
"""What may be asked for."""

_LEG = ("state", "lock_ref", "lock_txid", "spend_txid")


@dataclass(frozen=True)
class Event:
    """id: the number of its audit entry. at: Unix seconds. swap_id: None if it is about none."""

    id: int
    type: str
    at: int
    swap_id: str | None
    data: Mapping[str, Json]


def rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event_json(event: Event) -> dict[str, Json]:
    """As everybody outside gets it: pages, streams and webhooks alike."""
    return {
        "id": event.id,
        "type": event.type,
        "time": {"unix": event.at, "rfc3339": rfc3339(event.at)},
        "swap_id": event.swap_id,
        "data": dict(event.data),
    }


@dataclass(frozen=True)
class Sight:
    """Who looks, at what. owner: a tenant, who sees its own swaps alone; None sees all. types: by name; none is all."""

    owner: str | None = None
    types: frozenset[str] = frozenset()
    swap_id: str | None = None

    def __post_init__(self) -> None:
        for each in sorted(self.types - TYPES.keys()):
            raise Invalid("types", each, f"one of {', '.join(TYPES)}")


@dataclass(frozen=True)
class Events:
    """Some events, oldest first. next: the number after which the rest is. head: the end of the chain."""

    events: tuple[Event, ...]
    next: int
    head: int

    @property
    def more(self) -> bool:
        return self.next < self.head


@dataclass(frozen=True)
class Proof:
    """See `proof`. text: of the entry. steps: as `proof.follow` takes them, from entry `after` + 1 on; the rest after
    entry `next`, if that is not None."""

    entry: AuditEntry
    text: str
    steps: tuple[Step, ...]
    after: int
    next: int | None
    head: AuditHead


def tenant_may_read(entry: AuditEntry) -> bool:
    """Whether the whole entry may be shown to the tenant whose swap it is about, as a proof does."""
    return entry.event in _BY_SAID and entry.event != HANDLERS_OWN


def to_event(entry: AuditEntry) -> Event:
    """Of an entry that is one. Data that somebody damaged is told as such: what comes after it must not wait for it."""
    kind = _BY_SAID[entry.event]
    try:
        data = parse(entry.data)
    except Invalid:
        data = None
    if not isinstance(data, dict):
        return Event(entry.seq, kind.type, entry.at, entry.swap_id, {"damaged": True})
    told = {field: _told(field, data[field]) for field in kind.fields if field in data}
    return Event(entry.seq, kind.type, entry.at, entry.swap_id, told)


def _told(field: str, value: Json) -> Json:
    if field in ("initiator", "participant") and isinstance(value, dict):
        return {key: value.get(key) for key in _LEG}
    return value


class EventReading(Asking):
    """The part of `Reading` that is about the chain as a log."""

    async def audit_head(self) -> AuditHead:
        return await audit.last(self._connection)

    async def events(self, sight: Sight, after: int, limit: int) -> Events:
        """Those behind entry `after`, at most `limit`, and none if the next `SPAN` entries hold none.

        Raises Rejected for a number behind the chain's end.
        """
        head = (await self.audit_head()).seq
        if after > head:
            raise Rejected(f"there was no event {after}: the last one is {head}. Was the database restored?")
        top = head if sight.swap_id is not None else min(head, after + SPAN)
        rows = await self._all(visible(sight).where(m.Audit.seq > after, m.Audit.seq <= top).limit(limit))
        events = tuple(to_event(AuditEntry(**row)) for row in rows)
        return Events(events, events[-1].id if len(events) == limit else top, head)

    async def audit_stream(self, after: int = 0) -> AsyncIterator[AuditEntry]:
        """All entries behind this number."""
        async for entry in audit.entries(self._connection, after):
            yield entry

    async def audit_proof(
        self, seq: int, *, head: int | None = None, after: int | None = None, limit: int = 1000
    ) -> Proof:
        """That entry `seq` is in the chain that ends, or ended, with entry `head`. after: where this page goes on.

        Raises `NotHere` for numbers that are not in the chain, or not in this order.
        """
        end = (await self.audit_head()).seq
        head = end if head is None else head
        after = seq if after is None else after
        for field, value, least, most in (("seq", seq, 1, end), ("head", head, seq, end), ("after", after, seq, head)):
            if not least <= value <= most:
                raise NotHere(field, value, f"the number of an entry from {least} to {most}")
        last = min(after + limit, head)
        page = and_(m.Audit.seq > after, m.Audit.seq <= last)
        rows = await self._all(select(m.Audit.__table__).where(or_(page, m.Audit.seq.in_((seq, head)))))
        found = {row["seq"]: AuditEntry(**row) for row in rows}
        if missing := {seq, head, *range(after + 1, last + 1)} - found.keys():
            raise DamagedRow("audit", str(min(missing)), "it is missing")
        entry = found[seq]
        text = audit.old_content(entry) if audit.is_old(entry) else audit.new_content(entry)
        steps = tuple(_step(found[number]) for number in range(after + 1, last + 1))
        return Proof(entry, text, steps, after, None if last == head else last, AuditHead(head, found[head].hash))


def visible(sight: Sight, ping: str | None = None) -> Query:
    """The entries that are events for somebody, in order. ping: and those that name this webhook."""
    types = sight.types or TYPES.keys()
    seen: list[ColumnElement[bool]] = [m.Audit.event.in_(_said(types))]
    if sight.owner is not None:
        # looked up for each entry that is read, of which there are few; a tenant may have very many swaps
        own = select(m.Swap.id).where(m.Swap.id == m.Audit.swap_id, m.Swap.owner == sight.owner)
        seen.append(own.correlate(m.Audit).exists())
    if sight.swap_id is not None:
        seen.append(m.Audit.swap_id == sight.swap_id)
    which = and_(*seen)
    if ping is not None:
        pinged = and_(m.Audit.event == PING.said, m.Audit.data == f'{{"webhook":"{ping}"}}')
        which = or_(which, pinged)
    return select(m.Audit.__table__).where(which).order_by(m.Audit.seq)


def _said(types: Iterable[str]) -> list[str]:
    return sorted(TYPES[each].said for each in types)


def _step(entry: AuditEntry) -> Step:
    return {"text": audit.old_content(entry)} if audit.is_old(entry) else digest(audit.new_content(entry))
