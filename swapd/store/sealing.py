"""What must not be read, or not be made up, by whoever holds the database file.

Signed transactions are sealed because a claim's bytes hold the secret, and the first claim is stored before anybody
may know it (rules S4 and S9 together). Terms are sealed so that a record planted or edited by somebody who can write to
the database, but has no seed, is found out before any money follows it.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from swapd.errors import Invalid

_TAG = 32


class Sealer(Protocol):
    """Authenticated encryption under a key that is not in the database (the vault's, derived from the master seed)."""

    def seal(self, content: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes:
        """Raises a `SwapdError` for anything that this key did not seal."""


def seal(sealer: Sealer, place: str, content: bytes) -> bytes:
    """Seal content for one place, so that it opens nowhere else. place: "table/key"."""
    return sealer.seal(_tag(place) + content)


def unseal(sealer: Sealer, place: str, sealed: bytes) -> bytes:
    content = sealer.open(sealed)
    if content[:_TAG] != _tag(place):
        # never show the content: it may hold a secret
        raise Invalid("seal", f"{len(sealed)} bytes", f"something sealed for {place}")
    return content[_TAG:]


def _tag(place: str) -> bytes:
    return hashlib.sha256(place.encode()).digest()
