"""What a swap would be, before there is one: nothing is written, and nothing is promised."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from swapd.chains.base import Party
from swapd.coordinator import approvals
from swapd.coordinator.gate import Gate
from swapd.coordinator.house import House
from swapd.coordinator.pricing import Priced, as_priced, different_chains, price
from swapd.protocol.request import Side
from swapd.protocol.terms import Leg, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import Plan, plan

HASHLOCK, NOBODY = bytes(32), Party("nobody", "nobody", by_swapd=True)
"""Of the legs that are only made to ask what they cost, which does not depend on whom they are between."""


@dataclass(frozen=True)
class QuotedLeg:
    """amount, minimum, maximum, fees: smallest units. fees: what swapd's wallet would pay the network for its part, a
    careful estimate, by asset symbol."""

    role: Role
    chain: str
    asset: str
    amount: int
    minimum: int
    maximum: int
    confirmations: int
    fees: Mapping[str, int]


@dataclass(frozen=True)
class Quote:
    """plan: the moments if it were made now. approvals: operators who would have to agree. closed: why nothing would be
    begun at this moment, "" if it would."""

    legs: tuple[QuotedLeg, QuotedLeg]
    plan: Plan
    approvals: int
    closed: str


@dataclass(frozen=True)
class Wish:
    """give, get: asset symbols. Amounts in smallest units. initiator, participant: whose wallets they are."""

    give: str
    give_amount: int
    get: str
    get_amount: int
    initiator: Wallet
    participant: Wallet


async def quote(house: House, gate: Gate | None, wish: Wish) -> Quote:
    """Raises Invalid for an asset or amount that is not traded here. gate: None where no daemon says what is open."""
    initiator, participant = Side(wish.initiator), Side(wish.participant)
    first = price(house, Role.INITIATOR, wish.give, wish.give_amount, initiator, participant)
    second = price(house, Role.PARTICIPANT, wish.get, wish.get_amount, participant, initiator)
    different_chains(first.asset, second.asset)
    times = plan(house.clock(), first.timing, second.timing)
    legs = (
        as_priced(first, NOBODY, NOBODY, HASHLOCK, times.initiator_timelock, times),
        as_priced(second, NOBODY, NOBODY, HASHLOCK, times.participant_timelock, times),
    )
    swap_id = swap_id_of(HASHLOCK)
    terms = SwapTerms(swap_id, 0, SecretHolder.SELF, legs[0], legs[1], times.reveal_by, house.clock())
    quoted = await asyncio.gather(
        *(_quoted(house, priced, leg) for priced, leg in zip((first, second), legs, strict=True))
    )
    chains = [leg.terms.chain for leg in legs]
    closed = "" if gate is None else gate.for_chains(chains)
    return Quote((quoted[0], quoted[1]), times, approvals.needed(house, terms), closed)


async def _quoted(house: House, priced: Priced, leg: Leg) -> QuotedLeg:
    symbol = priced.asset.symbol
    costs = dict(await priced.market.chain.costs(leg))
    if leg.funded_by is Wallet.HOT:
        costs[symbol] -= leg.terms.amount
    allowed = house.asset("asset", symbol)[1]
    return QuotedLeg(
        role=priced.role,
        chain=priced.asset.chain,
        asset=symbol,
        amount=priced.amount,
        minimum=allowed.minimum,
        maximum=allowed.maximum,
        confirmations=priced.confirmations,
        fees={each: cost for each, cost in costs.items() if cost},
    )
