"""What must hold after every scenario, whatever happened in it, read from the chains alone.

Money: what each party has more or less, fees given back, sums to nothing, and nothing stays in a contract, a canister
or a script. Locks: each leg was funded at most once. Audit: the hash chain of every database is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swapd.devnet.money import NOBODY, Account, Coin, Count, count, fees
from swapd.protocol.terms import SwapTerms
from tests.scenarios.chains import Chains
from tests.scenarios.side import Side

Gains = Mapping[str, Mapping[str, int]]
"""By name of the party and symbol of the coin, in smallest units: what it has more than before, fees not counted."""


@dataclass
class Books:
    """coins: what is counted. payers: who sent which Bitcoin transaction, for those that no database knows."""

    chains: Chains
    coins: Sequence[Coin]
    accounts: list[Account]
    payers: dict[str, str] = field(default_factory=dict)
    _before: Count | None = None

    @property
    def symbols(self) -> list[str]:
        return [coin.asset.symbol for coin in self.coins]

    async def open(self) -> None:
        self._before = await count(self.coins, self.accounts)

    async def close(self, sides: Iterable[Side], *, locks: int = 1) -> Gains:
        """Check everything; returns what each party gained. locks: the most that any one leg may have on chain."""
        assert self._before is not None
        before, after = self._before, await count(self.coins, self.accounts)
        payers, agreed = dict(self.payers), dict[str, tuple[Side, SwapTerms]]()
        for side in sides:
            async with side.house.store.read() as reading:
                await reading.verify_audit()
                found = await reading.swaps()
                assert not found.damaged
                effects = [each for row in found.swaps for each in await reading.effects(row.id)]
            payers |= {attempt.tx.txid: side.name for effect in effects for attempt in effect.attempts}
            agreed |= {row.id: (side, row.terms) for row in found.swaps}
        spent = await fees(self.coins, before, after, self.accounts, payers)
        gains = {
            account.name: {
                symbol: after.had[symbol][account.name]
                - before.had[symbol][account.name]
                + spent.paid[symbol][account.name]
                for symbol in self.symbols
            }
            for account in self.accounts
        }
        for symbol in self.symbols:
            assert not spent.paid[symbol][NOBODY], f"somebody unknown sent a transaction and paid for it in {symbol}"
            assert after.held[symbol] == before.held[symbol], f"{symbol} stayed where all legs lie"
            assert sum(gain[symbol] for gain in gains.values()) == 0, f"{symbol} appeared or vanished: {gains}"
        made_by_name = await self._locks(before, after)
        for side, terms in agreed.values():
            for leg in terms.legs:
                made = made_by_name[side.house.chain(leg.terms.chain).fingerprint(leg.terms)]
                assert made <= locks, f"{leg.terms.chain} has {made} locks of the {leg.role.value} leg"
        return gains

    async def _locks(self, before: Count, after: Count) -> Counter[str]:
        """How often each name (address, lock id) was funded between the two counts."""
        found: Counter[str] = Counter()
        for coin in self.coins:
            symbol = coin.asset.symbol
            found.update(await self.chains.locks(coin, before.heights[symbol] + 1, after.heights[symbol]))
        return found
