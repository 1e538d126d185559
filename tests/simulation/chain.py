"""The fake chains behind the interface of the real ones: the half of `HtlcChain` that looks and acts, over the very
`Ledger` that the simulation plays. `tests/suite` holds it to what the real adapters do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from swapd.chains.base import ChainClock, Cursor, Fate, Scan, Sighting, SightingKind, SignedTx, Tip, TxState, WatchedLeg
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegView
from swapd.protocol.terms import LegTerms
from tests.simulation.blocks import ListedBlocks, medians
from tests.simulation.ledger import Ledger, Rules, Tx

URGENT = 3600
"""Seconds before its deadline from which a transaction bids `RUSH` times as much."""

CALM_RATE, RUSH = 10, 4

_KINDS = {
    EffectKind.LOCK: SightingKind.LOCK,
    EffectKind.CLAIM: SightingKind.CLAIM,
    EffectKind.REFUND: SightingKind.REFUND,
}


class GrownBlocks(ListedBlocks):
    """Mined one by one. The next block is asked about before its time is known: then it is the tip's."""

    def time(self, height: int) -> float:
        return self.times[min(height, len(self.times) - 1)]

    def spendable(self, height: int) -> int:
        return self.clocks[min(height - 1 if self.lags else height, len(self.clocks) - 1)]


@dataclass
class FakeNode:
    """median: its clock is the median of the last eleven timestamps. instant: what is sent is carried out at once."""

    rules: Rules
    median: bool
    instant: bool
    start: int
    seconds: int
    down: bool = False
    hashes: list[str] = field(default_factory=list)
    known: dict[str, Tx] = field(default_factory=dict)
    ledger: Ledger = field(init=False)
    _count: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.blocks = GrownBlocks(self.median)
        self.ledger = Ledger(self.rules, self.blocks)
        for place in range(12):
            self.mine(self.start + (place - 11) * self.seconds)

    @property
    def tip(self) -> int:
        return len(self.blocks.times) - 1

    def name(self) -> str:
        return f"fake-{next(self._count)}"

    def mine(self, time: int | None = None) -> None:
        stamp = int(self.blocks.times[-1]) + self.seconds if time is None else time
        self.blocks.times.append(stamp)
        self.blocks.clocks.append(stamp)
        if self.median:
            self.blocks.clocks[:] = medians([int(t) for t in self.blocks.times])
        self.hashes.append(self.name())
        self.ledger.mine(self.tip)

    def reorg(self, depth: int) -> None:
        self.ledger.reorg(depth, self.tip)
        for height in range(self.tip - depth + 1, self.tip + 1):
            self.hashes[height] = self.name()

    def send(self, tx: Tx) -> None:
        """Raises Rejected. What it conflicts with in the pool, and is our own, is replaced."""
        if self.ledger.where(tx) is not None:
            return
        if tx.spends is not None:
            for rival in [each for each in self.ledger.pool if each.spends is tx.spends and each is not tx]:
                self.ledger.drop(rival)
        if not self.ledger.offer(tx, self.tip):
            raise Rejected("the node refuses it")
        if self.instant:
            self.mine()


@dataclass(frozen=True)
class FakeDraft:
    tx: Tx
    rate: int
    account: str | None = None
    floor: int = 0

    def sign(self, sequence: int | None) -> SignedTx:
        return SignedTx(self.tx.name, self.tx.name.encode(), self.rate, self.rate)


