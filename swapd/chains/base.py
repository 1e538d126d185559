"""The small interface behind which every chain stands.

An adapter looks at its chain and builds transactions for it. It keeps nothing that matters: what it must remember
between two calls (where it scanned to, what it saw, what it signed) is handed back to the caller, who stores it.

Errors, for every method: `Unavailable` when the node did not answer, `Rejected` when it said no, `Unknown` when a
transaction may or may not have gone out, `Invalid` when the arguments can not be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from swapd.protocol.effects import Effect
from swapd.protocol.observation import LegView
from swapd.protocol.request import Answer, Refused, Request
from swapd.protocol.terms import Asset, Leg, LegTerms

LEGS_REMEMBERED = 32_768
"""Of so many an adapter keeps what it computed of their terms, which never change: each look at what is watched needs
it again."""


@dataclass(frozen=True)
class Tip:
    """The best block. time: its own timestamp, Unix seconds."""

    height: int
    hash: str
    time: int


@dataclass(frozen=True)
class ChainClock:
    """A chain's own time. `time` is the latest timelock whose refund the next block would accept (Unix seconds).
    doubt: in words, why nothing new may rest on this chain's nodes, "" if it may."""

    tip: Tip
    time: int
    doubt: str = ""


@dataclass(frozen=True)
class Cursor:
    """How far a chain was scanned. trail: (height, hash) of the last blocks, newest last, to find a fork point."""

    height: int
    hash: str
    trail: tuple[tuple[int, str], ...] = ()


class SightingKind(StrEnum):
    LOCK = "lock"
    CLAIM = "claim"
    REFUND = "refund"
    STRAY = "stray"


@dataclass(frozen=True)
class Sighting:
    """Something a scan or the mempool showed about a leg: a hint where to look, never the truth (rule S1).

    ref: the lock it is about (outpoint, lock id). txid: the transaction that did it. block_hash: None in the mempool.
    preimage: with CLAIM only. note: with STRAY, what is wrong with it.
    """

    swap_id: str
    role: str
    kind: SightingKind
    ref: str
    txid: str
    block_hash: str | None = None
    height: int | None = None
    preimage: bytes | None = None
    note: str = ""


@dataclass(frozen=True)
class WatchedLeg:
    """A leg with what is needed to look at it.

    index: the swap's derivation index. birth: height of the chain when the swap was made; nothing of it is older.
    sightings: what scans found so far, oldest first. note: bytes that swapd's own lock carries along in plain view, so
    that the seed and the chains are enough to find the swap again (rule S14); empty for none. consent: the receiver's
    agreement to give the leg back before its timelock, in the chain's own form; empty for none.
    """

    swap_id: str
    index: int
    leg: Leg
    birth: int
    sightings: tuple[Sighting, ...] = ()
    note: bytes = b""
    consent: bytes = b""


@dataclass(frozen=True)
class Scan:
    """What happened since the cursor. fork: height of the last common block if the chain was reorganised, else None."""

    cursor: Cursor
    sightings: tuple[Sighting, ...] = ()
    fork: int | None = None


@dataclass(frozen=True)
class SignedTx:
    """A transaction as it goes to the network, stored before it goes (rule S4).

    raw: the signed bytes. fee: the most it can cost, smallest unit of the chain's coin.
    rate: what its fee schedule compares (sat/vB, wei per gas), to tell a better replacement from a worse one.
    sequence: the account nonce it uses, None on chains without one. spends: outpoints it uses, if any.
    """

    txid: str
    raw: bytes = field(repr=False)  # a claim's bytes hold the secret
    fee: int
    rate: int
    sequence: int | None = None
    spends: tuple[str, ...] = ()


class Draft(Protocol):
    """A transaction for which the node has been asked everything; what is left is signing, without any waiting.

    account: the account whose next sequence it needs, None if it needs none (then `sign` takes None).
    floor: the account's next sequence as the chain knows it; the caller uses the larger of this and its own.
    """

    @property
    def account(self) -> str | None: ...

    @property
    def floor(self) -> int: ...

    def sign(self, sequence: int | None) -> SignedTx: ...


class TxState(StrEnum):
    MISSING = "missing"
    """The node knows nothing of it. It may still come (rule S10)."""
    PENDING = "pending"
    MINED = "mined"
    FAILED = "failed"
    """In a block, but without its effect (reverted). Its fee is spent and its sequence used."""
    REPLACED = "replaced"
    """It can not be mined any more: another transaction used its sequence or its inputs, and that one is in a block."""


@dataclass(frozen=True)
class Fate:
    """What became of a transaction. depth: as in LegView. fee: what it did cost, smallest unit, once in a block."""

    state: TxState
    depth: int = 0
    fee: int | None = None


@dataclass(frozen=True)
class Party:
    """One side of a leg in the chain's own terms.

    identity: what the HTLC commits to. payout: the address that gets the money.
    by_swapd: swapd can build this side's spend alone.
    """

    identity: str
    payout: str
    by_swapd: bool


@dataclass(frozen=True)
class Instructions:
    """How an external wallet funds, claims or refunds a leg: words for a person, exact fields and URIs for a wallet."""

    summary: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Health:
    """One thing that `doctor` looked at. mend: what to do about it, empty when ok."""

    name: str
    ok: bool
    says: str
    mend: str = ""


@dataclass(frozen=True)
class Posted:
    """A request for a swap that stands on a chain for everybody to see.

    ref: the chain's name for it, which no other has. by: who asked, in the chain's form. at: Unix seconds, by the
    chain's clock. request: what is asked for; a refusal if that cannot be read.
    """

    ref: str
    by: str
    at: int
    request: Request | Refused


