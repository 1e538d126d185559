"""A swap, its packet, and two chains that say what a test tells them to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swapd.chains.abilities import Prepared
from swapd.chains.base import ChainClock, Cursor, Fate, Health, Scan, SignedTx, Tip, TxState, WatchedLeg
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView
from swapd.protocol.terms import LegTerms, Role, SecretHolder, SwapTerms, Wallet
from swapd.watchtower.packet import Known, Packet, PacketLeg
from tests.protocol.world import CONFIRMATIONS, PREIMAGE, make_swap

LOCKED = LegView(LegState.LOCKED, CONFIRMATIONS, lock_ref="lock:0", lock_txid="lock")
CLAIMED = LegView(LegState.CLAIMED, CONFIRMATIONS, PREIMAGE, "lock:0", "lock", "claim")


def prepared(kind: EffectKind, rate: int, ref: str = "lock:0") -> Prepared:
    return Prepared(kind, ref, SignedTx(f"{kind.value}{rate}", b"bytes", 100 * rate, rate, spends=(ref,)))


def make_packet(
    terms: SwapTerms | None = None,
    *,
    made_at: int = 1,
    known: Known | None = None,
    ahead: Sequence[Prepared] = (),
) -> Packet:
    """We take part: leg "b" is ours to refund, leg "a" ours to claim."""
    terms = terms or make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)
    return Packet(made_at, terms, known or Known(), PacketLeg("name a", 5), PacketLeg("name b", 7, tuple(ahead)))


@dataclass
class Draft:
    tx: SignedTx
    account: str | None
    floor: int

    def sign(self, sequence: int | None) -> SignedTx:
        return SignedTx(f"{self.tx.txid}@{sequence}", self.tx.raw, self.tx.fee, self.tx.rate, sequence)


@dataclass
class Scripted:
    """A chain with one leg. unread: its past can not be asked for. fates: by txid, what became of it; what is not there
    is pending once it was sent. refused: transactions that it takes no more. By hashlock of their leg: hidden are those
    that nobody can see, rejects those for which nothing can be made, silent those for which it does not say."""

    name: str
    shown: LegView = ABSENT_VIEW
    time: int = 0
    away: bool = False
    unread: bool = False
    in_order: bool = True
    sees_all: bool = False
    floor: int = 3
    sent: list[str] = field(default_factory=list)
    drafted: list[tuple[Effect, bytes | None, list[str]]] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    hidden: set[bytes] = field(default_factory=set)
    rejects: set[bytes] = field(default_factory=set)
    silent: set[bytes] = field(default_factory=set)
    voids: int = 0
    told: int = 0

    def _answer(self) -> None:
        if self.away:
            raise Unavailable(f"{self.name} is away")

    async def start(self) -> None:
        self._answer()

    async def close(self) -> None:
        pass

    async def examine(self, now: int) -> list[Health]:
        return [Health("balance", False, "no gas", "send some")]

    def fingerprint(self, terms: LegTerms) -> str:
        return f"name {self.name}"

    async def clock(self) -> ChainClock:
        self._answer()
        return ChainClock(Tip(9, "tip", self.time), self.time)

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        self._answer()
        return Scan(Cursor(9, "tip"))

    async def rescan(self, legs: Sequence[WatchedLeg]) -> list[Any]:
        self._answer()
        if self.unread:
            raise Unavailable("old blocks can not be read now")
        self.told += 1
        return []

    async def mempool(self, legs: Sequence[WatchedLeg]) -> list[Any]:
        self._answer()
        return []

    async def view(self, leg: WatchedLeg) -> LegView:
        self._answer()
        if leg.leg.terms.hashlock in self.hidden:
            raise Unavailable("this leg can not be seen")
        return self.shown

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> Draft | None:
        self._answer()
        self.drafted.append((effect, preimage, [tx.txid for tx in sent]))
        if leg.leg.terms.hashlock in self.rejects:
            raise Rejected("it would fail")
        if leg.leg.terms.hashlock in self.silent:
            raise Unavailable("no answer about this leg")
        if sent:
            return None
        tx = SignedTx(f"{effect.key}", b"bytes", 1, 1)
        return Draft(tx, "account" if self.in_order else None, self.floor)

    async def void(self, sent: Sequence[SignedTx], **_: Any) -> Draft | None:
        if all(tx.txid.startswith("void") for tx in sent[-1:]):
            return None
        self.voids += 1
        return Draft(SignedTx("void", b"", 1, 1), None, 0)

    async def broadcast(self, tx: SignedTx) -> None:
        self._answer()
        if tx.txid in self.refused:
            raise Rejected("its fee is too low")
        self.sent.append(tx.txid)

    async def fate(self, tx: SignedTx) -> Fate:
        default = Fate(TxState.PENDING) if tx.txid in self.sent else Fate(TxState.MISSING)
        return self.fates.get(tx.txid, default)


@dataclass
class Ahead(Scripted):
    """One where only what was signed ahead can be sent."""

    async def prepare(self, leg: WatchedLeg) -> list[Prepared]:
        self._answer()
        return [prepared(EffectKind.REFUND, 1)]

    async def pick(
        self, effect: Effect, leg: WatchedLeg, ahead: Sequence[Prepared], preimage: bytes | None, now: int
    ) -> SignedTx | None:
        fitting = [each.tx for each in ahead if each.kind is effect.kind]
        return fitting[0] if fitting and fitting[0].txid not in self.sent else None


@dataclass
class ByHand(Scripted):
    """One where a person may do it."""

    def by_hand(self, effect: Effect, leg: WatchedLeg, preimage: bytes | None) -> str:
        return f"call {effect.kind.value} with {preimage.hex() if preimage else 'nothing'}"


__all__ = ["CLAIMED", "LOCKED", "PREIMAGE", "Ahead", "ByHand", "Role", "Scripted", "make_packet", "prepared"]
