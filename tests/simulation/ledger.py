"""A fake chain: blocks that hold locks, claims and refunds, a pool of what is pending, and reorgs. Pure, synchronous.

When blocks come is somebody else's business: the ledger is told which height is mined, and asked at which height the
tip stands. So it can be played block by block (the adapter in `chain.py`), or only where something happens (a hundred
thousand swaps).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView, Stray
from swapd.protocol.terms import LegTerms
from tests.simulation.blocks import Blocks


@dataclass(frozen=True)
class Rules:
    """What differs between kinds of chains.

    once: the chain itself keeps every lock single, and refuses it after its `fund_by` (contract, canister). A chain
    without takes any payment to the same script, and swapd sees there only what pays to that script.
    reorgs: blocks can be taken back.
    """

    once: bool
    reorgs: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Tx:
    """kind: None for one that only uses up what `voids` needs. lock: of a LOCK its terms. spends: the lock that a claim
    or refund is for. bid: what it pays, in the chain's own measure; None: so little that nobody ever takes it. hidden:
    only a miner has it. not_before: the chain carries it out from this moment on."""

    by: str
    kind: EffectKind | None
    lock: LegTerms | None = None
    spends: Tx | None = None
    preimage: bytes | None = None
    bid: Any = None
    voids: Tx | None = None
    hidden: bool = False
    not_before: float = 0.0
    name: str = ""


Takes = Callable[[Tx, int], bool]
"""Whether whoever makes the block at this height would take this transaction, for what it pays."""


def anything(tx: Tx, height: int) -> bool:
    return True


@dataclass
class Ledger:
    """skew: seconds by which the chain's clock is ahead of what `blocks` says."""

    rules: Rules
    blocks: Blocks
    takes: Takes = anything
    skew: int = 0
    mined: list[tuple[int, Tx]] = field(default_factory=list)
    pool: list[Tx] = field(default_factory=list)

    # -- what is so ------------------------------------------------------------------------------------------------

    def clock(self, height: int) -> int:
        return self.blocks.clock(height) + self.skew

    def where(self, tx: Tx) -> int | None:
        """The height of its block."""
        for height, each in self.mined:
            if each is tx:
                return height
        return None

    def spend_of(self, lock: Tx) -> tuple[int, Tx] | None:
        for height, each in self.mined:
            if each.spends is lock:
                return height, each
        return None

    def valid(self, tx: Tx, height: int) -> bool:
        """Whether the block at this height may hold it, after all that is mined already."""
        if tx.kind is EffectKind.LOCK:
            assert tx.lock is not None
            for _, each in self.mined:
                if each is tx or each.voids is tx or (self.rules.once and each.lock == tx.lock):
                    return False
            return not self.rules.once or self.blocks.time(height) + self.skew <= tx.lock.fund_by
        if tx.kind is None:
            return tx.voids is not None and not any(e is tx.voids or e.voids is tx.voids for _, e in self.mined)
        lock = tx.spends
        assert lock is not None
        assert lock.lock is not None
        if self.where(lock) is None or self.spend_of(lock) is not None:
            return False
        if tx.kind is EffectKind.CLAIM:
            return tx.preimage is not None and opens(tx.preimage, lock.lock.hashlock)
        return self.blocks.spendable(height) + self.skew >= lock.lock.timelock

    def view(self, terms: LegTerms, height: int) -> LegView:
        """The leg as an adapter would show it with this height as the tip."""
        mine, strays, preimage = None, [], None
        for since, tx in self.mined:
            if tx.kind is EffectKind.LOCK and self.concerns(tx, terms):
                if mine is None and tx.lock == terms:
                    mine = (since, tx)
                else:
                    strays.append(tx)
            elif tx.kind is EffectKind.CLAIM and tx.preimage is not None:
                preimage = preimage or tx.preimage
        pending = [tx for tx in self.pool if not tx.hidden]
        for tx in pending:
            if tx.kind is EffectKind.CLAIM and tx.preimage is not None:
                preimage = preimage or tx.preimage
        if preimage is not None and not opens(preimage, terms.hashlock):
            preimage = None
        shown = tuple(self._stray(tx, terms) for tx in strays if self.spend_of(tx) is None)
        if mine is None:
            seen = any(tx.kind is EffectKind.LOCK and tx.lock == terms for tx in pending)
            return LegView(LegState.SEEN if seen else LegState.ABSENT, 0, preimage, strays=shown)
        since, lock = mine
        spend = self.spend_of(lock)
        if spend is not None:
            state = LegState.CLAIMED if spend[1].kind is EffectKind.CLAIM else LegState.REFUNDED
            return LegView(state, height - spend[0] + 1, preimage, lock.name, lock.name, spend[1].name, shown)
        for tx in pending:
            if tx.spends is lock and self.valid(tx, height + 1):
                state = LegState.CLAIMED if tx.kind is EffectKind.CLAIM else LegState.REFUNDED
                return LegView(state, 0, preimage, lock.name, lock.name, tx.name, shown)
        return LegView(LegState.LOCKED, height - since + 1, preimage, lock.name, lock.name, strays=shown)

    def concerns(self, tx: Tx, terms: LegTerms) -> bool:
        """Whether swapd would find this lock when it looks for that leg."""
        lock = tx.lock
        if lock is None:
            return False
        same_hash = lock.hashlock == terms.hashlock
        same_people = (lock.sender, lock.receiver) == (terms.sender, terms.receiver)
        if self.rules.once:
            return same_hash or same_people  # a log shows all of its terms
        return same_hash and same_people and lock.timelock == terms.timelock  # they make the script

    def _stray(self, tx: Tx, terms: LegTerms) -> Stray:
        lock = tx.lock
        assert lock is not None
        why = "a second lock of this leg" if lock == terms else "other terms than the leg's"
        # only a script that swapd's own key opens can be sent back without asking anybody
        return Stray(tx.name, lock.amount, why, "its sender can refund it", not self.rules.once)

    # -- what happens ----------------------------------------------------------------------------------------------

    def offer(self, tx: Tx, tip: int) -> bool:
        """Into the pool, as a node takes it: only what the next block could hold, or a claim of what is pending there.
        False: refused."""
        if tx in self.pool or self.where(tx) is not None:
            return True
        early = tx.kind is EffectKind.CLAIM and tx.spends in self.pool
        if not early and not self.valid(tx, tip + 1):
            return False
        self.pool.append(tx)
        return True

    def drop(self, tx: Tx) -> None:
        """Out of the pool, if it is there: replaced, or forgotten by the nodes."""
        if tx in self.pool:
            self.pool.remove(tx)

    def hopeful(self, tip: int) -> list[Tx]:
        """What the next block could hold, if it pays enough."""
        return [tx for tx in self.pool if tx.bid is not None and self.valid(tx, tip + 1)]

    def mine(self, height: int, favoured: str = "") -> list[Tx]:
        """A block with what pays enough. favoured: whose transactions go first, where two exclude each other."""
        took = []
        order = sorted(self.pool, key=lambda tx: tx.by != favoured) if len(self.pool) > 1 else list(self.pool)
        for tx in order:
            if tx.bid is not None and self.takes(tx, height) and self.valid(tx, height):
                self.mined.append((height, tx))
                self.pool.remove(tx)
                took.append(tx)
        return took

    def reorg(self, depth: int, tip: int, lost: Callable[[Tx], bool] = lambda tx: False) -> list[Tx]:
        """Take back the last `depth` blocks. What was in them is pending again, but for what is `lost`. The new branch
        is empty until it is mined: heights and times stay. Returns what was taken back."""
        fork = tip - depth
        gone = [tx for height, tx in self.mined if height > fork]
        self.mined = [(height, tx) for height, tx in self.mined if height <= fork]
        self.pool += [tx for tx in gone if not lost(tx)]
        return gone
