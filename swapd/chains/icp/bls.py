"""BLS12-381 as the Internet Computer signs with it: signatures in G1, public keys in G2.

Source: IC interface specification, "Certification"; draft-irtf-cfrg-bls-signature-04, ciphersuite below.
"""

from __future__ import annotations

import pyblst

CIPHERSUITE = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"

DER_PREFIX = bytes.fromhex("308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100")
"""RFC 5480 with the OIDs 1.3.6.1.4.1.44668.5.3.1.2.1 and .2.1; the 96 bytes of the key follow."""

KEY_BYTES = 96
SIGNATURE_BYTES = 48

_INFINITY = 0x40  # flag in the first byte of a compressed point
_GENERATOR = pyblst.BlstP2Element().uncompress(
    bytes.fromhex(
        "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    )
)


def is_key(der: bytes) -> bool:
    """Whether these are the 133 bytes of a public key: a point of the right group, and not infinity."""
    return _key(der) is not None


def verify(der: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (48 bytes) is one of `message` by the key `der` (133 bytes). Never raises. About 1.2 ms."""
    key = _key(der)
    # With infinity as key or signature the equation holds for every message; blst accepts it as a point.
    if key is None or len(signature) != SIGNATURE_BYTES or signature[0] & _INFINITY:
        return False
    try:
        point = pyblst.BlstP1Element().uncompress(signature)
    except ValueError:
        return False
    hashed = pyblst.BlstP1Element().hash_to_group(message, CIPHERSUITE)
    return bool(pyblst.final_verify(pyblst.miller_loop(point, _GENERATOR), pyblst.miller_loop(hashed, key)))


def _key(der: bytes) -> pyblst.BlstP2Element | None:
    raw = der.removeprefix(DER_PREFIX)
    if not der.startswith(DER_PREFIX) or len(raw) != KEY_BYTES or raw[0] & _INFINITY:
        return None
    try:
        return pyblst.BlstP2Element().uncompress(raw)
    except ValueError:
        return None
