"""What a place in a block costs, hour by hour, and what each side bids for it.

swapd bids by its own schedules (`swapd/chains/*/fees.py`), from what its node tells it about the market; the other side
knows the true price. Bounds of nature, which the settings state too: an estimate is at most four times too low, and no
price passes the highest that swapd is configured to pay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from swapd.chains.bitcoin import fees as bitcoin_fees
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.ethereum.fees import FeePolicy, Fees
from swapd.chains.ethereum.fees import Market as EthereumQuote
from swapd.protocol.effects import EffectKind
from tests.simulation.blocks import Blocks
from tests.simulation.ledger import Tx

GWEI = 10**9
SPEND_VSIZE = 120
DUST = 330
NOISE = [math.exp(Random(place).gauss(0, 0.15)) for place in range(997)]
"""By which factor the price of one block differs from the hour's."""

CALMEST = min(NOISE)

ERRORS = (1.0, 1.0, 1.2, 0.9, 0.7, 0.5, 2.0, 0.26)
"""By which factor a node's estimate is wrong."""


class Market(Protocol):
    def takes(self, tx: Tx, height: int) -> bool: ...

    def first_that_takes(self, txs: Sequence[Tx], height: int, until: float) -> int:
        """The first height from this one on whose block takes one of these, or is not before this moment."""

    def ours(
        self, kind: EffectKind, amount: int, sent: Sequence[Tx], rival: Tx | None, deadline: int, now: float
    ) -> object | None:
        """swapd's bid; None if what was sent is good enough, or no more may be paid."""

    def theirs(self, style: str, now: float) -> object | None:
        """The other side's bid. style: "market", "high", "low" (waits for quiet hours), "never" (is never taken)."""

    def arrives(self, who: str, now: float) -> float:
        """When a transaction that is sent now can be in a block at the earliest."""


@dataclass(frozen=True)
class Crowd:
    """A time in which prices are up to `factor` times as high: they rise over `ramp` seconds, and fall likewise."""

    begin: float
    end: float
    ramp: float
    factor: float

    def log_rise(self, now: float) -> float:
        if not self.begin < now < self.end:
            return 0.0
        edge = min(now - self.begin, self.end - now)
        return math.log(self.factor) * min(1.0, edge / self.ramp)


def crowds(rng: Random, begin: float, seconds: float, highest: float, ramp: float) -> tuple[Crowd, ...]:
    """Up to two crowded times within these seconds. Half of all swaps meet none."""
    found = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        start = begin + rng.random() * seconds
        length = 2 * ramp + rng.expovariate(1 / 7200)
        found.append(Crowd(start, start + length, ramp, math.exp(rng.random() * math.log(highest))))
    return tuple(found)


def _first(market: BitcoinMarket | EthereumMarket, txs: Sequence[Tx], best: float, height: int, until: float) -> int:
    """best: the noisiest block of a quiet hour that one of these still pays for. Crowds only raise prices, so whatever
    is noisier takes none of them, and need not be looked at closely."""
    end = market.blocks.height(until - 0.001) + 1
    if best < CALMEST:
        return max(height, end)
    while height < end and (NOISE[height % 997] > best or not any(market.takes(tx, height) for tx in txs)):
        height += 1
    return height


