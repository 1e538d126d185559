"""Whether swapd's own wallets can pay for their part in a swap, network fees included."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swapd.coordinator.house import House
from swapd.errors import HouseOnly
from swapd.protocol.terms import Leg, Wallet


class NotEnough(HouseOnly):
    """swapd's wallet can not pay for it. Its words say what the wallet holds."""

    def __init__(self, symbol: str, words: str) -> None:
        self.symbol = symbol
        self.for_others = f"not enough {symbol} for this now"
        super().__init__(words)


@dataclass(frozen=True)
class Needs:
    """By asset symbol, in smallest units: what some legs need of swapd's wallets, and what these held when asked."""

    needs: Mapping[str, int]
    balances: Mapping[str, int]

    def require(self, promised: Mapping[str, int]) -> None:
        """Refuse (`NotEnough`) unless everything is there and not promised to other swaps."""
        for symbol, needed in self.needs.items():
            taken = promised.get(symbol, 0)
            if needed and needed > self.balances[symbol] - taken:
                raise NotEnough(
                    symbol,
                    f"not enough {symbol}: this needs {needed} with fees, the wallet has {self.balances[symbol]}"
                    f" and {taken} of it is promised to other swaps",
                )


async def needs_of(house: House, legs: Iterable[Leg]) -> Needs:
    """Asks the chains. What is promised is another question, and the answer to that may change meanwhile."""
    needs: Counter[str] = Counter()
    balances: dict[str, int] = {}
    for costs, held in await asyncio.gather(*(_of_leg(house, leg) for leg in legs)):
        needs.update(costs)
        balances.update(held)
    return Needs(needs, balances)


async def _of_leg(house: House, leg: Leg) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """What it costs; and, if that is anything, what the wallets on its chain hold."""
    chain = house.chain(leg.terms.chain)
    costs = await chain.costs(leg)
    return costs, await chain.balances() if any(costs.values()) else {}


async def require_leg_funds(house: House, leg: Leg) -> None:
    """Right before a leg is funded: its own promise is not counted against it."""
    async with house.store.read() as reading:
        promised = await reading.reserved(house.clock())
    if leg.funded_by is Wallet.HOT:
        symbol = leg.terms.asset.symbol
        promised[symbol] = max(0, promised.get(symbol, 0) - leg.terms.amount)
    (await needs_of(house, [leg])).require(promised)
