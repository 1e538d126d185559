"""Whether a public key signed a message: the kinds of keys that users of the IC have.

IC interface specification, section "Signatures". Not here: web authentication and canister signatures.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

_CURVES = ("secp256r1", "secp256k1")
_SIGNATURE_BYTES = 64


class BadSignature(Exception):
    """The signature does not fit, or the key is of no kind that is known. Says which."""


def verify(public_key_der: bytes, message: bytes, signature: bytes) -> None:
    """Ed25519, or ECDSA with SHA-256 on P-256 or secp256k1 and r and s of 32 bytes each. Raises `BadSignature`."""
    try:
        key = load_der_public_key(public_key_der)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise BadSignature("Invalid public key: not a DER-encoded key of a supported kind") from e
    if len(signature) != _SIGNATURE_BYTES:
        raise BadSignature(f"Invalid signature: {_SIGNATURE_BYTES} bytes expected, {len(signature)} given")
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        else:
            raise BadSignature("Invalid public key: of no supported kind")
    except InvalidSignature as e:
        raise BadSignature("Invalid signature: it could not be verified with the sender's public key") from e
