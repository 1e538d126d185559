"""What must hold after every scenario, whatever happened in it, read from the chains alone.

Money: what each party has more or less, fees given back, sums to nothing, and nothing stays in a contract or script.
Locks: each leg was funded at most once. Audit: the hash chain of every database is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from swapd.chains.ethereum.htlc import Htlc
from swapd.devnet.anvil import CHAIN_ID
from swapd.devnet.money import Account, Count, count, fees
from swapd.protocol.terms import SwapTerms
from tests.scenarios.chains import Chains
from tests.scenarios.side import Side

Gains = Mapping[str, Mapping[str, int]]
"""By name of the party and symbol of the coin, in smallest units: what it has more than before, fees not counted."""


@dataclass
class Books:
    """payers: who sent which Bitcoin transaction, for those that no database knows."""

    chains: Chains
    accounts: list[Account]
    payers: dict[str, str] = field(default_factory=dict)
    _before: Count | None = None

    async def open(self) -> None:
        self._before = await self._count()

    async def close(self, sides: Iterable[Side], *, locks: int = 1) -> Gains:
        """Check everything; returns what each party gained. locks: the most that any one leg may have on chain."""
        assert self._before is not None
        before, after = self._before, await self._count()
        payers, agreed = dict(self.payers), dict[str, tuple[Side, SwapTerms]]()
        for side in sides:
            async with side.house.store.read() as reading:
                await reading.verify_audit()
                found = await reading.swaps()
                assert not found.damaged
                effects = [each for row in found.swaps for each in await reading.effects(row.id)]
            payers |= {attempt.tx.txid: side.name for effect in effects for attempt in effect.attempts}
            agreed |= {row.id: (side, row.terms) for row in found.swaps}
        spent = await fees(self.chains.bitcoind, self.chains.anvil, before, after, self.accounts, payers)
        gains = {
            account.name: {
                "BTC": after.satoshi[account.name] - before.satoshi[account.name] + spent.satoshi[account.name],
                "ETH": after.wei[account.name] - before.wei[account.name] + spent.wei[account.name],
            }
            for account in self.accounts
        }
        assert not spent.satoshi["?"], "somebody unknown sent a Bitcoin transaction"
        assert not spent.wei["?"], "somebody unknown sent an Ethereum transaction"
        assert after.contract == before.contract, "money stayed in the contract"
        for symbol in ("BTC", "ETH"):
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
        node = self.chains.bitcoind
        for height in range(before.bitcoin_height + 1, after.bitcoin_height + 1):
            block = await node.rpc("getblock", await node.rpc("getblockhash", height), 2)
            found.update(o["scriptPubKey"].get("address", "") for tx in block["tx"] for o in tx["vout"])
        logs = await self.chains.anvil.rpc(
            "eth_getLogs",
            {
                "address": self.chains.contract,
                "fromBlock": hex(before.ethereum_height + 1),
                "toBlock": hex(after.ethereum_height),
                "topics": [Htlc(CHAIN_ID, self.chains.contract).locked_topic],
            },
        )
        found.update(log["topics"][1] for log in logs)
        return found

    async def _count(self) -> Count:
        return await count(self.chains.bitcoind, self.chains.anvil, self.accounts, self.chains.contract)
