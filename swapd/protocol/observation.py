"""What a chain shows of a leg. Everything below finality can be withdrawn by a reorg (rule S7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LegState(StrEnum):
    UNKNOWN = "unknown"
    """The chain could not be asked, or its answer could not be trusted. Says nothing about the leg."""
    ABSENT = "absent"
    SEEN = "seen"
    """The lock is in the mempool."""
    LOCKED = "locked"
    CLAIMED = "claimed"
    REFUNDED = "refunded"


@dataclass(frozen=True)
class Stray:
    """A lock that is not the leg: wrong terms, or a second one. Never counted, never forgotten (rules S11, S12).

    ref: how the chain names it (an outpoint, a lock id). amount: smallest unit. why: what differs from the terms.
    way_back: how its owner gets it back, in words.
    refundable: swapd can send its refund once the leg's timelock has passed.
    """

    ref: str
    amount: int
    why: str
    way_back: str
    refundable: bool


@dataclass(frozen=True)
class LegView:
    """One leg as its chain shows it now.

    depth: blocks since inclusion of the lock, or of the claim or refund once there is one; 1 is the tip, 0 the mempool.
    preimage: 32 bytes, whenever something about the leg (a stray's claim too) shows the one that opens it.
    lock_ref: how the chain names the lock. lock_txid, spend_txid: transactions.
    doubt: in words, why nothing new may rest on this view, "" if it may. Then the depth is 0, and only exits go by it.
    """

    state: LegState
    depth: int = 0
    preimage: bytes | None = None
    lock_ref: str | None = None
    lock_txid: str | None = None
    spend_txid: str | None = None
    strays: tuple[Stray, ...] = ()
    doubt: str = ""


UNKNOWN_VIEW = LegView(LegState.UNKNOWN)
ABSENT_VIEW = LegView(LegState.ABSENT)
