"""The HTLC as a Bitcoin script, and the identities that it commits to.

    <claim key> OP_CHECKSIG
    OP_SWAP OP_SIZE <32> OP_EQUAL
    OP_IF
      OP_SHA256 <hashlock> OP_EQUALVERIFY
    OP_ELSE
      OP_DUP OP_HASH160 <hash of the refund key> OP_EQUALVERIFY
      OP_ROT OP_SWAP OP_CHECKSIGVERIFY
      OP_IFDUP OP_NOTIF <timelock> OP_CHECKLOCKTIMEVERIFY OP_ENDIF
    OP_ENDIF

A claim's witness is `preimage, signature, script`; a refund's is `signature, refund key, (empty), script`. That much is
the meaning of BIP 199. With the receiver's signature in the empty place a refund needs no timelock and no secret: the
cooperative refund. Asking for the claim key's signature first makes it the switch between the ways, which saves the
witness its usual flag; the refund key, which is hardly ever needed, is there by its hash. See docs/bitcoin.md.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from bitcoin.core.script import (
    OP_CHECKLOCKTIMEVERIFY,
    OP_CHECKSIG,
    OP_CHECKSIGVERIFY,
    OP_DUP,
    OP_ELSE,
    OP_ENDIF,
    OP_EQUAL,
    OP_EQUALVERIFY,
    OP_HASH160,
    OP_IF,
    OP_IFDUP,
    OP_NOTIF,
    OP_ROT,
    OP_SHA256,
    OP_SIZE,
    OP_SWAP,
    CScript,
)
from coincurve import PublicKey
from Crypto.Hash import RIPEMD160

from swapd.chains.base import LEGS_REMEMBERED
from swapd.chains.bitcoin.address import witness_address
from swapd.chains.bitcoin.settings import Network
from swapd.errors import Invalid
from swapd.protocol.hashlock import LENGTH, opens
from swapd.protocol.terms import LegTerms

SCRIPT_BYTES = 114
EARLIEST_TIMELOCK = 500_000_000
"""Below this OP_CHECKLOCKTIMEVERIFY reads a block height (BIP 65)."""
LATEST_TIMELOCK = 2**31 - 1
"""The largest time that takes 4 bytes in a script, where numbers have a sign. January 2038."""

_KEY_BYTES = 33


@lru_cache(LEGS_REMEMBERED)
def htlc_script(terms: LegTerms) -> bytes:
    """The witness script for these terms, always 114 bytes. A foreign script is right if and only if it equals this."""
    if not EARLIEST_TIMELOCK <= terms.timelock <= LATEST_TIMELOCK:
        raise Invalid("timelock", terms.timelock, f"Unix seconds from {EARLIEST_TIMELOCK} to {LATEST_TIMELOCK}")
    claim_key = parse_pubkey(terms.receiver, "receiver")
    refund_key = parse_pubkey(terms.sender, "sender")
    return bytes(
        CScript(
            [
                *(claim_key, OP_CHECKSIG),  # its outcome, 1 or nothing, stays below all that follows
                *(OP_SWAP, OP_SIZE, LENGTH, OP_EQUAL),
                *(OP_IF, OP_SHA256, terms.hashlock, OP_EQUALVERIFY),
                *(OP_ELSE, OP_DUP, OP_HASH160, hash160(refund_key), OP_EQUALVERIFY),
                *(OP_ROT, OP_SWAP, OP_CHECKSIGVERIFY),
                # without the receiver's signature; the time stays on the stack: not zero, so true
                *(OP_IFDUP, OP_NOTIF, terms.timelock, OP_CHECKLOCKTIMEVERIFY, OP_ENDIF),
                OP_ENDIF,
            ]
        )
    )


def output_script(script: bytes) -> bytes:
    """P2WSH (BIP 141): version 0 and the script's SHA-256, 34 bytes."""
    return b"\x00\x20" + hashlib.sha256(script).digest()


def is_p2wsh(script: bytes) -> bool:
    return len(script) == 34 and script.startswith(b"\x00\x20")


def htlc_address(terms: LegTerms, network: Network) -> str:
    return witness_address(hashlib.sha256(htlc_script(terms)).digest(), network)


def preimage_in(witness: tuple[bytes, ...], script: bytes, hashlock: bytes) -> bytes | None:
    """The secret that a spend of this script shows: None for a refund, and for any spend of another script."""
    if len(witness) == 3 and witness[2] == script and opens(witness[0], hashlock):
        return witness[0]
    return None


def parse_pubkey(text: str, field: str) -> bytes:
    """A compressed public key, 33 bytes, from 66 hex digits; a point on the curve. Raises Invalid."""
    expected = "66 hex digits: a compressed public key on secp256k1"
    try:
        key = bytes.fromhex(text) if len(text) == 2 * _KEY_BYTES and text.isalnum() else b""
        if len(key) != _KEY_BYTES or key[0] not in (2, 3):
            raise ValueError
        PublicKey(key)
    except ValueError:
        raise Invalid(field, text, expected) from None
    return key


def looks_like_pubkey(text: str) -> bool:
    """Whether someone who typed this meant a key rather than an address."""
    return len(text) == 2 * _KEY_BYTES and all(c in "0123456789abcdefABCDEF" for c in text)


def hash160(data: bytes) -> bytes:
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()
