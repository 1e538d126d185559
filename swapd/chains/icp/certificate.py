"""Certificates: the only answers of the Internet Computer that are believed.

Source: IC interface specification, "Certification". Every check that fails raises Untrusted and says which one it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swapd.chains.icp import bls, cbor, hashtree
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.hashtree import Found, Tree

MAINNET_ROOT_KEY = bls.DER_PREFIX + bytes.fromhex(
    "814c0e6ec71fab583b08bd81373c255c3c371b2e84863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc534"
    "1583bf4b4392e467db96d65b9bb4cb717112f8472e0d5a4d14505ffd7484b01291091c5f87b98883463f98091a0baaae"
)
"""The root of trust, known since genesis (2021). It is never fetched: who serves it could serve another."""

_STATE_ROOT = b"\x0dic-state-root"


@dataclass(frozen=True)
class Certificate:
    """A verified one. tree: a part of the network's state at `time_ns` (nanoseconds since 1970)."""

    tree: Tree
    time_ns: int

    def value(self, path: Sequence[bytes]) -> bytes | None:
        """The value at `path`; None if there is provably none. Raises Untrusted if it was left out."""
        return hashtree.leaf(self.tree, path)

    def certified_data(self, canister_id: bytes) -> bytes:
        """What the canister has certified: for ours, the root hash of its own hash tree."""
        data = self.value([b"canister", canister_id, b"certified_data"])
        if data is None:
            raise Untrusted("the certificate has no certified data of the canister")
        return data


def verify(
    raw: bytes, *, root_key: bytes, canister_id: bytes, now_ns: int, max_age_ns: int, max_ahead_ns: int
) -> Certificate:
    """What `raw` certifies about a canister, if the root of trust stands behind it and it is fresh.

    root_key: 133 bytes. max_age_ns, max_ahead_ns: how far its time may lie behind `now_ns` and ahead of it. Raises
    Untrusted.
    """
    signed = _Signed.decode(raw, "the certificate")
    key = root_key
    if signed.delegation is not None:
        key = _delegated_key(signed.delegation, root_key, canister_id)
    signed.require_signature(key, "the certificate")
    time_ns = signed.time_ns("the certificate")
    if time_ns < now_ns - max_age_ns:
        raise Untrusted(f"the certificate is too old: {(now_ns - time_ns) / 1e9:.0f} s")
    if time_ns > now_ns + max_ahead_ns:
        raise Untrusted(f"the certificate is from the future: {(time_ns - now_ns) / 1e9:.0f} s ahead of our clock")
    return Certificate(signed.tree, time_ns)


@dataclass(frozen=True)
class _Delegation:
    subnet_id: bytes
    certificate: bytes


@dataclass(frozen=True)
class _Signed:
    """A certificate's parts, of which nothing is proven yet."""

    tree: Tree
    signature: bytes
    delegation: _Delegation | None

    @classmethod
    def decode(cls, raw: bytes, what: str) -> _Signed:
        match cbor.decode(raw, what):
            case {"tree": tree, "signature": bytes(signature), **rest}:
                return cls(hashtree.from_cbor(tree), signature, _delegation(rest.get("delegation"), what))
        raise Untrusted(f"{what} lacks its tree or its signature")

    def require_signature(self, key: bytes, what: str) -> None:
        if not bls.verify(key, _STATE_ROOT + hashtree.digest(self.tree), self.signature):
            raise Untrusted(f"{what} has a wrong signature")

    def time_ns(self, what: str) -> int:
        raw = hashtree.leaf(self.tree, [b"time"])
        if raw is None:
            raise Untrusted(f"{what} has no time")
        return natural(raw)


def _delegation(value: object, what: str) -> _Delegation | None:
    match value:
        case None:
            return None
        case {"subnet_id": bytes(subnet_id), "certificate": bytes(certificate)}:
            return _Delegation(subnet_id, certificate)
    raise Untrusted(f"{what} has a delegation that lacks its subnet or its certificate")


def _delegated_key(delegation: _Delegation, root_key: bytes, canister_id: bytes) -> bytes:
    """The key of the subnet to which the root has given the canister.

    The age of a delegation is not limited: the specification sets no limit, agents set none, and nodes have handed out
    delegations that were days old. A bound of our own could only lock us out.
    """
    what = "the delegation"
    signed = _Signed.decode(delegation.certificate, what)
    if signed.delegation is not None:
        raise Untrusted("the delegation is nested: its certificate has a delegation of its own")
    signed.require_signature(root_key, what)
    signed.time_ns(what)  # every state tree has one
    ranges = _canister_ranges(signed.tree, delegation.subnet_id)
    if not ranges:
        raise Untrusted("the delegation names no canister ranges of the subnet")
    if not any(first <= canister_id <= last for first, last in ranges):
        raise Untrusted("the delegation is for a subnet that the canister does not belong to")
    key = hashtree.leaf(signed.tree, [b"subnet", delegation.subnet_id, b"public_key"])
    if key is None or not bls.is_key(key):
        raise Untrusted("the delegation has no public key of the subnet")
    return key


def _canister_ranges(tree: Tree, subnet_id: bytes) -> list[tuple[bytes, bytes]]:
    """First and last canister of every range, of those that were not left out.

    Nodes hand out two forms: one value at /subnet/SUBNET/canister_ranges, or one for each shard at
    /canister_ranges/SUBNET/FIRST, of which they show only the one that matters. The root has signed both.
    """
    whole = hashtree.lookup(tree, [b"subnet", subnet_id, b"canister_ranges"])
    shards = hashtree.lookup(tree, [b"canister_ranges", subnet_id])
    found = [whole] if isinstance(whole, Found) else []
    if isinstance(shards, Found):
        found += [Found(below) for _, below in hashtree.labels(shards.tree) if not isinstance(below, hashtree.Pruned)]
    return [each for part in found for each in _ranges(part.value)]


def _ranges(raw: bytes) -> list[tuple[bytes, bytes]]:
    what = "the delegation's list of canister ranges"
    found = []
    for each in _list(cbor.decode(raw, what), what):
        match each:
            case [bytes(first), bytes(last)]:
                found.append((first, last))
            case _:
                raise Untrusted(f"{what} has an entry that is no range")
    return found


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise Untrusted(f"{what} is no list")
    return value


def natural(raw: bytes) -> int:
    """A number as the state tree holds it: unsigned LEB128. Raises Untrusted."""
    if not raw or len(raw) > _LONGEST_NUMBER or any(byte < 0x80 for byte in raw[:-1]) or raw[-1] >= 0x80:
        raise Untrusted("the certificate has a number that is none")
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(raw))


_LONGEST_NUMBER = 10
"""Bytes of a 64-bit number."""
