"""The audit chain: each entry's hash covers the one before, so nothing can be changed, removed or put in between.

The head is kept in `meta` as well: locking that row makes workers append one after the other, and a tail that was cut
off is missed. Somebody who can write to the database can rebuild all of it; who keeps an `AuditHead` elsewhere (the
log shows it) finds that out too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.errors import Invalid
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import Json, canonical, parse
from swapd.store.errors import AuditBroken
from swapd.store.proof import digest, link
from swapd.store.records import AuditEntry, AuditHead

HEAD = "audit_head"
GENESIS = AuditHead(0, "0" * 64)

MISFIT = "audit head did not fit"
"""Said in the chain, for ever, when its end was not where `meta` has it."""

_BATCH = 1000

Note = tuple[str, str | None, dict[str, Json]]
"""What a transaction wants to say: event, swap id, data."""


def content(seq: int, at: int, actor: str, swap_id: str | None, event: str, data: Json) -> str:
    """What an entry says, as the one text that its digest is of."""
    said: Json = {"seq": seq, "at": at, "actor": actor, "swap_id": swap_id, "event": event, "data": data}
    return canonical(said)


def entry_hash(seq: int, at: int, actor: str, swap_id: str | None, event: str, data: Json, prev_hash: str) -> str:
    """SHA-256 in hex over the hash before and the digest of the content: so that the chain can be followed by who may
    not read all of it (`proof`)."""
    return link(prev_hash, digest(content(seq, at, actor, swap_id, event, data)))


def old_content(entry: AuditEntry) -> str:
    """Of an entry from before there were proofs: its hash is the digest of all of it, the hash before included."""
    fields: Json = {
        "seq": entry.seq,
        "at": entry.at,
        "actor": entry.actor,
        "swap_id": entry.swap_id,
        "event": entry.event,
        "data": _data(entry),
        "prev_hash": entry.prev_hash,
    }
    return canonical(fields)


def new_content(entry: AuditEntry) -> str:
    return content(entry.seq, entry.at, entry.actor, entry.swap_id, entry.event, _data(entry))


def is_old(entry: AuditEntry) -> bool:
    """Which of the two ways its hash was made. Raises `AuditBroken` if in neither."""
    if entry.hash == link(entry.prev_hash, digest(new_content(entry))):
        return False
    if entry.hash == digest(old_content(entry)):
        return True
    raise AuditBroken(f"audit entry {entry.seq} was changed, or one before it")


async def append(connection: AsyncConnection, actor: str, notes: Sequence[Note]) -> None:
    """Write the notes of one transaction, at its end: the head is then locked for a moment only, and always last."""
    head_row = select(m.Meta.value).where(m.Meta.key == HEAD).with_for_update()
    said = (await connection.execute(head_row)).scalar_one()
    head, now = await _last(connection)
    if said != f"{head.seq} {head.hash}":
        notes = [(MISFIT, None, {"said": said}), *notes]
    rows = []
    for event, swap_id, data in notes:
        seq, prev_hash = head.seq + 1, head.hash
        head = AuditHead(seq, entry_hash(seq, now, actor, swap_id, event, data, prev_hash))
        rows.append(
            {
                "seq": seq,
                "at": now,
                "actor": actor,
                "swap_id": swap_id,
                "event": event,
                "data": canonical(data),
                "prev_hash": prev_hash,
                "hash": head.hash,
            }
        )
    await connection.execute(insert(m.Audit).values(rows))
    await connection.execute(update(m.Meta).where(m.Meta.key == HEAD).values(value=f"{head.seq} {head.hash}"))


async def last(connection: AsyncConnection) -> AuditHead:
    """By the entries themselves: a head in `meta` that was damaged must not stop what writes, exits least of all."""
    return (await _last(connection))[0]


async def _last(connection: AsyncConnection) -> tuple[AuditHead, int]:
    """And the time now, Unix seconds by the database's clock."""
    newest = select(m.Audit.seq, m.Audit.hash).order_by(m.Audit.seq.desc()).limit(1).subquery()
    clock = select(unix_now().label("now")).subquery()
    query = select(clock.c.now, newest.c.seq, newest.c.hash).select_from(clock.outerjoin(newest, true()))
    row = (await connection.execute(query)).one()
    return GENESIS if row.seq is None else AuditHead(row.seq, row.hash), int(row.now)


@dataclass
class Walk:
    """Along the chain, entry by entry. known: a head that was written down elsewhere, which must be passed."""

    last: AuditHead = GENESIS
    known: AuditHead = GENESIS

    def step(self, entry: AuditEntry) -> None:
        """Raises `AuditBroken` for an entry that does not follow."""
        if entry.seq != self.last.seq + 1:
            raise AuditBroken(f"audit entry {self.last.seq + 1} is missing")
        if entry.prev_hash != self.last.hash:
            raise AuditBroken(f"audit entry {entry.seq} was changed, or one before it")
        is_old(entry)
        if entry.event == MISFIT:
            raise AuditBroken(f"the audit chain's end was damaged, or entries were cut off, before entry {entry.seq}")
        self.last = AuditHead(entry.seq, entry.hash)
        if self.last.seq == self.known.seq and self.last != self.known:
            raise AuditBroken(f"audit entry {self.known.seq} is not the one that was written down")

    def end(self, head: AuditHead) -> AuditHead:
        """head: where the chain should end, as far as that is known."""
        if self.last != head or self.last.seq < self.known.seq:
            most = max(head.seq, self.known.seq)
            raise AuditBroken(f"the audit chain ends at entry {self.last.seq}, but once had {most}")
        return self.last


async def verify(connection: AsyncConnection, known: AuditHead = GENESIS) -> AuditHead:
    """Walk the whole chain and return its head; raise `AuditBroken` naming the first entry that does not fit.

    known: a head that was written down elsewhere, which the chain must still contain.
    """
    walk = Walk(known=known)
    async for entry in entries(connection):
        walk.step(entry)
    said = (await connection.execute(select(m.Meta.value).where(m.Meta.key == HEAD))).scalar_one()
    return walk.end(_parse_head(said))


async def entries(connection: AsyncConnection, after: int = 0) -> AsyncIterator[AuditEntry]:
    """All of them behind this number, in order, some at a time."""
    seq = after
    while True:
        query = select(m.Audit.__table__).where(m.Audit.seq > seq).order_by(m.Audit.seq).limit(_BATCH)
        found = [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]
        for entry in found:
            yield entry
        if len(found) < _BATCH:
            return
        seq = found[-1].seq


def _data(entry: AuditEntry) -> Json:
    try:
        return parse(entry.data)
    except Invalid:
        raise AuditBroken(f"audit entry {entry.seq} was changed: its data is no JSON") from None


def _parse_head(text: str) -> AuditHead:
    seq, _, digest = text.partition(" ")
    if not seq.isdigit():
        raise AuditBroken(f"the audit chain's head is {text!r}")
    return AuditHead(int(seq), digest)
