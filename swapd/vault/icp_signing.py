"""Signatures for the Internet Computer: of requests, and of nothing else (rule S13)."""

from __future__ import annotations

import hashlib

from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from swapd.errors import Invalid, Rejected
from swapd.vault.secret import Secret

REQUEST_DOMAIN = b"\x0aic-request"
"""IC interface specification, "Authentication": delegations and other statements have domains of their own."""

REQUEST_ID_BYTES = 32
SELF_AUTHENTICATING = b"\x02"

DER_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
"""RFC 5480: a public key on secp256k1; its 65 bytes, uncompressed, follow."""


def public_key(private_key: Secret) -> bytes:
    """88 bytes, DER."""
    return DER_PREFIX + PrivateKey(private_key.reveal()).public_key.format(compressed=False)


def principal(public_key: bytes) -> bytes:
    """29 bytes: the self-authenticating principal of a public key in DER."""
    return hashlib.sha224(public_key).digest() + SELF_AUTHENTICATING


def sign_request(private_key: Secret, request_id: bytes) -> bytes:
    """64 bytes r ‖ s with low S: ECDSA with SHA-256 and RFC 6979 of the domain and a request id. Raises Invalid,
    Rejected."""
    if len(request_id) != REQUEST_ID_BYTES:
        raise Invalid("request id", f"{len(request_id)} bytes", f"{REQUEST_ID_BYTES} bytes")
    key = PrivateKey(private_key.reveal())
    digest = hashlib.sha256(REQUEST_DOMAIN + request_id).digest()
    signature = key.sign(digest, hasher=None)
    # A bit flipped in memory while signing can give the key away: nothing unverified is handed out.
    if not key.public_key.verify(signature, digest, hasher=None):
        raise Rejected("an ICP signature did not verify after it was made: this machine's memory is not to be trusted")
    return b"".join(number.to_bytes(32) for number in decode_dss_signature(signature))
