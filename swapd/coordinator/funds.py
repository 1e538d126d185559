"""Whether swapd's own wallets can pay for their part in a swap, network fees included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from swapd.coordinator.house import House
from swapd.errors import Rejected
from swapd.protocol.terms import Leg, SwapTerms, Wallet


class NotEnough(Rejected):
    """swapd's wallet can not pay for it. Its words say what the wallet holds: they are for its owner alone."""

    def __init__(self, symbol: str, words: str) -> None:
        self.symbol = symbol
        super().__init__(words)


async def require_funds(house: House, terms: SwapTerms) -> dict[str, int]:
    """Refuse (Rejected) a new swap unless everything it needs of swapd is there and not promised to other swaps.
    Returns what was promised to them: if that has changed when the swap is written down, the answer means nothing."""
    async with house.store.read() as reading:
        promised = await reading.reserved(house.clock())
    await _require(house, terms.legs, promised)
    return promised


async def require_leg_funds(house: House, leg: Leg) -> None:
    """The same right before a leg is funded: its own promise is not counted against it."""
    async with house.store.read() as reading:
        promised = await reading.reserved(house.clock())
    if leg.funded_by is Wallet.HOT:
        symbol = leg.terms.asset.symbol
        promised[symbol] = max(0, promised.get(symbol, 0) - leg.terms.amount)
    await _require(house, [leg], promised)


async def _require(house: House, legs: Iterable[Leg], promised: Mapping[str, int]) -> None:
    needs: Counter[str] = Counter()
    balances: dict[str, int] = {}
    for leg in legs:
        chain = house.chain(leg.terms.chain)
        needs.update(await chain.costs(leg))
        balances.update(await chain.balances())
    for symbol, needed in needs.items():
        taken = promised.get(symbol, 0)
        if needed and needed > balances[symbol] - taken:
            raise NotEnough(
                symbol,
                f"not enough {symbol}: this needs {needed} with fees, the wallet has {balances[symbol]}"
                f" and {taken} of it is promised to other swaps",
            )
