"""What a watchtower is told of one swap: its terms, what swapd remembers of it, and what was signed ahead.

No key is in it, and no preimage that is not public. It is an old copy from the moment it is made: whatever it does not
know may have happened all the same, and the chains have the last word.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from swapd.chains.abilities import Prepared
from swapd.chains.base import WatchedLeg
from swapd.errors import Invalid
from swapd.protocol.decide import Memory
from swapd.protocol.terms import Role, SwapTerms, Wallet, swap_id_of
from swapd.store.codec import canonical, decode, encode, parse

VERSION = 1
"""Of what a packet looks like. A watchtower that is older than the swapd that wrote it says so."""


@dataclass(frozen=True)
class Known:
    """What of `Memory` survives being copied: that something happened. preimage: only one that was seen in public."""

    preimage: bytes | None = field(default=None, repr=False)
    reveal_sent: bool = False
    locked_once: tuple[Role, ...] = ()
    claim_final: tuple[Role, ...] = ()
    cancelled: bool = False
    expired: bool = False

    @classmethod
    def of(cls, memory: Memory) -> Known:
        return cls(
            preimage=memory.preimage,
            reveal_sent=memory.reveal_sent,
            locked_once=tuple(role for role in Role if role in memory.locked_once),
            claim_final=tuple(role for role in Role if role in memory.claim_final),
            cancelled=memory.cancelled,
            expired=memory.expired,
        )


@dataclass(frozen=True)
class PacketLeg:
    """fingerprint, birth: as the store has them. prepared: for legs that only a key of swapd can spend."""

    fingerprint: str
    birth: int
    prepared: tuple[Prepared, ...] = ()


@dataclass(frozen=True)
class Packet:
    """made_at: Unix seconds."""

    made_at: int
    terms: SwapTerms
    known: Known
    initiator: PacketLeg
    participant: PacketLeg

    def __post_init__(self) -> None:
        expected = swap_id_of(self.terms.hashlock)
        if self.terms.swap_id != expected:
            raise Invalid("terms.swap_id", self.terms.swap_id, f"{expected}, the start of the hashlock")

    @property
    def id(self) -> str:
        return self.terms.swap_id

    def leg(self, role: Role) -> PacketLeg:
        return self.initiator if role is Role.INITIATOR else self.participant

    def watched_leg(self, role: Role) -> WatchedLeg:
        return WatchedLeg(self.id, self.terms.index, self.terms.leg(role), self.leg(role).birth)

    def says_as_much_as(self, other: Packet) -> bool:
        return replace(self, made_at=0) == replace(other, made_at=0)

    @property
    def memory(self) -> Memory:
        """For `decide`: everything that it does not say may have happened since (`restored`), and every leg that swapd
        funds may have been funded."""
        known = self.known
        return Memory(
            lock_sent=frozenset(leg.role for leg in self.terms.legs if leg.funded_by is Wallet.HOT),
            reveal_sent=known.reveal_sent,
            preimage=known.preimage,
            locked_once=frozenset(known.locked_once),
            claim_final=frozenset(known.claim_final),
            cancelled=known.cancelled,
            expired=known.expired,
            restored=True,
        )


def to_text(packet: Packet) -> str:
    fields = encode(packet)
    assert isinstance(fields, dict)  # noqa: S101 - a dataclass is an object
    return canonical({"version": VERSION, **fields}) + "\n"


def from_text(text: str) -> Packet:
    """Raises Invalid for anything that `to_text` can not have made."""
    data = parse(text)
    if not isinstance(data, dict) or data.get("version") != VERSION:
        version = data.get("version") if isinstance(data, dict) else None
        raise Invalid("version", version, f"{VERSION}, as this swapd knows packets: run the same release on both sides")
    return decode(Packet, {name: value for name, value in data.items() if name != "version"})
