"""Swaps between two swapds: one makes the terms, the other checks them to the last field and takes part."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from swapd.api.access import Caller, allows
from swapd.api.forms import LARGEST, Form, Told
from swapd.api.idempotency import Once
from swapd.api.routes.swaps import SwapId, visible
from swapd.api.service import Serving
from swapd.api.views import SwapTold, swap_told
from swapd.coordinator import agree
from swapd.errors import Invalid
from swapd.protocol.terms import SwapTerms
from swapd.store import KeyRole, Transaction
from swapd.store.codec import decode, encode

router = APIRouter(tags=["offers"])

Operator = Annotated[Caller, Depends(allows(KeyRole.OPERATOR))]
ChainName = Annotated[str, Field(max_length=32, examples=["bitcoin"])]


class ReservationForm(Form):
    """receive_on: the chain of the initiator leg, which we claim. send_on: of the participant leg, which we fund."""

    receive_on: ChainName
    send_on: ChainName


class Reservation(Told):
    """Our identities under `index`, to be given to whoever makes the terms: as the participant's `receive_at` and
    `refund_to`, with `claims_itself`."""

    index: int
    receive_at: str
    refund_to: str


class OfferForm(Form):
    """index: of the reservation. offer: as the other swapd gave it out."""

    index: Annotated[int, Field(ge=0, le=LARGEST)]
    offer: dict[str, Any]


class Offer(Told):
    offer: dict[str, Any]


@router.post("/v1/reservations", status_code=201)
async def reserve_keys(form: ReservationForm, service: Serving, caller: Operator) -> Reservation:
    """Keys for taking part in a swap that somebody else makes. They are used up, whatever comes of it."""
    caller.require_networks(form.receive_on, form.send_on)
    index, receiver, sender = await agree.reserve_keys(service.house, form.receive_on, form.send_on)
    return Reservation(index=index, receive_at=receiver.identity, refund_to=sender.identity)


@router.get("/v1/swaps/{swap_id}/offer")
async def read_offer(swap_id: SwapId, service: Serving, caller: Operator) -> Offer:
    """The terms of a swap of ours, for the other party's swapd."""
    row = await visible(service, caller, swap_id)
    offer = encode(row.terms)
    assert isinstance(offer, dict)  # noqa: S101 - a dataclass is
    return Offer(offer=offer)


@router.post("/v1/offers", status_code=201)
async def accept_offer(form: OfferForm, service: Serving, caller: Operator, once: Once) -> SwapTold:
    """Take part. Every field is checked against our own settings, keys and clock; nothing is written unless all of it
    is right."""
    house = service.house
    try:
        offered = decode(SwapTerms, form.offer)
    except Invalid as error:
        raise Invalid(f"offer.{error.field}", error.value, f"{error.expected}, as another swapd writes it") from None
    caller.require_networks(*(leg.terms.chain for leg in offered.legs))
    answers: list[SwapTold] = []

    async def remember(writing: Transaction, terms: SwapTerms) -> None:
        answers.append(swap_told(house, await writing.swap(terms.swap_id), caller))
        await once.remember(writing, 201, answers[-1])

    await agree.accept(house, offered, form.index, caller.actor, remember)
    return answers[-1]
