"""ECDSA for Bitcoin: as small as consensus allows, and checked before it leaves."""

from __future__ import annotations

from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi  # type: ignore[import-not-found]  # compiled, without stubs

from swapd.errors import Invalid, Rejected
from swapd.vault.secret import Secret

DIGEST_BYTES = 32
LARGEST_DER = 70
"""Bytes of a signature with low R and low S, without the sighash byte: what fees are computed with."""

GRINDING_TRIES = 128
"""Half of all nonces give a low R, so running out has a chance of 2^-128."""


def public_key(private_key: Secret) -> bytes:
    """33 bytes, compressed."""
    return PrivateKey(private_key.reveal()).public_key.format(compressed=True)


def sign(private_key: Secret, digest: bytes) -> bytes:
    """DER signature of a 32-byte `digest` (a sighash), at most 70 bytes, without a sighash byte.

    Low S (BIP 146) comes from libsecp256k1. Low R by grinding exactly as Bitcoin Core does: RFC 6979, then the same
    with a counter (4 bytes, little endian) as extra entropy, until R's first bit is clear. Deterministic. Raises
    Invalid, Rejected.
    """
    if len(digest) != DIGEST_BYTES:
        raise Invalid("digest", f"{len(digest)} bytes", f"{DIGEST_BYTES} bytes")
    key = PrivateKey(private_key.reveal())
    for counter in range(GRINDING_TRIES):
        signature = key.sign(digest, hasher=None, custom_nonce=(ffi.NULL, _extra_entropy(counter)))
        if _has_low_r(signature):
            break
    # A bit flipped in memory while signing can give the key away: nothing unverified is handed out.
    if not key.public_key.verify(signature, digest, hasher=None) or len(signature) > LARGEST_DER:
        raise Rejected(
            "a Bitcoin signature did not verify after it was made: this machine's memory is not to be trusted"
        )
    return signature


def _extra_entropy(counter: int) -> ffi.CData:
    return ffi.new("unsigned char[32]", counter.to_bytes(32, "little")) if counter else ffi.NULL


def _has_low_r(der: bytes) -> bool:
    """DER: 30 len 02 len(R) R ...; R takes a 33rd byte, a zero, only when its first bit is set."""
    return der[3] <= DIGEST_BYTES
