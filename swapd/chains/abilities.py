"""What some chains can do besides, and others need not. Asked for with `isinstance`: a chain has it or not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swapd.chains.base import Instructions, SignedTx, WatchedLeg
from swapd.chains.calls import Observer
from swapd.errors import Invalid
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


@dataclass(frozen=True)
class ConsentRequest:
    """What a leg's receiver signs or does so that the leg goes back to its sender before the timelock.

    summary: words for a person. fields: exact values for a wallet. answer: what comes back to swapd, in words; "" where
    nothing does, because the receiver itself calls the chain, and the leg is then seen as refunded.
    """

    summary: str
    fields: Mapping[str, str]
    answer: str


@runtime_checkable
class Cooperates(Protocol):
    """A chain on which a leg goes back before its timelock if its receiver agrees. The payee is the leg's own sender.

    No secret is needed for it, and none is shown. But a receiver that agrees gives up what pays for its own leg: swapd
    agrees to nothing whose other leg somebody may still claim (S6), and it is the caller who knows that.
    """

    async def consent_wanted(self, leg: WatchedLeg) -> ConsentRequest:
        """Raises Rejected while there is nothing to agree to, Invalid for a receiver that can not agree by itself."""

    async def check_consent(self, leg: WatchedLeg, consent: bytes) -> None:
        """Raise Invalid, with what was expected, for anything but the receiver's word to give back exactly this leg.
        What passed here may fail later: a contract can take its word back, a reorganisation replace the lock."""

    async def own_consent(self, leg: WatchedLeg) -> bytes:
        """swapd's own word, where its wallet is the receiver; never empty. Raises Invalid where it is not. To give it
        away gives the leg away: anybody may be who sends the refund."""


@dataclass(frozen=True)
class Submitted:
    """A transaction that somebody else has signed, and what it does. tx: for `broadcast` alone. swapd can neither
    replace nor void it, and what became of it is seen in the leg: not every chain tells that to others than its sender.
    """

    kind: EffectKind
    tx: SignedTx


@runtime_checkable
class HandsOver(Protocol):
    """A chain whose claims and refunds can be prepared for the wallets of those to whom they are due."""

    async def claim_for_owner(self, leg: WatchedLeg, preimage: bytes | None = None) -> Instructions:
        """What the receiver signs. preimage: None if it is the receiver's own, or not to be shown yet: then its place
        is empty. To hand it over is to reveal it (S2): the caller has to be allowed to. Raises Rejected where it is one
        lock that is signed for, and that is not there."""

    async def refund_for_owner(self, leg: WatchedLeg) -> Instructions:
        """What the sender signs, good from the timelock on; with `leg.consent` at once. Raises Rejected
        likewise."""

    async def check_signed(self, leg: WatchedLeg, raw: bytes) -> Submitted:
        """What was signed, ready to be broadcast. Raises Invalid, with what was expected, for bytes that are not a
        whole claim or refund of this very leg, or that do anything else besides; Rejected if the chain would not take
        them now. Whom they pay is for the owner of the key to say, where there is a key. Nothing is sent yet; but from
        here on a claim's secret is known to swapd and its nodes."""


@runtime_checkable
class Proves(Protocol):
    """A chain of which somebody can be shown that a leg was locked and spent, without believing swapd."""

    async def prove(self, leg: WatchedLeg) -> Mapping[str, str]:
        """What proves it, by name: block headers, branches, certificates, each in the chain's own form (hex or JSON
        text). Empty while there is nothing in a block. How each is checked stands in the chain's page of docs/."""


@runtime_checkable
class Observed(Protocol):
    """A chain that tells whoever watches how its nodes answer."""

    def observe(self, observer: Observer) -> None:
        """From now on each request to a node is made within `observer(endpoint, method)`."""

    @property
    def holding(self) -> Mapping[str, int]:
        """Conditions that it warns of in the log and that hold at this moment, and how many of each kind."""


def handed_in(field: str, text: str, most: int = 400_000) -> bytes:
    """Bytes as people send them: hex (0x or not) or base64, in one piece or several with white space between, which are
    joined. Raises Invalid naming the field, and quoting none of it.

    >>> handed_in("consent", "0xcafe YmFiZQ==").hex()
    'cafe62616265'
    """
    found = b""
    try:
        for part in text.split():
            digits = part.removeprefix("0x")
            is_hex = len(digits) % 2 == 0 and all(each in "0123456789abcdefABCDEF" for each in digits)
            found += bytes.fromhex(digits) if is_hex else base64.b64decode(part, validate=True)
    except ValueError:
        raise Invalid(field, f"{len(text)} characters", "hex or base64") from None
    if not 0 < len(found) <= most:
        raise Invalid(field, f"{len(found)} bytes", f"1 to {most} bytes in hex or base64")
    return found