@dataclass
class BitcoinMarket:
    """Prices in sat/vB. base: of quiet hours. error: of the node's estimate."""

    settings: BitcoinSettings
    blocks: Blocks
    base: float
    crowded: tuple[Crowd, ...]
    error: float

    @classmethod
    def draw(
        cls, settings: BitcoinSettings, blocks: Blocks, rng: Random, begin: float, seconds: float
    ) -> BitcoinMarket:
        base = math.exp(rng.uniform(math.log(1.5), math.log(30)))
        highest = settings.fee.cap_rate / 2 / base  # noise may double it
        return cls(settings, blocks, base, crowds(rng, begin, seconds, highest, 1800), rng.choice(ERRORS))

    def price(self, now: float) -> float:
        return self.base * math.exp(max((c.log_rise(now) for c in self.crowded), default=0.0))

    def takes(self, tx: Tx, height: int) -> bool:
        rate: int = tx.bid.rate
        return rate >= self.price(self.blocks.time(height)) * NOISE[height % 997]

    def first_that_takes(self, txs: Sequence[Tx], height: int, until: float) -> int:
        return _first(self, txs, max(tx.bid.rate for tx in txs) / self.base, height, until)

    def quote(self, seconds_left: float, now: float) -> bitcoin_fees.Market:
        target = bitcoin_fees.target(int(seconds_left), self.settings.timing.block_seconds)
        # an estimate looks back; one for many blocks knows that crowds pass
        recent = self.price(self.blocks.time(self.blocks.height(now))) * self.error
        patience = min(1.0, math.log(max(1.0, target / 2)) / math.log(72))
        quiet = min(recent, self.base)
        return bitcoin_fees.Market(max(1, math.ceil(recent * (quiet / recent) ** patience)), 1, 1)

    def ours(
        self, kind: EffectKind, amount: int, sent: Sequence[Tx], rival: Tx | None, deadline: int, now: float
    ) -> bitcoin_fees.Rival | None:
        left = int(deadline - now)
        market, fee = self.quote(left, now), self.settings.fee
        if kind is EffectKind.LOCK:
            rate = bitcoin_fees.wanted_rate(fee, market, left, yields=False)
            return None if sent else bitcoin_fees.Rival(rate * 200, rate)
        if sent and rival is None and bitcoin_fees.good_enough(fee, market, sent[-1].bid.rate, left, yields=True):
            return None
        purse = bitcoin_fees.Purse(amount, SPEND_VSIZE, DUST, yields=True)
        rivals = [tx.bid for tx in sent] + ([rival.bid] if rival else [])
        paid = bitcoin_fees.next_fee(fee, market, purse, rivals, left)
        return None if paid is None else bitcoin_fees.Rival(paid, paid // SPEND_VSIZE)

    def theirs(self, style: str, now: float) -> bitcoin_fees.Rival | None:
        if style == "never":
            return None
        rate = {"market": self.price(now) * 1.3, "high": self.price(now) * 8, "low": self.base * 0.9}[style]
        return bitcoin_fees.Rival(int(rate) * SPEND_VSIZE, math.ceil(rate))

    def arrives(self, who: str, now: float) -> float:
        return 0.0


@dataclass
class EthereumMarket:
    """Prices in wei per gas: base, the base fee of quiet hours; tip, what proposers get then. A base fee rises by an
    eighth a block at the most."""

    policy: FeePolicy
    blocks: Blocks
    base: float
    tip: float
    crowded: tuple[Crowd, ...]
    error: float

    @classmethod
    def draw(cls, policy: FeePolicy, blocks: Blocks, rng: Random, begin: float, seconds: float) -> EthereumMarket:
        base = math.exp(rng.uniform(math.log(0.5), math.log(30))) * GWEI
        tip = math.exp(rng.uniform(math.log(0.05), math.log(2))) * GWEI
        highest = policy.fee_cap_at_deadline * 0.8 / base
        return cls(policy, blocks, base, tip, crowds(rng, begin, seconds, highest, 900), rng.choice(ERRORS))

    def rise(self, now: float) -> float:
        highest = 0.0
        for crowd in self.crowded:
            if crowd.begin < now < crowd.end:
                highest = max(highest, crowd.log_rise(now))
        return math.exp(highest) if highest else 1.0

    def base_fee(self, now: float) -> int:
        return int(self.base * self.rise(now))

    def tip_asked(self, now: float) -> float:
        return self.tip * math.sqrt(self.rise(now))

    def takes(self, tx: Tx, height: int) -> bool:
        noise, rise = NOISE[height % 997], 1.0
        if self.crowded:
            rise = self.rise(self.blocks.time(height))
        tip = self.tip * math.sqrt(rise) * noise
        fees: Fees = tx.bid
        return fees.priority >= tip and fees.max_fee - self.base * rise * noise >= tip

    def first_that_takes(self, txs: Sequence[Tx], height: int, until: float) -> int:
        best = max(min(tx.bid.priority / self.tip, tx.bid.max_fee / (self.base + self.tip)) for tx in txs)
        return _first(self, txs, best, height, until)

    def ours(
        self, kind: EffectKind, amount: int, sent: Sequence[Tx], rival: Tx | None, deadline: int, now: float
    ) -> Fees | None:
        recent = self.blocks.time(self.blocks.height(now))
        quote = EthereumQuote(self.base_fee(recent), int(self.tip_asked(recent) * self.error))
        left = int(deadline - now)
        if not sent:
            return self.policy.first(quote, left)
        return self.policy.replacement(quote, left, sent[-1].bid)

    def theirs(self, style: str, now: float) -> Fees | None:
        tip = int(self.tip_asked(now) * 1.5)
        if style == "never":
            return None
        if style == "low":
            return Fees(int(self.base * 1.3 + self.tip * 1.3), int(self.tip * 1.3))
        return Fees(3 * self.base_fee(now) + 10 * tip, 10 * tip if style == "high" else tip)

    def arrives(self, who: str, now: float) -> float:
        return 0.0


@dataclass
class IcpMarket:
    """Nothing is bid here. A request takes some seconds, in a bad hour up to the profile's inclusion margin; the other
    side never waits."""

    rng: Random
    blocks: Blocks
    slow_share: float
    slowest: int

    def takes(self, tx: Tx, height: int) -> bool:
        return self.blocks.time(height) >= tx.not_before

    def first_that_takes(self, txs: Sequence[Tx], height: int, until: float) -> int:
        return max(height, self.blocks.height(min(until, *(tx.not_before for tx in txs)) - 0.001) + 1)

    def ours(
        self, kind: EffectKind, amount: int, sent: Sequence[Tx], rival: Tx | None, deadline: int, now: float
    ) -> object | None:
        return None if sent else "request"

    def theirs(self, style: str, now: float) -> object | None:
        return style  # it is carried out whatever it says

    def arrives(self, who: str, now: float) -> float:
        if who == "other":
            return now + 2
        slow = self.rng.random() < self.slow_share
        return now + (self.rng.uniform(5, self.slowest) if slow else self.rng.uniform(2, 6))
