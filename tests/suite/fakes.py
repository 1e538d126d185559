"""The stage of the simulation's own chains, in the three kinds that there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from swapd.chains.base import WatchedLeg
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import hashlock_of
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, Wallet, swap_id_of
from tests.simulation.chain import CALM_RATE, FakeChain, FakeNode
from tests.simulation.ledger import Rules, Tx
from tests.suite.stage import DAY, Stage, median_becomes

START = 1_800_000_000


class FakeStage(Stage):
    def __init__(self, rules: Rules, *, median: bool, instant: bool, seconds: int) -> None:
        self.node = FakeNode(rules, median, instant, START, seconds)
        self.chain = FakeChain(self.node)
        self.pools = self.outbids = not instant
        self.reorgs = self.deepens = rules.reorgs
        self.shows_strangers = rules.once
        self._numbers = count(1)
        self._preimages: dict[str, bytes] = {}

    @classmethod
    def of(cls, kind: str) -> FakeStage:
        if kind == "fake bitcoin":
            return cls(Rules(once=False), median=True, instant=False, seconds=600)
        if kind == "fake ethereum":
            return cls(Rules(once=True), median=False, instant=False, seconds=12)
        return cls(Rules(once=True, reorgs=False), median=False, instant=True, seconds=2)

    async def leg(self, *, ours: bool = True) -> WatchedLeg:
        preimage = next(self._numbers).to_bytes(32)
        hashlock = hashlock_of(preimage)
        swap_id = swap_id_of(hashlock)
        self._preimages[swap_id] = preimage
        now = await self.now()
        sender = "swapd" if ours else "alice"
        terms = LegTerms(Asset("FAKE", "fake", 8), 1_000_000, hashlock, sender, "bob", now + DAY, now + 3600)
        funded = Wallet.HOT if ours else Wallet.EXTERNAL
        leg = Leg(
            role=Role.INITIATOR,
            terms=terms,
            funded_by=funded,
            claimed_by=Wallet.HOT,
            pay_to="bob",
            refund_to=sender,
            claim_by_swapd=True,
            refund_by_swapd=ours,
            claim_waived=False,
            confirmations=3 if self.reorgs else 1,
            lock_by=terms.fund_by,
        )
        return WatchedLeg(swap_id, 0, leg, self.node.tip)

    def preimage(self, leg: WatchedLeg) -> bytes:
        return self._preimages[leg.swap_id]

    async def now(self) -> int:
        return int(self.node.blocks.times[-1])

    async def carried_out(self) -> None:
        """What is sent to an instant node is in a block already."""

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.node.mine()

    async def clock_reaches(self, time: int) -> None:
        if not self.node.median:
            self.node.mine(time)
            return
        for stamp in median_becomes(time, (await self.chain.clock()).time):
            self.node.mine(stamp)

    async def reorg(self, depth: int) -> None:
        self.node.reorg(depth)

    async def pay(self, leg: WatchedLeg, **wrong: Any) -> None:
        sender = leg.leg.terms.sender
        if self.node.rules.once and sender == "swapd":
            sender = "alice"  # a contract knows who pays
        terms = replace(leg.leg.terms, **{"sender": sender, **wrong})
        self.node.send(Tx("other", EffectKind.LOCK, terms, bid=CALM_RATE, name=self.node.name()))
        self.node.mine()

    @asynccontextmanager
    async def cut_off(self) -> AsyncIterator[FakeChain]:
        self.node.down = True
        try:
            yield self.chain
        finally:
            self.node.down = False