@dataclass
class FakeChain:
    """`HtlcChain` over a `FakeNode`, for the tests that need no more of it than to look and act."""

    node: FakeNode
    name: str = "fake"
    in_order: bool = False
    sees_all: bool = True

    @property
    def takes_locks_once(self) -> bool:
        return self.node.rules.once

    def _ledger(self) -> Ledger:
        if self.node.down:
            raise Unavailable("the fake node is down")
        return self.node.ledger

    async def clock(self) -> ChainClock:
        ledger, tip = self._ledger(), self.node.tip
        return ChainClock(Tip(tip, self.node.hashes[tip], int(self.node.blocks.times[tip])), ledger.clock(tip))

    async def view(self, leg: WatchedLeg) -> LegView:
        return self._ledger().view(leg.leg.terms, self.node.tip)

    # -- scanning --------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        self._ledger()
        here = Cursor(self.node.tip, self.node.hashes[-1], tuple(enumerate(self.node.hashes)))
        if cursor is None:
            return Scan(here)
        common = max(h for h, name in cursor.trail if h < len(self.node.hashes) and self.node.hashes[h] == name)
        return Scan(here, tuple(self._mined(common + 1, legs)), None if common == cursor.height else common)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        self._ledger()
        return tuple(self._mined(min((leg.birth for leg in legs), default=0), legs))

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        pool = [] if self.node.instant else self._ledger().pool
        return tuple(s for tx in pool for leg in legs if (s := self._sighting(tx, None, leg)) is not None)

    def _mined(self, since: int, legs: Sequence[WatchedLeg]) -> Iterator[Sighting]:
        for height, tx in self.node.ledger.mined:
            for leg in legs:
                sighting = self._sighting(tx, height, leg)
                if sighting is not None and height >= since:
                    yield sighting

    def _sighting(self, tx: Tx, height: int | None, leg: WatchedLeg) -> Sighting | None:
        terms, lock = leg.leg.terms, tx if tx.kind is EffectKind.LOCK else tx.spends
        if tx.kind is None or lock is None or not self.node.ledger.concerns(lock, terms):
            return None
        kind = _KINDS[tx.kind] if lock.lock == terms else SightingKind.STRAY
        block = None if height is None else self.node.hashes[height]
        return Sighting(leg.swap_id, leg.leg.role, kind, lock.name, tx.name, block, height, tx.preimage)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> FakeDraft | None:
        ledger = self._ledger()
        rate = CALM_RATE * (RUSH if effect.deadline - now < URGENT and not self.node.instant else 1)
        if sent and (self._out(sent[-1]) and rate <= sent[-1].rate):
            return None
        tx = self._transaction(effect.kind, leg.leg.terms, preimage, rate)
        if not ledger.valid(tx, self.node.tip + 1):
            raise Rejected(f"a {effect.kind.value} would not be taken now")
        self.node.known[tx.name] = tx
        return FakeDraft(tx, rate)

    def _out(self, sent: SignedTx) -> bool:
        tx = self.node.known[sent.txid]
        return tx in self.node.ledger.pool or self.node.ledger.where(tx) is not None

    def _transaction(self, kind: EffectKind, terms: LegTerms, preimage: bytes | None, rate: int) -> Tx:
        if kind is EffectKind.LOCK:
            return Tx("swapd", kind, terms, bid=rate, name=self.node.name())
        lock = next((tx for _, tx in self.node.ledger.mined if tx.lock == terms), None)
        if lock is None:
            raise Rejected(f"there is nothing to {kind.value}: the leg is not in a block")
        if kind is EffectKind.CLAIM and (preimage is None or not opens(preimage, terms.hashlock)):
            raise Rejected("a secret that does not open the leg")
        shown = preimage if kind is EffectKind.CLAIM else None
        return Tx("swapd", kind, spends=lock, preimage=shown, bid=rate, name=self.node.name())

    def prepares(self, tx: SignedTx) -> bool:
        return False

    async def broadcast(self, tx: SignedTx) -> None:
        self._ledger()
        self.node.send(self.node.known[tx.txid])

    async def fate(self, tx: SignedTx) -> Fate:
        ledger, mine = self._ledger(), self.node.known[tx.txid]
        height = ledger.where(mine)
        if height is not None:
            return Fate(TxState.MINED, self.node.tip - height + 1, tx.fee)
        if mine.spends is not None and (spend := ledger.spend_of(mine.spends)) is not None:
            return Fate(TxState.REPLACED, self.node.tip - spend[0] + 1)
        return Fate(TxState.PENDING if mine in ledger.pool else TxState.MISSING)
