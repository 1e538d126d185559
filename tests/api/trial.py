"""Routes for tests alone: what the real ones are made of, without swaps."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from swapd.api.access import Caller, allows, anyone, exit_route, open_route
from swapd.api.conditional import require_match, tagged
from swapd.api.forms import Amount, Form, Listed, Told, ToldAmount
from swapd.api.idempotency import Once
from swapd.api.paging import Paged
from swapd.api.problems import Problem
from swapd.api.service import Serving
from swapd.errors import Invalid, Rejected, SwapdError, Unavailable, Unknown
from swapd.store import Conflict, DamagedRow, KeyRole

SECRET = "the-innermost-secret"

router = APIRouter()
Anyone = Annotated[Caller, Depends(anyone())]

waiting: asyncio.Event = asyncio.Event()


class Deposit(Form):
    amount: Amount


class Deposited(Told):
    number: int
    amount: ToldAmount


class State(Told):
    number: int


@router.post("/v1/trial/deposits", status_code=201)
async def deposit(
    form: Deposit,
    caller: Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR))],
    once: Once,
    service: Serving,
) -> Deposited:
    """Counts how often it was done, in the audit chain."""
    async with service.house.store.write(caller.actor) as writing:
        number = 1 + sum(entry.event == "deposit" for entry in await writing.audit_trail())
        writing.audit("deposit", amount=str(form.amount))
        answer = Deposited(number=number, amount=form.amount)
        await once.remember(writing, 201, answer)
        if form.amount == 13:
            raise Rejected("not today")
    return answer


@router.get("/v1/trial/numbers")
async def numbers(page: Paged, _: Anyone, even: bool = False) -> Listed[int]:
    first = int(str(page.position[0])) + 1 if page.position else 0
    found = list(range(first, 25))[: page.limit]
    return Listed(items=found, next=page.cursor(found[-1]) if found and found[-1] < 24 else None)


@router.get("/v1/trial/state", response_model=State)
async def state(request: Request, _: Anyone, number: int = 1) -> Response:
    return tagged(request, State(number=number))


@router.put("/v1/trial/state")
async def change(request: Request, _: Anyone, number: int = 1) -> State:
    require_match(request, State(number=number), needed=True)
    return State(number=number + 1)


@router.post("/v1/trial/exit")
@exit_route
async def leave(_: Anyone) -> State:
    return State(number=1)


@router.get("/v1/trial/wait")
async def wait(_: Anyone) -> State:
    await waiting.wait()
    return State(number=1)


@router.get("/v1/trial/open")
@open_route
async def everybody() -> State:
    return State(number=1)


@router.get("/v1/trial/fails/{how}")
async def fails(how: str, _: Anyone) -> State:
    errors: dict[str, Exception] = {
        "invalid": Invalid("amount", SECRET, "a whole number"),
        "rejected": Rejected("the swap has ended"),
        "conflict": Conflict("somebody else"),
        "unavailable": Unavailable(f"http://{SECRET}:8545 does not answer"),
        "unknown": Unknown(f"sent to {SECRET}"),
        "damaged": DamagedRow("swaps", SECRET, "seal"),
        "swapd": SwapdError(SECRET),
        "problem": Problem("forbidden", "no", rule="S2", possible_at=7),
    }
    raise errors.get(how) or RuntimeError(SECRET)
