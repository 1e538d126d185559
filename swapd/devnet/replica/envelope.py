"""What users send: CBOR, signed. Taken apart and checked here. IC interface specification, section "Authentication"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cbor2

from swapd.devnet.replica.clock import NS
from swapd.devnet.replica.hash_tree import Path, domain
from swapd.devnet.replica.leb128 import encode_unsigned
from swapd.devnet.replica.signatures import BadSignature, verify

RequestType = Literal["call", "query", "read_state"]

ANONYMOUS = b"\x04"
MAX_INGRESS_TTL_NS = 5 * 60 * NS
PERMITTED_DRIFT_NS = 60 * NS
_MAX_DELEGATIONS = 20
_MAX_TARGETS = 1000
_MAX_NONCE_BYTES = 32
_MAX_PRINCIPAL_BYTES = 29
_MAX_PATHS = 1000
_MAX_DEPTH = 16
_LARGEST_NUMBER = 2**64 - 1


class BadRequest(Exception):
    """The request is not acted on (HTTP 400). Says why."""


@dataclass(frozen=True)
class UserRequest:
    """A request whose signatures, delegations and expiry are good. `paths` is read_state's only."""

    request_id: bytes
    sender: bytes
    expiry_ns: int
    canister_id: bytes = b""
    method: str = ""
    argument: bytes = b""
    paths: Sequence[Path] = ()


def read_request(body: bytes, wanted: RequestType, effective_canister_id: bytes, now_ns: int) -> UserRequest:
    """Raises `BadRequest`."""
    envelope = _map(_decoded(body), "envelope")
    content = _map(envelope.get("content"), "content")
    if content.get("request_type") != wanted:
        raise BadRequest(f"expected request_type {wanted}, got {content.get('request_type')!r}")
    sender = _blob(content, "sender", _MAX_PRINCIPAL_BYTES)
    if "nonce" in content:
        _blob(content, "nonce", _MAX_NONCE_BYTES)
    expiry = content.get("ingress_expiry")
    if not isinstance(expiry, int) or isinstance(expiry, bool):
        raise BadRequest("ingress_expiry: expected a natural number")
    _check_expiry(expiry, now_ns)
    request = _of_type(wanted, content, representation_independent_hash(content), sender, expiry)
    target = request.canister_id or effective_canister_id
    _check_sender(envelope, request.request_id, sender, target, now_ns)
    return request


def _of_type(
    wanted: RequestType, content: Mapping[str, Any], request_id: bytes, sender: bytes, expiry: int
) -> UserRequest:
    if wanted == "read_state":
        return UserRequest(request_id, sender, expiry, paths=_paths(content.get("paths")))
    method = content.get("method_name")
    if not isinstance(method, str):
        raise BadRequest("method_name: expected text")
    canister_id = _blob(content, "canister_id", _MAX_PRINCIPAL_BYTES)
    return UserRequest(request_id, sender, expiry, canister_id, method, _blob(content, "arg"))


def representation_independent_hash(value: Any) -> bytes:
    """Section "Representation-independent hashing of structured data". Raises `BadRequest` for a type it knows not."""
    return _hash(value, 0)


def _hash(value: Any, depth: int) -> bytes:
    if depth > _MAX_DEPTH:  # CBOR can describe a list that contains itself
        raise BadRequest("a value is nested too deeply")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise BadRequest("a map has a key that is not text")
        pairs = (_sha256(k.encode()) + _hash(v, depth + 1) for k, v in value.items())
        return _sha256(b"".join(sorted(pairs)))
    if isinstance(value, bytes):
        return _sha256(value)
    if isinstance(value, str):
        return _sha256(value.encode())
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_NUMBER:
        return _sha256(encode_unsigned(value))
    if isinstance(value, Sequence):
        return _sha256(b"".join(_hash(item, depth + 1) for item in value))
    raise BadRequest(f"a value of type {type(value).__name__} has no place in a request")


# --- who sent it -----------------------------------------------------------------------------------------------------


