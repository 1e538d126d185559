"""The two legs of a swap, for the wallets of those outside: how to fund one, what to sign to claim it or take it back,
how to give it back before its time, and a door for what was signed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from swapd.api.access import Caller, allows, exit_route
from swapd.api.forms import Form, Told
from swapd.api.routes.swaps import SwapId, visible
from swapd.api.service import Serving
from swapd.api.views import InstructionsTold, SwapTold, instructions_told, swap_told
from swapd.chains.abilities import HandsOver, handed_in
from swapd.coordinator.disputes import cooperating, receive_consent
from swapd.coordinator.house import House
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import Role
from swapd.store import KeyRole, SwapRow

router = APIRouter(tags=["legs"])

Hand = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE))]
LegRole = Annotated[Role, Path(description="Which leg: the one that the initiator funds, or the participant's.")]
Signed = Annotated[
    str, Field(min_length=1, max_length=60_000, description="Bytes in hex or base64, as the instructions say.")
]

REFUSED: dict[int | str, dict[str, Any]] = {409: {"$ref": "#/components/responses/Problem409"}}
"""Also to questions: what is asked for is not there at this moment."""


class SignedForm(Form):
    signed: Signed


class ConsentForm(Form):
    consent: Signed


class ConsentTold(Told):
    """What the receiver signs or does, so that the leg goes back at once. answer: what comes back to swapd; "" where
    nothing does, because the receiver calls the chain by itself."""

    summary: str
    fields: dict[str, str]
    answer: str


class SubmittedTold(Told):
    """It was handed to the network. Whether it gets into a block, the swap shows."""

    kind: EffectKind
    txid: str


@router.get("/v1/swaps/{swap_id}/legs/{role}/funding", responses=REFUSED)
async def how_to_fund(swap_id: SwapId, role: LegRole, service: Serving, caller: Hand) -> InstructionsTold:
    """How its owner funds a leg, to the last digit. See `fund_by` and the swap's status for when: the initiator leg
    once the swap is accepted, the participant leg once the other one is final (S1)."""
    row = await visible(service, caller, swap_id)
    leg = row.terms.leg(role)
    return instructions_told(service.house.chain(leg.terms.chain).instructions(leg))


@router.get("/v1/swaps/{swap_id}/legs/{role}/claim", responses=REFUSED)
async def how_to_claim(swap_id: SwapId, role: LegRole, service: Serving, caller: Hand) -> InstructionsTold:
    """What the receiver signs. The secret is in it once it is public, and never before (S2)."""
    row = await visible(service, caller, swap_id)
    leg = row.watched_leg(role)
    public = row.revealed_preimage
    return instructions_told(await _handing(service.house, row, role).claim_for_owner(leg, public))


@router.get("/v1/swaps/{swap_id}/legs/{role}/refund", responses=REFUSED)
async def how_to_refund(swap_id: SwapId, role: LegRole, service: Serving, caller: Hand) -> InstructionsTold:
    """What the sender signs: good from the timelock on, or at once if the receiver agreed."""
    row = await visible(service, caller, swap_id)
    return instructions_told(await _handing(service.house, row, role).refund_for_owner(row.watched_leg(role)))


@router.post("/v1/swaps/{swap_id}/legs/{role}/transactions")
@exit_route
async def submit_signed(
    swap_id: SwapId, role: LegRole, form: SignedForm, service: Serving, caller: Hand
) -> SubmittedTold:
    """A claim or refund that its owner signed, to be broadcast by swapd's nodes. Anything else is refused."""
    row = await visible(service, caller, swap_id)
    chain = service.house.chain(row.terms.leg(role).terms.chain)
    submitted = await _handing(service.house, row, role).check_signed(
        row.watched_leg(role), handed_in("signed", form.signed)
    )
    async with service.house.store.write(caller.actor) as writing:
        writing.audit("signed by its owner", swap_id, role=role, effect=submitted.kind.value, txid=submitted.tx.txid)
        await writing.touch([swap_id])
    await chain.broadcast(submitted.tx)
    return SubmittedTold(kind=submitted.kind, txid=submitted.tx.txid)


@router.get("/v1/swaps/{swap_id}/legs/{role}/consent", responses=REFUSED)
async def how_to_give_back(swap_id: SwapId, role: LegRole, service: Serving, caller: Hand) -> ConsentTold:
    """What the receiver signs or does to give the leg back before its timelock, after a refund was decided."""
    row = await visible(service, caller, swap_id)
    wanted = await cooperating(service.house, row, role).consent_wanted(row.watched_leg(role))
    return ConsentTold(summary=wanted.summary, fields=dict(wanted.fields), answer=wanted.answer)


@router.post("/v1/swaps/{swap_id}/legs/{role}/consent")
@exit_route
async def give_back(swap_id: SwapId, role: LegRole, form: ConsentForm, service: Serving, caller: Hand) -> SwapTold:
    """The receiver's signature. From here on the leg goes back to its sender, and to nobody else."""
    row = await visible(service, caller, swap_id)
    consent = handed_in("consent", form.consent)
    await receive_consent(service.house, row, role, consent, caller.actor)
    return swap_told(service.house, await visible(service, caller, swap_id), caller)


def _handing(house: House, row: SwapRow, role: Role) -> HandsOver:
    chain = house.chain(row.terms.leg(role).terms.chain)
    if not isinstance(chain, HandsOver):
        raise Rejected(f"{row.terms.leg(role).terms.chain} prepares nothing for others to sign")
    return chain
