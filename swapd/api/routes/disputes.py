"""Disputes: a handler stops a swap at once, looks at what there is, and decides whether it goes on or back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from swapd.api.access import Caller, allows, exit_route
from swapd.api.conditional import TAGGED, tagged
from swapd.api.forms import LARGEST, Form, Listed, Told
from swapd.api.paging import Paged
from swapd.api.routes.swaps import READERS, SwapId, Words, visible
from swapd.api.service import Service, Serving
from swapd.api.views import DisputeTold, dispute_told
from swapd.coordinator import disputes
from swapd.coordinator.evidence import gather_evidence
from swapd.store import DisputeRow, DisputeState, KeyRole, NotHere

router = APIRouter(tags=["disputes"])

Handler = Annotated[Caller, Depends(allows(KeyRole.DISPUTE))]
Reader = Annotated[Caller, Depends(allows(*READERS))]
DisputeId = Annotated[int, Path(ge=1, le=LARGEST, description="A dispute's number.")]


class EvidenceTold(Told):
    hash: str
    bundle: dict[str, Any]


class DisputeForm(Form):
    reason: Words


class NoteForm(Form):
    note: Words


class DecisionForm(Form):
    why: Words


@router.post("/v1/swaps/{swap_id}/disputes", status_code=201)
@exit_route
async def open_dispute(swap_id: SwapId, form: DisputeForm, service: Serving, caller: Handler) -> DisputeTold:
    """Freeze a swap, at once and for every worker: no secret is shown and nothing is locked. Refunds that are due, and
    claims of a secret that is out, go on (S5, S6). One at a time: while one is open, another is refused."""
    await visible(service, caller, swap_id)
    return dispute_told(await disputes.open_dispute(service.house, swap_id, form.reason, caller.actor))


@router.get("/v1/disputes")
async def list_disputes(
    service: Serving,
    _: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR))],
    page: Paged,
    state: Annotated[DisputeState | None, Query(description="In this state alone.")] = None,
) -> Listed[DisputeTold]:
    """The newest first."""
    before = page.position[0] if page.position and isinstance(page.position[0], int) else None
    async with service.house.store.read() as reading:
        found = await reading.disputes(state=state, before=before, limit=page.limit + 1)
    return _page(found, page)


@router.get("/v1/swaps/{swap_id}/disputes")
async def list_disputes_of_swap(swap_id: SwapId, service: Serving, caller: Reader, page: Paged) -> Listed[DisputeTold]:
    """All that there were, the newest first."""
    await visible(service, caller, swap_id)
    before = page.position[0] if page.position and isinstance(page.position[0], int) else None
    async with service.house.store.read() as reading:
        found = await reading.disputes(swap_id, before=before, limit=page.limit + 1)
    return _page(found, page)


@router.get("/v1/disputes/{dispute_id}", response_model=DisputeTold, responses=TAGGED)
async def read_dispute(dispute_id: DisputeId, request: Request, service: Serving, caller: Reader) -> Response:
    """One dispute. Its notes are in the swap's timeline."""
    return tagged(request, dispute_told(await _visible(service, caller, dispute_id)))


@router.post("/v1/disputes/{dispute_id}/notes", status_code=204)
async def note_dispute(dispute_id: DisputeId, form: NoteForm, service: Serving, caller: Handler) -> None:
    """Something worth keeping, for the audit chain."""
    await disputes.note(service.house, dispute_id, form.note, caller.actor)


@router.post("/v1/disputes/{dispute_id}/resume")
async def resume_swap(dispute_id: DisputeId, form: DecisionForm, service: Serving, caller: Handler) -> DisputeTold:
    """The swap goes on, if there is time left. What is too late for it goes back by itself."""
    return dispute_told(await disputes.resume(service.house, dispute_id, form.why, caller.actor))


@router.post("/v1/disputes/{dispute_id}/force-refund")
@exit_route
async def force_refund(dispute_id: DisputeId, form: DecisionForm, service: Serving, caller: Handler) -> DisputeTold:
    """What is locked goes back to its senders: at its timelock, or before where its receiver agrees. Refused by S6 when
    the secret is out. It can not be taken back."""
    return dispute_told(await disputes.force_refund(service.house, dispute_id, form.why, caller.actor))


@router.get("/v1/swaps/{swap_id}/evidence", response_model=EvidenceTold, responses=TAGGED)
async def read_evidence(
    swap_id: SwapId,
    request: Request,
    service: Serving,
    caller: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR))],
) -> Response:
    """All that swapd knows of the swap and may show: terms, transactions, what the chains prove, who did what. Its hash
    is the SHA-256 of the bundle's canonical JSON: sorted keys, no spaces, ASCII."""
    await visible(service, caller, swap_id)
    found = await gather_evidence(service.house, swap_id)
    return tagged(request, EvidenceTold(hash=found.hash, bundle=found.bundle))


async def _visible(service: Service, caller: Caller, dispute_id: int) -> DisputeRow:
    async with service.house.store.read() as reading:
        dispute = await reading.dispute(dispute_id)
        owner = (await reading.swap(dispute.swap_id)).owner
    if not caller.sees(owner):
        raise NotHere("dispute", dispute_id, "the id of a dispute in this database")
    return dispute


def _page(found: list[DisputeRow], page: Paged) -> Listed[DisputeTold]:
    rows = found[: page.limit]
    more = len(found) > page.limit
    return Listed(items=[dispute_told(row) for row in rows], next=page.cursor(rows[-1].id) if more else None)
