"""Swaps: made, shown, listed, called off, refunded; and what their external parties need to do their part."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from swapd.api.access import Caller, allows, exit_route
from swapd.api.conditional import TAGGED, as_it_is, require_match, tagged
from swapd.api.forms import NO_NUL_PATTERN, Amount, Form, Listed, Moment, Told, moment
from swapd.api.idempotency import Once
from swapd.api.paging import Paged
from swapd.api.service import Service, Serving
from swapd.api.views import EffectTold, SwapTold, effect_told, swap_told
from swapd.coordinator import agree
from swapd.coordinator.house import House
from swapd.coordinator.refunds import ask_refund
from swapd.coordinator.sentences import sentence
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms, Wallet
from swapd.store import KeyRole, SwapRow, Transaction
from swapd.store.codec import Json
from swapd.store.reading import no_such_swap

router = APIRouter(tags=["swaps"])

READERS = (KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR)
Reader = Annotated[Caller, Depends(allows(*READERS))]
Trader = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR))]
Stopper = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE))]

SwapId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="A swap's id.", examples=["9f86d081884c7d65"])]
Words = Annotated[str, Field(min_length=1, max_length=1_000, description="In words, for the audit chain.")]
Address = Annotated[str | None, Field(max_length=200, description="Of an external party, on the chain in question.")]


class SideForm(Form):
    """One party. Without addresses where it is swapd's own wallet."""

    wallet: Annotated[Wallet, Field(strict=False)]
    refund_to: Address = None
    receive_at: Address = None
    claims_itself: Annotated[bool, Field(description="It gave its own key, and claims without swapd's help.")] = False

    def side(self) -> agree.Side:
        return agree.Side(self.wallet, self.refund_to, self.receive_at, self.claims_itself)


class SwapForm(Form):
    """The initiator gives `give_amount` of `give`, and gets `get_amount` of `get` from the participant."""

    give: Annotated[str, Field(max_length=32, description="Symbol of an asset.", examples=["BTC"])]
    give_amount: Amount
    get: Annotated[str, Field(max_length=32, description="Symbol of an asset.", examples=["ETH"])]
    get_amount: Amount
    initiator: SideForm
    participant: SideForm


class CancelForm(Form):
    why: Words


class SwapWithEffects(Told):
    swap: SwapTold
    effects: list[EffectTold]


class Moments(Told):
    """One line of a swap's story. seq: of the entry in the audit chain."""

    seq: int
    at: Moment
    actor: str
    event: str
    sentence: str


async def visible(service: Service, caller: Caller, swap_id: str) -> SwapRow:
    """The swap, if it is there for this caller."""
    async with service.house.store.read() as reading:
        return seen(await reading.swap(swap_id), caller)


def seen(row: SwapRow, caller: Caller) -> SwapRow:
    """Another tenant's is as unknown as none."""
    if not caller.sees(row.owner):
        raise no_such_swap(row.id)
    return row


@router.post("/v1/swaps", status_code=201)
async def create_swap(form: SwapForm, service: Serving, caller: Trader, once: Once) -> SwapTold:
    """Make a swap with swapd's own secret. Nothing is written unless everything about it is right."""
    house = service.house
    caller.require_networks(*_chains(house, form))

    answers: list[SwapTold] = []

    async def remember(writing: Transaction, terms: SwapTerms) -> None:
        answers.append(swap_told(house, await writing.swap(terms.swap_id), caller))
        await once.remember(writing, 201, answers[-1])

    request = agree.Request(
        form.give, form.give_amount, form.get, form.get_amount, form.initiator.side(), form.participant.side()
    )
    await agree.create(house, request, caller.actor, remember, owner=caller.tenant)
    return answers[-1]


@router.get("/v1/swaps", response_model=Listed[SwapTold])
async def list_swaps(
    service: Serving,
    caller: Reader,
    page: Paged,
    status: Annotated[list[Status] | None, Query(description="Of these statuses alone.")] = None,
    frozen: Annotated[bool | None, Query(description="Those with an open dispute, or without.")] = None,
    owner: Annotated[
        str | None, Query(pattern=NO_NUL_PATTERN, max_length=63, description="Of this tenant alone.")
    ] = None,
) -> Response:
    """The newest first. A marketplace sees its own."""
    whose = owner if caller.of_the_house else caller.tenant
    if owner is not None and not caller.sees(owner):
        return as_it_is(Listed[SwapTold](items=[]))
    async with service.house.store.read() as reading:
        found = await reading.swaps(
            status=status, owner=whose, frozen=frozen, before=_before(page.position), limit=page.limit + 1
        )
    rows = found.swaps[: page.limit]
    more = len(found.swaps) + len(found.damaged) > page.limit
    told = Listed[SwapTold](
        items=[swap_told(service.house, row, caller) for row in rows],
        next=page.cursor(rows[-1].created_at, rows[-1].id) if rows and more else None,
    )
    return as_it_is(told)


@router.get("/v1/swaps/{swap_id}", response_model=SwapWithEffects, responses=TAGGED)
async def read_swap(swap_id: SwapId, request: Request, service: Serving, caller: Reader) -> Response:
    """A swap, with everything that swapd does and did for it."""
    async with service.house.store.read() as reading:
        row = seen(await reading.known(swap_id), caller)
        effects = await reading.effects(swap_id)
    told = SwapWithEffects(
        swap=swap_told(service.house, row, caller), effects=[effect_told(each, caller) for each in effects]
    )
    return tagged(request, told)


@router.get("/v1/swaps/{swap_id}/timeline")
async def read_timeline(swap_id: SwapId, service: Serving, caller: Reader, page: Paged) -> Listed[Moments]:
    """The swap's story from the audit chain, oldest first."""
    await visible(service, caller, swap_id)
    after = page.position[0] if page.position and isinstance(page.position[0], int) else 0
    async with service.house.store.read() as reading:
        entries = await reading.audit_trail(swap_id, after=after, limit=page.limit + 1)
    items = [
        Moments(seq=each.seq, at=moment(each.at), actor=each.actor, event=each.event, sentence=sentence(each))
        for each in entries[: page.limit]
    ]
    return Listed(items=items, next=page.cursor(items[-1].seq) if len(entries) > page.limit else None)


@router.post("/v1/swaps/{swap_id}/cancel")
@exit_route
async def cancel_swap(
    swap_id: SwapId, form: CancelForm, request: Request, service: Serving, caller: Trader
) -> SwapTold:
    """Call a swap off while nothing is locked. Money that comes later is sent back at its timelock. Again changes
    nothing."""
    require_match(request, swap_told(service.house, await visible(service, caller, swap_id), caller))
    async with service.house.store.write(caller.actor) as writing:
        await writing.cancel(swap_id, form.why)
    return swap_told(service.house, await visible(service, caller, swap_id), caller)


@router.post("/v1/swaps/{swap_id}/refund")
@exit_route
async def refund_swap(swap_id: SwapId, service: Serving, caller: Stopper) -> SwapTold:
    """Look again for anything of this swap that can go back now, from its first day on, and send it. Refused before
    the timelock (S5)."""
    await visible(service, caller, swap_id)
    return swap_told(service.house, await ask_refund(service.house, swap_id, caller.actor), caller)


def _chains(house: House, form: SwapForm) -> list[str]:
    """Those that it would touch. Raises Invalid for an asset that is not traded here."""
    return [house.asset(name, symbol)[0].chain for name, symbol in (("give", form.give), ("get", form.get))]


def _before(position: list[Json] | None) -> tuple[int, str] | None:
    match position:
        case [int(created_at), str(swap_id)]:
            return created_at, swap_id
    return None
