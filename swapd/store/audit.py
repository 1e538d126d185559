"""The audit chain: each entry's hash covers the one before, so nothing can be changed, removed or put in between.

The head is kept in `meta` as well: locking that row makes workers append one after the other, and a tail that was cut
off is missed. Somebody who can write to the database can rebuild all of it; who keeps an `AuditHead` elsewhere (the
log shows it) finds that out too.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from swapd.errors import Invalid
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import Json, canonical, parse
from swapd.store.errors import AuditBroken
from swapd.store.records import AuditEntry, AuditHead

HEAD = "audit_head"
GENESIS = AuditHead(0, "0" * 64)

MISFIT = "audit head did not fit"
"""Said in the chain, for ever, when its end was not where `meta` has it."""

_BATCH = 1000

Note = tuple[str, str | None, dict[str, Json]]
"""What a transaction wants to say: event, swap id, data."""


def entry_hash(seq: int, at: int, actor: str, swap_id: str | None, event: str, data: Json, prev_hash: str) -> str:
    """SHA-256 in hex over the canonical JSON of all fields but the hash."""
    content: Json = {
        "seq": seq,
        "at": at,
        "actor": actor,
        "swap_id": swap_id,
        "event": event,
        "data": data,
        "prev_hash": prev_hash,
    }
    return hashlib.sha256(canonical(content).encode()).hexdigest()


async def append(connection: AsyncConnection, actor: str, notes: Sequence[Note]) -> None:
    """Write the notes of one transaction, at its end: the head is then locked for a moment only, and always last."""
    head_row = select(m.Meta.value).where(m.Meta.key == HEAD).with_for_update()
    said = (await connection.execute(head_row)).scalar_one()
    head = await _last(connection)
    if said != f"{head.seq} {head.hash}":
        notes = [(MISFIT, None, {"said": said}), *notes]
    now = (await connection.execute(select(unix_now()))).scalar_one()
    for event, swap_id, data in notes:
        seq, prev_hash = head.seq + 1, head.hash
        head = AuditHead(seq, entry_hash(seq, now, actor, swap_id, event, data, prev_hash))
        await connection.execute(
            insert(m.Audit).values(
                seq=seq,
                at=now,
                actor=actor,
                swap_id=swap_id,
                event=event,
                data=canonical(data),
                prev_hash=prev_hash,
                hash=head.hash,
            )
        )
    await connection.execute(update(m.Meta).where(m.Meta.key == HEAD).values(value=f"{head.seq} {head.hash}"))


async def _last(connection: AsyncConnection) -> AuditHead:
    """By the entries themselves: a head in `meta` that was damaged must not stop what writes, exits least of all."""
    query = select(m.Audit.seq, m.Audit.hash).order_by(m.Audit.seq.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return GENESIS if row is None else AuditHead(row.seq, row.hash)


async def verify(connection: AsyncConnection, known: AuditHead = GENESIS) -> AuditHead:
    """Walk the whole chain and return its head; raise `AuditBroken` naming the first entry that does not fit.

    known: a head that was written down elsewhere, which the chain must still contain.
    """
    last = GENESIS
    async for entry in _entries(connection):
        if entry.seq != last.seq + 1:
            raise AuditBroken(f"audit entry {last.seq + 1} is missing")
        if entry.prev_hash != last.hash or entry.hash != _rehash(entry):
            raise AuditBroken(f"audit entry {entry.seq} was changed, or one before it")
        if entry.event == MISFIT:
            raise AuditBroken(f"the audit chain's end was damaged, or entries were cut off, before entry {entry.seq}")
        last = AuditHead(entry.seq, entry.hash)
        if last.seq == known.seq and last != known:
            raise AuditBroken(f"audit entry {known.seq} is not the one that was written down")
    head = _parse_head((await connection.execute(select(m.Meta.value).where(m.Meta.key == HEAD))).scalar_one())
    if last != head or last.seq < known.seq:
        raise AuditBroken(f"the audit chain ends at entry {last.seq}, but once had {max(head.seq, known.seq)}")
    return last


async def _entries(connection: AsyncConnection) -> AsyncIterator[AuditEntry]:
    seq = 0
    while True:
        query = select(m.Audit.__table__).where(m.Audit.seq > seq).order_by(m.Audit.seq).limit(_BATCH)
        entries = [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]
        for entry in entries:
            yield entry
        if len(entries) < _BATCH:
            return
        seq = entries[-1].seq


def _rehash(entry: AuditEntry) -> str:
    try:
        data = parse(entry.data)
    except Invalid:
        raise AuditBroken(f"audit entry {entry.seq} was changed: its data is no JSON") from None
    return entry_hash(entry.seq, entry.at, entry.actor, entry.swap_id, entry.event, data, entry.prev_hash)


def _parse_head(text: str) -> AuditHead:
    seq, _, digest = text.partition(" ")
    if not seq.isdigit():
        raise AuditBroken(f"the audit chain's head is {text!r}")
    return AuditHead(int(seq), digest)
