"""Users with keys of all kinds, and what they send. Request ids by ic-py, which shares no code with the replica."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ic.utils import to_request_id

KINDS = ("ed25519", "p256", "secp256k1")
SECOND = 10**9


@dataclass
class User:
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, kind: str) -> User:
        if kind == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP256K1()))

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def principal(self) -> bytes:
        return hashlib.sha224(self.public_key).digest() + b"\x02"

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def envelope(self, content: dict[str, Any], delegations: list[dict[str, Any]] | None = None, **more: Any) -> bytes:
        """The signed request; with delegations, `more` must say whose public key it is sent for."""
        signed = {
            "content": content,
            "sender_pubkey": self.public_key,
            "sender_sig": self.sign(b"\x0aic-request" + request_id(content)),
            **({"sender_delegation": delegations} if delegations is not None else {}),
            **more,
        }
        data: bytes = cbor2.dumps({name: value for name, value in signed.items() if value is not None})
        return data

    def delegate(self, to: User, expiration: int, targets: list[bytes] | None = None) -> dict[str, Any]:
        delegation: dict[str, Any] = {"pubkey": to.public_key, "expiration": expiration}
        if targets is not None:
            delegation["targets"] = targets
        signature = self.sign(b"\x1aic-request-auth-delegation" + request_id(delegation))
        return {"delegation": delegation, "signature": signature}


def request_id(content: dict[str, Any]) -> bytes:
    digest: bytes = to_request_id(content)
    return digest


def call_content(canister_id: bytes, sender: bytes, now_ns: int, /, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "request_type": "call",
        "sender": sender,
        "canister_id": canister_id,
        "method_name": "who",
        "arg": b"",
        "nonce": b"1",
        "ingress_expiry": now_ns + 60 * SECOND,
        **changes,
    }
    return {name: value for name, value in content.items() if value is not None}
