"""BLS signatures as the Internet Computer's root key makes them: G1 signatures, G2 keys (ciphersuite of the IC)."""

from __future__ import annotations

import hashlib

import pyblst

_DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_DER_PREFIX = bytes.fromhex("308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100")
_G2 = pyblst.BlstP2Element().uncompress(
    bytes.fromhex(
        "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    )
)


class BlsKey:
    """A secret key derived from a seed. `der` is the public key as clients are given it, 133 bytes.

    The seed of a devnet is no secret: this key must never sign anything of value.
    """

    def __init__(self, seed: bytes) -> None:
        self._secret = int.from_bytes(hashlib.sha512(b"swapd replica" + seed).digest(), "big") % _ORDER
        self.der = _DER_PREFIX + bytes(_G2.scalar_mul(self._secret).compress())

    def sign(self, message: bytes) -> bytes:
        """48 bytes."""
        return bytes(pyblst.BlstP1Element().hash_to_group(message, _DOMAIN).scalar_mul(self._secret).compress())
