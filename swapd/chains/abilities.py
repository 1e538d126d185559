"""What some chains can do besides, and others need not. Asked for with `isinstance`: a chain has it or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.note import Note, Unseen
from swapd.protocol.terms import Leg, LegTerms


@dataclass(frozen=True)
class Prepared:
    """A claim or refund of one lock, signed ahead by whoever has the key, for somebody without it to send once due.

    ref: the lock that it spends. tx: whole but for a claim's preimage, in whose place stand zeros, since a signature
    does not cover it: txid and fee are final.
    """

    kind: EffectKind
    ref: str
    tx: SignedTx


@runtime_checkable
class SignsAhead(Protocol):
    """A chain on which only who holds a key can claim or refund, and can sign for it beforehand. Where anybody may,
    there is nothing to prepare."""

    async def prepare(self, leg: WatchedLeg) -> Sequence[Prepared]:
        """Every claim and refund that swapd will be able to send of what is locked now, each at several fees. Nothing
        is sent, and no preimage is in it."""

    async def pick(
        self, effect: Effect, leg: WatchedLeg, prepared: Sequence[Prepared], preimage: bytes | None, now: int
    ) -> SignedTx | None:
        """Of these, finished, the cheapest that is good enough at this moment; None while what is pending already is.
        Raises Rejected if none of them will do. What others may have tampered with is checked against the terms."""


@runtime_checkable
class Ordered(Protocol):
    """A chain on which the transactions of swapd's account wait for each other: a place that stays empty (a dropped
    transaction of somebody else with the same key) holds up all behind it."""

    @property
    def account(self) -> str: ...

    async def places(self) -> tuple[int, int]:
        """The account's first place that is not used in a block, and the first that is not taken by what is pending."""

    async def fill(self, sequence: int) -> None:
        """Send a transaction of nothing to ourselves in this place; again: for more, if the last one pays too little by
        now. Harmless twice: a place is used once."""


@runtime_checkable
class ByHand(Protocol):
    """A chain on which a person can send a claim or a refund from any account."""

    def by_hand(self, effect: Effect, leg: WatchedLeg, preimage: bytes | None) -> str:
        """In words, with all that it takes. A claim's preimage is in it: only for one that is public."""


@dataclass(frozen=True)
class Trace:
    """A lock in which swapd has a part, found without any memory of it.

    sends: swapd's money; else swapd may claim it. theirs: the other side, as `HtlcChain.party` takes it. height, time:
    of its block, Unix seconds. note: what it carries, if anything that can be read. Where a chain hides its terms,
    `terms.fund_by` is any time before the timelock.
    """

    terms: LegTerms
    sends: bool
    theirs: str
    height: int
    time: int
    note: Note | None = None


@dataclass(frozen=True)
class Clues:
    """What a search may need to know. hashlock: of swapd's own secret with this index. index: from a note's low bits
    and the Unix time at which it was written. traces: found on chains that hide nothing."""

    hashlock: Callable[[int], bytes]
    index: Callable[[int, int], int]
    traces: Sequence[Trace] = ()


@runtime_checkable
class Discovers(Protocol):
    """A chain on which swapd's legs can be found from its keys alone (rule S14)."""

    async def discover(self, since: int, clues: Clues, tell: Callable[[str], None]) -> Sequence[Trace]:
        """Every lock since this Unix time in which swapd has a part, in whatever state it is now. Long: `tell` hears
        how far it is, for people. Keeps nothing but what it found; after an error it begins anew."""


@runtime_checkable
class Hides(Protocol):
    """A chain that shows nothing of a leg's terms before somebody claims or refunds it."""

    def unseen(self, leg: Leg) -> Unseen:
        """What has to be known to find the leg again, besides the hashlock and swapd's own keys. The same leg gives the
        same, always: it is part of what is signed (rule S4)."""
