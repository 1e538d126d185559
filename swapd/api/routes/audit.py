"""The audit chain: what it holds, where it ends, and that an entry is in it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from swapd.api.access import Caller, allows
from swapd.api.forms import LARGEST, NO_NUL_PATTERN, Listed, Moment, Told, moment
from swapd.api.paging import Paged
from swapd.api.service import Serving
from swapd.errors import Invalid, Rejected
from swapd.store import AuditEntry, AuditHead, KeyRole, NotHere, Reading
from swapd.store.codec import parse
from swapd.store.events import Proof, tenant_may_read

router = APIRouter(tags=["audit"])

Reader = Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR))]
Holder = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR))]

STEPS = 5_000
"""Of a proof, in one answer: some 340 kB."""


class EntryTold(Told):
    """As it stands in the chain. data: null if somebody damaged it."""

    seq: int
    at: Moment
    actor: str
    swap_id: str | None
    event: str
    data: dict[str, Any] | None
    prev_hash: str
    hash: str


class HeadTold(Told):
    """The end of the chain. Whoever keeps it elsewhere can find out later whether anything before it was changed."""

    seq: int
    hash: str


class OldStep(Told):
    """Of an entry from before there were proofs: all that its hash is of."""

    text: str


class ProofTold(Told):
    """That an entry is in the chain that ends with `head`; how to check it stands in docs/events.md. content: the
    entry. steps: of the entries behind `after`, the digest of each one's content. next: `after` of the page that goes
    on, null on the last one."""

    seq: int
    content: str
    prev_hash: str
    steps: Annotated[list[str | OldStep], Field(max_length=STEPS)]
    after: int
    next: int | None
    head: HeadTold


@router.get("/v1/audit")
async def list_audit(
    service: Serving,
    _: Reader,
    page: Paged,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Entries behind this number.")] = 0,
    swap_id: Annotated[str | None, Query(pattern="^[0-9a-f]{16}$", description="About this swap alone.")] = None,
    actor: Annotated[
        str | None, Query(pattern=NO_NUL_PATTERN, max_length=200, description="By this actor alone.")
    ] = None,
    event: Annotated[
        str | None, Query(pattern=NO_NUL_PATTERN, max_length=100, description="Of this kind alone.")
    ] = None,
) -> Listed[EntryTold]:
    """Entries, oldest first."""
    reached = page.position[0] if page.position and isinstance(page.position[0], int) else after
    async with service.house.store.read() as reading:
        found = await reading.audit_trail(swap_id, actor=actor, event=event, after=reached, limit=page.limit + 1)
    more, found = found[page.limit :], found[: page.limit]
    return Listed(items=[_entry(each) for each in found], next=page.cursor(found[-1].seq) if more else None)


@router.get("/v1/audit/head")
async def read_audit_head(service: Serving, _: Holder) -> HeadTold:
    """The end of the chain, to be kept elsewhere."""
    async with service.house.store.read() as reading:
        return _head(await reading.audit_head())


@router.get("/v1/audit/{seq}/proof", responses={409: {"$ref": "#/components/responses/Problem409"}})
async def prove_entry(
    seq: Annotated[int, Path(ge=1, le=LARGEST, description="The entry's number.")],
    service: Serving,
    caller: Holder,
    head: Annotated[int | None, Query(ge=1, le=LARGEST, description="Against this head; without: the newest.")] = None,
    after: Annotated[int | None, Query(ge=1, le=LARGEST, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=STEPS, description="Steps in one answer.")] = 1_000,
) -> ProofTold:
    """That an entry is in the chain. A marketplace gets this for what happened to its own swaps; what other entries say
    is not in it. A proof of several pages is asked for with the same `head` for all."""
    async with service.house.store.read() as reading:
        found = await reading.audit_proof(seq, head=head, after=after, limit=limit)
        if not caller.of_the_house:
            await _require_own(reading, caller, found)
    return ProofTold(
        seq=seq,
        content=found.text,
        prev_hash=found.entry.prev_hash,
        steps=[each if isinstance(each, str) else OldStep(**each) for each in found.steps],
        after=found.after,
        next=found.next,
        head=_head(found.head),
    )


async def _require_own(reading: Reading, caller: Caller, proof: Proof) -> None:
    entry = proof.entry
    mine = entry.swap_id is not None and tenant_may_read(entry)
    if not mine or not caller.sees((await reading.swap(entry.swap_id or "")).owner):
        raise NotHere("seq", entry.seq, "the number of an entry about a swap of this key's")
    if not all(isinstance(step, str) for step in proof.steps):
        raise Rejected("entries from before there were proofs are in the way, which would tell what others did")


def _entry(entry: AuditEntry) -> EntryTold:
    try:
        data = parse(entry.data)
    except Invalid:
        data = None
    return EntryTold(
        seq=entry.seq,
        at=moment(entry.at),
        actor=entry.actor,
        swap_id=entry.swap_id,
        event=entry.event,
        data=data if isinstance(data, dict) else None,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
    )


def _head(head: AuditHead) -> HeadTold:
    return HeadTold(seq=head.seq, hash=head.hash)
