"""What a swap would be, before there is one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from swapd.api.access import Caller, allows
from swapd.api.forms import Amount, Form, Moment, Told, ToldAmount, moment
from swapd.api.service import Serving
from swapd.coordinator.quotes import Quote, QuotedLeg, Wish, quote
from swapd.protocol.terms import Role, Wallet
from swapd.store import KeyRole

router = APIRouter(tags=["quotes"])

Asker = Annotated[Caller, Depends(allows(KeyRole.MARKETPLACE, KeyRole.OPERATOR))]


class QuoteForm(Form):
    """initiator, participant: whose wallets they would be."""

    give: Annotated[str, Field(max_length=32, examples=["BTC"])]
    give_amount: Amount
    get: Annotated[str, Field(max_length=32, examples=["ETH"])]
    get_amount: Amount
    initiator: Annotated[Wallet, Field(strict=False)] = Wallet.EXTERNAL
    participant: Annotated[Wallet, Field(strict=False)] = Wallet.HOT


class LegQuote(Told):
    """fees: what swapd's own wallet would pay the network for its part, at most and by asset."""

    role: Role
    chain: str
    asset: str
    amount: ToldAmount
    minimum: ToldAmount
    maximum: ToldAmount
    confirmations: int
    fees: dict[str, ToldAmount]
    fund_by: Moment
    timelock: Moment


class Step(Told):
    """A line of the plan: so many seconds, and what they are for."""

    name: str
    seconds: int
    why: str


class QuoteTold(Told):
    """The moments if it were made now. open: whether swapd would begin it at this moment."""

    initiator: LegQuote
    participant: LegQuote
    reveal_by: Moment
    approvals: int
    open: bool
    closed_because: str
    steps: list[Step]


@router.post("/v1/quotes")
async def ask_quote(form: QuoteForm, service: Serving, caller: Asker) -> QuoteTold:
    """Timelocks, confirmations, network fees and bounds. Nothing is promised or written: the next block or swap may
    change it."""
    wish = Wish(form.give, form.give_amount, form.get, form.get_amount, form.initiator, form.participant)
    found = await quote(service.house, service.daemon.gate if service.daemon else None, wish)
    caller.require_networks(*(leg.chain for leg in found.legs))
    plan = found.plan
    return QuoteTold(
        initiator=_leg(found.legs[0], plan.initiator_fund_by, plan.initiator_timelock),
        participant=_leg(found.legs[1], plan.participant_fund_by, plan.participant_timelock),
        reveal_by=moment(plan.reveal_by),
        approvals=found.approvals,
        open=not found.closed,
        closed_because=found.closed if caller.of_the_house else "",
        steps=_steps(found),
    )


def _leg(leg: QuotedLeg, fund_by: int, timelock: int) -> LegQuote:
    return LegQuote(
        role=leg.role,
        chain=leg.chain,
        asset=leg.asset,
        amount=leg.amount,
        minimum=leg.minimum,
        maximum=leg.maximum,
        confirmations=leg.confirmations,
        fees=dict(leg.fees),
        fund_by=moment(fund_by),
        timelock=moment(timelock),
    )


def _steps(found: Quote) -> list[Step]:
    return [Step(name=line.name, seconds=line.seconds, why=line.why) for line in found.plan.lines]