def _check_sender(envelope: Mapping[str, Any], request_id: bytes, sender: bytes, target: bytes, now_ns: int) -> None:
    key, signature = envelope.get("sender_pubkey"), envelope.get("sender_sig")
    delegations = envelope.get("sender_delegation")
    if sender == ANONYMOUS:
        if key is not None or signature is not None or delegations is not None:
            raise BadRequest("Got non-empty signature, public key or delegation for the anonymous sender")
        return
    if not isinstance(key, bytes) or not isinstance(signature, bytes):
        raise BadRequest(f"Missing signature from user {sender.hex()}")
    if hashlib.sha224(key).digest() + b"\x02" != sender:
        raise BadRequest("The user id does not match the public key")
    try:
        if delegations is not None:
            key = _delegated_key(key, delegations, target, now_ns)
        verify(key, domain("ic-request") + request_id, signature)
    except BadSignature as e:
        raise BadRequest(str(e)) from e


def _delegated_key(key: bytes, delegations: Any, target: bytes, now_ns: int) -> bytes:
    """The key at the end of a chain of delegations. Raises `BadRequest` or `BadSignature`."""
    chain = _list(delegations, "sender_delegation", _MAX_DELEGATIONS)
    seen = {key}
    for link in chain:
        signed = _map(link, "sender_delegation")
        delegation = _map(signed.get("delegation"), "delegation")
        verify(
            key,
            domain("ic-request-auth-delegation") + representation_independent_hash(delegation),
            _blob(signed, "signature"),
        )
        expiration = delegation.get("expiration")
        if not isinstance(expiration, int) or expiration < now_ns:
            raise BadRequest(f"Invalid delegation expiry: it ended at {expiration}, now it is {now_ns}")
        if "targets" in delegation and target not in _list(delegation["targets"], "targets", _MAX_TARGETS):
            raise BadRequest(f"Canister {target.hex()} is not one of the delegation targets")
        key = _blob(delegation, "pubkey")
        if key in seen:
            raise BadRequest("Invalid delegation: the chain has a cycle")
        seen.add(key)
    return key


def _check_expiry(expiry: int, now_ns: int) -> None:
    latest = now_ns + MAX_INGRESS_TTL_NS + PERMITTED_DRIFT_NS
    if not now_ns <= expiry <= latest:
        raise BadRequest(
            "Invalid request expiry: Specified ingress_expiry not within expected range: "
            f"Minimum allowed expiry: {now_ns}, Maximum allowed expiry: {latest}, Provided expiry: {expiry}"
        )


# --- shapes ----------------------------------------------------------------------------------------------------------


def _decoded(body: bytes) -> Any:
    try:
        value = cbor2.loads(body, max_depth=_MAX_DEPTH)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError) as e:
        raise BadRequest(f"Could not parse body as CBOR: {type(e).__name__}") from e
    return value.value if isinstance(value, cbor2.CBORTag) else value


def _map(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRequest(f"{name}: expected a map")
    return value


def _list(value: Any, name: str, longest: int) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise BadRequest(f"{name}: expected a list")
    if len(value) > longest:
        raise BadRequest(f"{name}: at most {longest} expected, {len(value)} given")
    return value


def _blob(record: Mapping[str, Any], name: str, longest: int | None = None) -> bytes:
    value = record.get(name)
    if not isinstance(value, bytes):
        raise BadRequest(f"{name}: expected a blob")
    if longest is not None and len(value) > longest:
        raise BadRequest(f"{name}: at most {longest} bytes expected, {len(value)} given")
    return value


def _paths(value: Any) -> list[list[bytes]]:
    paths = [list(_list(path, "path", _MAX_PATHS)) for path in _list(value, "paths", _MAX_PATHS)]
    for path in paths:
        # ic-py sends text where the specification wants blobs; the real replica takes both
        path[:] = [label.encode() if isinstance(label, str) else label for label in path]
        if not all(isinstance(label, bytes) for label in path):
            raise BadRequest("paths: expected lists of blobs")
    return paths


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
