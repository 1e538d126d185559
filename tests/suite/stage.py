"""What a test of the suite can do to a chain, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from swapd.chains.base import HtlcChain, SignedTx, WatchedLeg
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegView

DAY = 86_400


class Stage(ABC):
    """A chain with swapd's adapter and other people on it. What a kind of chain can not do stands here as a property,
    and the suite then checks what holds instead.

    pools: transactions wait for a block, and can be seen meanwhile. Without it they are carried out when they are sent.
    reorgs: blocks can be taken back. deepens: depth grows with the blocks. Without it, what is there is final.
    outbids: more can be paid for what is pending. shows_strangers: a lock for another receiver with our hashlock, or
    another hashlock between the same two, can be found. foresees: the node says beforehand that a refund is too early.
    shows_own: a view shows swapd's own pending claim too, and not only somebody else's.
    sweeps: the chain itself sends back what is due. exact: its clock stands still, and can be set to the second.
    """

    pools = True
    reorgs = True
    deepens = True
    outbids = True
    shows_strangers = True
    foresees = True
    shows_own = True
    sweeps = False
    exact = True
    chain: HtlcChain

    # -- legs

    @abstractmethod
    async def leg(self, *, ours: bool = True) -> WatchedLeg:
        """A leg that nothing is seen of; its timelock is a day away. ours: swapd funds it; else somebody else's wallet
        may. swapd can claim it, and refund it if it funds it."""

    @abstractmethod
    def preimage(self, leg: WatchedLeg) -> bytes: ...

    # -- the chain goes on

    @abstractmethod
    async def now(self) -> int:
        """What swapd's clock would say, Unix seconds."""

    @abstractmethod
    async def mine(self, blocks: int = 1) -> None: ...

    @abstractmethod
    async def clock_reaches(self, time: int) -> None:
        """`chain.clock().time` is this; where it is not `exact`, this or a little more."""

    async def reorg(self, depth: int) -> None:
        """The last blocks are replaced by as many that hold nothing of what swapd or others sent."""
        raise NotImplementedError

    # -- others

    @abstractmethod
    async def pay(self, leg: WatchedLeg, **wrong: Any) -> None:
        """Somebody's own wallet locks, with the leg's terms but for those given; in a block."""

    @abstractmethod
    def cut_off(self) -> Any:
        """`async with` gives an adapter like `chain` whose node does not answer."""

    # -- swapd, as its executor does it

    async def draft(
        self, kind: EffectKind, leg: WatchedLeg, sent: Sequence[SignedTx] = (), *, left: int = DAY
    ) -> SignedTx | None:
        """Drafted and signed with so many seconds to the deadline; None if what was sent is good enough."""
        now = await self.now()
        effect = Effect(kind, leg.leg.role, now + left)
        secret = self.preimage(leg) if kind is EffectKind.CLAIM else None
        draft = await self.chain.draft(effect, leg, secret, sent, now)
        return None if draft is None else draft.sign(None if draft.account is None else draft.floor)

    async def send(self, kind: EffectKind, leg: WatchedLeg, sent: Sequence[SignedTx] = (), **how: Any) -> SignedTx:
        """Sent, pending or carried out. What only prepares it is in a block already."""
        tx = await self.draft(kind, leg, sent, **how)
        assert tx is not None
        await self.chain.broadcast(tx)
        await self.carried_out()
        if self.chain.prepares(tx):
            return await self.send(kind, leg, [*sent, tx], **how)
        return tx

    async def carried_out(self) -> None:
        """Where nothing waits for a block: what was sent is done. Elsewhere there is nothing to do."""
        if not self.pools:
            raise NotImplementedError

    async def locked(self, *, depth: int = 1) -> tuple[WatchedLeg, SignedTx]:
        """A leg that swapd funded, so deep."""
        leg = await self.leg()
        tx = await self.send(EffectKind.LOCK, leg)
        await self.mine(depth)
        return await self.seen(leg), tx

    async def seen(self, leg: WatchedLeg) -> WatchedLeg:
        """The leg with everything that blocks and pool show of it, as the coordinator would remember it."""
        found = [*await self.chain.rescan([leg]), *await self.chain.mempool([leg])]
        sightings = tuple(dict.fromkeys([*leg.sightings, *found]))
        return leg if sightings == leg.sightings else await self.seen(replace(leg, sightings=sightings))

    async def view(self, leg: WatchedLeg) -> LegView:
        return await self.chain.view(await self.seen(leg))


def median_becomes(time: int, clock: int) -> range:
    """Timestamps of blocks after which a refund of this timelock is just due, where the clock is one less than the
    median of the last eleven: that many around it; or one more, if the clock is a second short of it."""
    return range(time + 6, time + 7) if clock == time - 1 else range(time - 4, time + 7)


@asynccontextmanager
async def closing(chain: Any) -> AsyncIterator[Any]:
    try:
        yield chain
    finally:
        await chain.close()
