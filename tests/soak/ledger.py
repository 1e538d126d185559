"""What must hold at the end, read from chains, databases and the daemons' logs: money, locks, statuses, audit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from swapd.devnet.bitcoind import Bitcoind
from swapd.devnet.money import NOBODY, Count, Fees, count, fees
from swapd.errors import Rejected, SwapdError
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import SwapRow
from tests.soak.deals import Deal
from tests.soak.log import Log
from tests.soak.trader import Trader
from tests.soak.world import SoakWorld

Amounts = Mapping[str, Mapping[str, int]]
"""By name of the trader and symbol."""


@dataclass
class Ledger:
    """endings: swaps by how they ended."""

    world: SoakWorld
    traders: Sequence[Trader]
    log: Log
    endings: Counter[str] = field(default_factory=Counter)
    _before: Count | None = None

    @property
    def symbols(self) -> list[str]:
        return [coin.asset.symbol for coin in self.world.counted]

    async def open(self) -> None:
        self._before = await count(self.world.counted, [trader.account for trader in self.traders])

    async def close(self, deals: Sequence[Deal]) -> list[str]:
        """Every violation is told to the log. Returns the ledger of money, a line for each trader and coin."""
        assert self._before is not None
        accounts = [trader.account for trader in self.traders]
        payers: dict[str, str] = {}
        for trader in self.traders:
            payers |= await self._books(trader, deals)
        before, after = self._before, await count(self.world.counted, accounts)
        payers |= await self._from_memory(before, after, payers)
        spent = await fees(self.world.counted, before, after, accounts, payers)
        moved = await self._statuses(deals)
        await self._locks(deals, before, after)
        self._places(before, after, spent)
        return list(self._lines(before, after, spent, moved))

    async def _books(self, trader: Trader, deals: Sequence[Deal]) -> dict[str, str]:
        """Its database and its daemon's log; who sent what, by txid."""
        said = Counter([*trader.mishaps, *(line.partition(" ")[2] for line in trader.daemon.mistakes())])
        for words, times in said.items():
            self.log.violation(f"{trader.name}, {times} times: {words}")
        try:
            async with trader.house.store.read() as reading:
                await reading.verify_audit()
                found = await reading.swaps()
                effects = [each for row in found.swaps for each in await reading.effects(row.id)]
        except SwapdError as error:
            self.log.violation(f"{trader.name}: {error}")
            return {}
        for damaged in found.damaged:
            self.log.violation(f"{trader.name}: {damaged}")
        unknown = {row.id for row in found.swaps} - {deal.swap_id for deal in deals}
        if unknown:
            self.log.violation(f"{trader.name} has swaps that nobody agreed on: {', '.join(sorted(unknown))}")
        return {attempt.tx.txid: trader.name for effect in effects for attempt in effect.attempts}

    async def _from_memory(self, before: Count, after: Count, known: Mapping[str, str]) -> dict[str, str]:
        """Who sent what no database knows: exits go on without one (rule S8), and the node's wallets know their own."""
        node, found = self.world.bitcoind, {}
        for height in range(before.heights["BTC"] + 1, after.heights["BTC"] + 1):
            block = await node.rpc("getblock", await node.rpc("getblockhash", height), 1)
            for txid in block["tx"][1:]:
                if txid in known:
                    continue
                for trader in self.traders:
                    if await _concerns(node, trader.account.at["bitcoin"], txid):
                        found[txid] = trader.name
                        self.log.say(f"{trader.name} sent {txid}, which its database does not know")
        return found

    async def _statuses(self, deals: Sequence[Deal]) -> Amounts:
        """How each swap ended, for both sides alike. Returns what each trader gained by those that completed."""
        moved: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for deal in deals:
            rows = {}
            for trader in deal.parties:
                try:
                    rows[trader.name] = await deal.row(trader)
                except SwapdError as error:
                    self.log.violation(f"{deal}: {trader.name}: {error}")
            self._ended(deal, rows)
            if any(row.status is Status.COMPLETED for row in rows.values()):
                for symbol, amount, giver, taker in (
                    (deal.give, deal.give_amount, deal.initiator, deal.participant),
                    (deal.get, deal.get_amount, deal.participant, deal.initiator),
                ):
                    moved[giver.name][symbol] -= amount
                    moved[taker.name][symbol] += amount
        return moved

    def _ended(self, deal: Deal, rows: Mapping[str, SwapRow]) -> None:
        told = "; ".join(f"{name}: {row.status.value} {row.note} {row.reason}".strip() for name, row in rows.items())
        statuses = {row.status for row in rows.values()}
        completed = Status.COMPLETED in statuses
        if not all(status.ended for status in statuses):
            self.log.violation(f"{deal} has not ended: {told}")
        elif Status.FAILED in statuses or (completed and (statuses != {Status.COMPLETED} or not deal.accepted)):
            self.log.violation(f"{deal} ended in two ways: {told}")
        worst = [status for status in (Status.FAILED, Status.COMPLETED, Status.REFUNDED) if status in statuses]
        self.endings[worst[0].value if worst else min(status.value for status in statuses)] += 1

    async def _locks(self, deals: Sequence[Deal], before: Count, after: Count) -> None:
        found: Counter[str] = Counter()
        for coin in self.world.counted:
            symbol = coin.asset.symbol
            found.update(await self.world.locks(coin, before.heights[symbol] + 1, after.heights[symbol]))
        for deal in deals:
            for role in Role:
                leg = deal.terms.leg(role).terms
                made = found[deal.initiator.house.chain(leg.chain).fingerprint(leg)]
                if made > 1:
                    self.log.violation(f"{deal}: {made} locks of the {role.value} leg on {leg.chain}")

    def _places(self, before: Count, after: Count, spent: Fees) -> None:
        for symbol in self.symbols:
            if left := after.held[symbol] - before.held[symbol]:
                self.log.violation(f"{left} {symbol} stay where legs lie")
            if spent.paid[symbol][NOBODY]:
                self.log.violation(f"somebody unknown paid {spent.paid[symbol][NOBODY]} {symbol} for transactions")

    def _lines(self, before: Count, after: Count, spent: Fees, moved: Amounts) -> Iterator[str]:
        """A trader has what it had, less fees, and what the swaps that completed brought; not a unit more or less."""
        yield f"{'ledger':<10} {'coin':<4} {'before':>24} {'after':>24} {'fees':>20} {'by swaps':>22} {'rest':>10}"
        for symbol in self.symbols:
            total = 0
            for trader in self.traders:
                name = trader.name
                had, has, paid = before.had[symbol][name], after.had[symbol][name], spent.paid[symbol][name]
                gained = moved.get(name, {}).get(symbol, 0)
                difference = has - had + paid - gained
                total += has - had + paid
                if difference:
                    self.log.violation(f"{name} has {difference} {symbol} more than it should (less, if negative)")
                yield f"{name:<10} {symbol:<4} {had:>24} {has:>24} {paid:>20} {gained:>22} {difference:>10}"
            if total:
                self.log.violation(f"{total} {symbol} appeared (vanished, if negative)")
            yield f"{'sum':<10} {symbol:<4} {total:>105}"


async def _concerns(node: Bitcoind, wallet: str, txid: str) -> bool:
    try:
        await node.rpc("gettransaction", txid, wallet=wallet)
    except Rejected:
        return False
    return True
