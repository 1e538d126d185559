"""Signed requests to the Internet Computer (IC interface specification, "Authentication", "Request id").

The request id is the hash of a request's content, whatever its encoding: ic-py's `to_request_id` is right for the
types that requests are made of. Its agent makes calls without a nonce: two equal ones have one id, and are one call.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from ic.utils import to_request_id

from swapd.chains.icp import cbor
from swapd.chains.icp.errors import Untrusted
from swapd.errors import Invalid

NONCE_BYTES = 16
"""Of a call; at most 32 are allowed."""

_DOMAIN = b"\x0aic-request"

_FIELDS = frozenset({"request_type", "canister_id", "method_name", "arg", "sender", "nonce", "ingress_expiry"})


class Signer(Protocol):
    """Who sends. `Vault` is one."""

    @property
    def icp_principal(self) -> bytes: ...

    @property
    def icp_public_key(self) -> bytes:
        """DER."""

    def icp_sign_request(self, request_id: bytes) -> bytes:
        """Signature of a request id under the domain of requests."""


@dataclass(frozen=True)
class SignedCall:
    """An update call, ready to be sent any number of times: the network takes it once (rule S4).

    request_id: 32 bytes, what to ask its fate by. raw: what is sent. ingress_expiry_ns: nanoseconds since 1970, after
    which the network does not take it any more. arg: Candid.
    """

    request_id: bytes
    raw: bytes = field(repr=False)
    ingress_expiry_ns: int
    canister_id: bytes
    method: str
    arg: bytes = field(repr=False)


def sign_call(signer: Signer, canister_id: bytes, method: str, arg: bytes, *, ingress_expiry_ns: int) -> SignedCall:
    content = {
        "request_type": "call",
        "canister_id": canister_id,
        "method_name": method,
        "arg": arg,
        "sender": signer.icp_principal,
        "nonce": secrets.token_bytes(NONCE_BYTES),
        "ingress_expiry": ingress_expiry_ns,
    }
    return SignedCall(request_id(content), _signed(signer, content), ingress_expiry_ns, canister_id, method, arg)


def sign_query(signer: Signer, canister_id: bytes, method: str, arg: bytes, *, ingress_expiry_ns: int) -> bytes:
    content = {
        "request_type": "query",
        "canister_id": canister_id,
        "method_name": method,
        "arg": arg,
        "sender": signer.icp_principal,
        "ingress_expiry": ingress_expiry_ns,
    }
    return _signed(signer, content)


def sign_read_state(signer: Signer, paths: Sequence[Sequence[bytes]], *, ingress_expiry_ns: int) -> bytes:
    content = {
        "request_type": "read_state",
        "paths": [list(path) for path in paths],
        "sender": signer.icp_principal,
        "ingress_expiry": ingress_expiry_ns,
    }
    return _signed(signer, content)


def parse_call(raw: bytes, signer: Signer) -> SignedCall:
    """A call that was stored, if `signer` has signed it: `sign_call`'s reverse. Raises Invalid, quoting none of it."""
    call, content, envelope = _read(raw)
    match envelope:
        case {"sender_pubkey": bytes(public_key), "sender_sig": bytes(signature)}:
            pass
        case _:
            raise Invalid("stored call", "something else", "a signed call")
    if not isinstance(content.get("nonce"), bytes):
        raise Invalid("stored call", "another request", "a call with all its fields")
    ours = content["sender"] == signer.icp_principal and public_key == signer.icp_public_key
    if not ours or not _verifies(public_key, _DOMAIN + call.request_id, signature):
        raise Invalid("stored call", "one of somebody else", "a call signed by ourselves")
    return call


def read_call(raw: bytes) -> SignedCall:
    """A call by whomever, with any kind of key, delegated or not: the network alone looks at its signature. Raises
    Invalid, quoting none of it."""
    return _read(raw)[0]


def _read(raw: bytes) -> tuple[SignedCall, dict[str, Any], dict[str, Any]]:
    """The call, its content, and its envelope."""
    try:
        envelope = cbor.decode(raw, "the stored call")
    except Untrusted as error:
        raise Invalid("stored call", str(error), "a signed call") from None
    match envelope:
        case {"content": dict(content)}:
            pass
        case _:
            raise Invalid("stored call", "something else", "a signed call")
    match content:
        case {
            "request_type": "call",
            "canister_id": bytes(canister_id),
            "method_name": str(method),
            "arg": bytes(arg),
            "sender": bytes(),
            "ingress_expiry": int(expiry),
        } if content.keys() <= _FIELDS:
            pass
        case _:
            raise Invalid("stored call", "another request", "a call with all its fields")
    call = SignedCall(request_id(content), raw, expiry, canister_id, method, arg)
    return call, content, envelope


def request_id(content: Mapping[str, Any]) -> bytes:
    """32 bytes: the representation-independent hash of a request's content."""
    return bytes(to_request_id(dict(content)))


def _signed(signer: Signer, content: Mapping[str, Any]) -> bytes:
    return cbor.encode(
        {
            "content": dict(content),
            "sender_pubkey": signer.icp_public_key,
            "sender_sig": signer.icp_sign_request(request_id(content)),
        }
    )


def _verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    key = load_der_public_key(public_key)
    if not isinstance(key, EllipticCurvePublicKey) or len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