@dataclass(frozen=True)
class Given:
    """An answer that stands there, by whomever. answer: None if it is in no form that swapd would give."""

    ref: str
    answer: Answer | None


@dataclass(frozen=True)
class Asked:
    """What a board says from a cursor on: requests without an answer, and answers. now: the chain's own time there."""

    cursor: Cursor
    now: int
    requests: tuple[Posted, ...] = ()
    answers: tuple[Given, ...] = ()


class RequestBoard(Protocol):
    """Where a chain's own programs ask for swaps and are answered. Only requests by those that the settings name are
    taken, and only what is proven: then nobody in between can invent one, change one or hide an answer to one."""

    async def asked(self, cursor: Cursor | None) -> Asked:
        """Everything after the cursor. None: from as long ago as somebody may still wait for an answer."""

    def listens_to(self, by: str) -> bool:
        """Whether requests by this one are taken."""

    def draft(self, ref: str, answer: Answer) -> Draft:
        """The answer as a transaction. The chain keeps the first answer to a request and refuses any other, so that to
        answer again does no harm."""

    async def broadcast(self, tx: SignedTx) -> None:
        """As `HtlcChain.broadcast`."""

    async def outcome(self, tx: SignedTx) -> tuple[Fate, str]:
        """As `HtlcChain.fate`, and in words why it had no effect, "" if it had."""


class HtlcChain(Protocol):
    """One chain. All amounts are in smallest units, all times in Unix seconds."""

    @property
    def name(self) -> str: ...

    @property
    def in_order(self) -> bool:
        """Whether swapd's transactions here wait for each other (an account's nonces), so that a cheap one holds up all
        that come after it."""

    @property
    def takes_locks_once(self) -> bool:
        """Whether the chain itself takes two locks of one leg for one, at no cost: then another may be sent after one
        that failed or came too late."""

    @property
    def sees_all(self) -> bool:
        """Whether `view` shows all of a leg's past without any sighting, so that it need not wait for a scan."""

    @property
    def assets(self) -> Mapping[str, Asset]: ...

    @property
    def board(self) -> RequestBoard | None:
        """None where nobody asks, be it that the chain has no such place or that the settings name nobody."""

    async def start(self) -> None:
        """Connect; refuse (Invalid) a node on another network than configured."""

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        """Called once by a daemon when it starts to act: what these stored transactions use stays reserved for them,
        and whatever else an earlier process had reserved, and did not live to store, is free again."""

    async def close(self) -> None: ...

    async def examine(self, now: int | None = None) -> Sequence[Health]:
        """What is right and wrong with node, wallet and contract. Never raises for what it can report. now: by the
        caller's clock, with which the chain's is compared; this machine's if it is not given."""

    async def clock(self) -> ChainClock: ...

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        """Everything about these legs from after the cursor to the tip (None: from the tip on), in a number of calls
        that does not grow with the number of legs. Bounded: far behind, it returns a cursor short of the tip."""

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """The same from each leg's birth, for legs of which nothing is remembered."""

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """What is pending about these legs. Only a hint: an empty answer says nothing."""

    async def view(self, leg: WatchedLeg) -> LegView:
        """The leg as the chain shows it now, read from the node at this moment. Sightings only say where to look."""

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> Draft | None:
        """A transaction for this effect. `sent` are its earlier attempts that nothing else has taken the place of,
        oldest first, those that were mined without effect too: None when the last of them is good enough at this
        moment; otherwise a replacement that the network accepts in its place (same sequence or inputs), or a new one
        if there is nothing to replace. Claims and refunds are simulated last; one that would fail raises Rejected and
        is not built. To simulate a claim shows the node its secret.

        A refund before the timelock takes the receiver's consent, in `leg.consent`, where the chain cooperates. Without
        it such a refund is refused, here or by the chain."""

    def prepares(self, tx: SignedTx) -> bool:
        """Whether this attempt only prepares its effect (a token's approval): once mined, `draft` gives the next."""

    async def void(self, sent: Sequence[SignedTx], *, out: bool = True) -> Draft | None:
        """A transaction that uses up what these attempts, earlier voids among them, reserved, without their effect;
        None when nothing is reserved or the last void is good enough at this moment. It brings its own sequence.

        out: whether any attempt at the effect itself may have got to the network. If not, what is reserved only here is
        set free, without any transaction where that will do."""

    async def broadcast(self, tx: SignedTx) -> None:
        """Send it to the network. A node that has it already is a success."""

    async def fate(self, tx: SignedTx) -> Fate: ...

    # -- people ----------------------------------------------------------------------------------------------------

    async def party(self, field: str, text: str | None, index: int, *, sends: bool) -> Party:
        """One side of a leg. text: an address or key given by a person (None: swapd's own wallet). sends: the side
        that funds. Raises Invalid naming `field` for anything that is not of this chain and network."""

    def check_terms(self, leg: Leg) -> None:
        """Raise Invalid for what this chain can not do: dust, unknown token, an identity of the wrong form, a payout
        that does not belong to the identity."""

    def instructions(self, leg: Leg) -> Instructions:
        """How its sender funds it. Claims and refunds by their owners: `abilities.HandsOver`."""

    def fingerprint(self, terms: LegTerms) -> str:
        """How the chain will name this HTLC before it is funded (an address, a lock id)."""

    async def balances(self) -> Mapping[str, int]:
        """What swapd's wallet can spend now, by asset symbol."""

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        """What swapd's wallet needs for its part in this leg, by asset symbol: the amount if it funds it, and a careful
        estimate of every network fee that swapd will pay."""

    async def addresses(self) -> Mapping[str, str]:
        """Where to send money so that swapd's wallet has it, by label."""
