"""Preimage and hashlock: SHA-256 of exactly 32 bytes, the same on every chain (rule S13, BIP 199)."""

from __future__ import annotations

import hashlib
import hmac

from swapd.errors import Invalid

LENGTH = 32
"""Bytes in a preimage and in a hashlock. Another preimage length could be claimed on one chain only."""


def hashlock_of(preimage: bytes) -> bytes:
    """SHA-256 of a preimage of exactly 32 bytes."""
    if len(preimage) != LENGTH:
        # the value is a secret: say its length, never what it is
        raise Invalid("preimage", f"{len(preimage)} bytes", f"exactly {LENGTH} bytes")
    return hashlib.sha256(preimage).digest()


def opens(preimage: bytes, hashlock: bytes) -> bool:
    """Whether this preimage opens this hashlock on every chain: right hash and right length."""
    return len(preimage) == LENGTH and hmac.compare_digest(hashlib.sha256(preimage).digest(), hashlock)


def parse_hashlock(text: str) -> bytes:
    """A hashlock from 64 hex digits, with or without a leading 0x."""
    digits = text.removeprefix("0x")
    try:
        value = bytes.fromhex(digits) if len(digits) == 2 * LENGTH else b""
    except ValueError:
        value = b""
    if len(value) != LENGTH:
        raise Invalid("hashlock", text, f"{2 * LENGTH} hex digits")
    return value
