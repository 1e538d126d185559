"""What a lock of swapd's own carries along in plain view, so that seed and chains are enough (rule S14).

    index, 24 bits | mark, 3 bits | tag, 21 bits | what one of the two chains does not show of its leg, 34 bytes

Six bytes where both chains show their legs, else exactly 40: common settings of nodes relay no more. Of the index the
low bits are enough, since indexes follow the clock. The tag proves what was agreed: without it anybody who knows a
hashlock could lock dust under it and, once the database is gone, pass it off as the other leg (rule S11).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from swapd.protocol.terms import Role

UNSEEN_BYTES = 34
SHORT, LONG = 6, 6 + UNSEEN_BYTES

_INDEXES = 2**24
_TAG_BITS = 21
_DOMAIN = b"swapd recovery note v1"


@dataclass(frozen=True)
class Unseen:
    """What a chain does not show of a leg. mark: 1 to 7, in which form. body: 34 bytes. Both are the chain's own."""

    mark: int
    body: bytes


@dataclass(frozen=True)
class Note:
    """index: of the swap, its low 24 bits. tag: 21 bits, see `tag_of`. unseen: None where nothing is hidden."""

    index: int
    tag: int
    unseen: Unseen | None = None

    def encode(self) -> bytes:
        mark, body = (self.unseen.mark, self.unseen.body) if self.unseen else (0, b"")
        return (self.index % _INDEXES).to_bytes(3) + (mark << _TAG_BITS | self.tag).to_bytes(3) + body

    @classmethod
    def decode(cls, raw: bytes) -> Note | None:
        """None for bytes that are no note. Others may write what they like: nothing is proven before its tag is."""
        if len(raw) not in (SHORT, LONG):
            return None
        mark, tag = divmod(int.from_bytes(raw[3:6]), 2**_TAG_BITS)
        if (mark == 0) != (len(raw) == SHORT):
            return None
        return cls(int.from_bytes(raw[:3]), tag, Unseen(mark, raw[6:]) if mark else None)


@dataclass(frozen=True)
class Agreed:
    """A leg as its chain names it. name: the chain's, of its terms; amount: smallest unit."""

    role: Role
    name: str
    amount: int


def tag_of(secret: bytes, legs: Iterable[Agreed], unseen: Unseen | None) -> int:
    """Proves to whoever has the seed that swapd agreed to exactly these legs.

    secret: 32 bytes that belong to the swap's index, and that nobody else has as long as the tag decides anything. One
    guess in two million is right, and each costs a lock.
    """
    parts = [f"{leg.role.value}/{leg.name}/{leg.amount}" for leg in sorted(legs, key=lambda leg: leg.role.value)]
    hidden = f"{unseen.mark}/{unseen.body.hex()}" if unseen else ""
    digest = hmac.digest(secret, b"\n".join((_DOMAIN, *(part.encode() for part in (*parts, hidden)))), hashlib.sha256)
    return int.from_bytes(digest[:3]) >> (24 - _TAG_BITS)


def nearest(low: int, around: int) -> int:
    """The whole number that ends in these 24 bits and is nearest to `around`; never below zero."""
    base = around - around % _INDEXES + low
    return min((n for n in (base - _INDEXES, base, base + _INDEXES) if n >= 0), key=lambda n: abs(n - around))
