"""Certificates: signed statements about the replica's state.

Signed by the root key itself, or by a subnet's key that the root key vouches for, as everywhere on mainnet but on the
root subnet. The voucher names the canisters that the subnet may speak for, in the old form (one list) or the new one
(in shards). IC interface specification, sections "Certification", "Delegation", "Canister ranges".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import cbor2

from swapd.devnet.replica.bls import BlsKey
from swapd.devnet.replica.hash_tree import Path, Tree, digest, domain, witness
from swapd.devnet.replica.leb128 import encode_unsigned

Delegated = Literal["none", "ranges", "sharded"]
Range = tuple[bytes, bytes]

SELF_DESCRIBED = 55799
_SELF_AUTHENTICATING = b"\x02"
_VOUCHER_NS = 600 * 10**9  # mainnet, too, gets a new delegation only every some minutes


def cbor(value: Any) -> bytes:
    """CBOR that says so in front, as everything the IC sends."""
    return cbor2.dumps(cbor2.CBORTag(SELF_DESCRIBED, value))


class Certifier:
    """Signs state trees. `ranges` are the canister ids that this subnet may have; `root_key` is for clients (DER)."""

    def __init__(self, seed: bytes, delegated: Delegated, ranges: Sequence[Range]) -> None:
        self._root = BlsKey(seed)
        self._subnet = self._root if delegated == "none" else BlsKey(seed + b" subnet")
        self._delegated = delegated
        self._ranges = list(ranges)
        self._vouchers: dict[tuple[bytes, int], bytes] = {}
        self.root_key = self._root.der
        self.subnet_id = _subnet_id(self._subnet)

    def subnets(self) -> dict[bytes, Tree]:
        """Of the state tree the labels `subnet` and `canister_ranges`: the ranges in both forms."""
        subnets: dict[bytes, Tree] = {_subnet_id(self._root): {b"public_key": self._root.der, b"type": b"system"}}
        subnets[self.subnet_id] = {
            b"canister_ranges": cbor([[low, high] for low, high in self._ranges]),
            b"public_key": self._subnet.der,
            b"type": b"application",
        }
        shards: dict[bytes, Tree] = {low: cbor([[low, high]]) for low, high in self._ranges}
        return {b"canister_ranges": {self.subnet_id: shards}, b"subnet": subnets}

    def certificate(self, tree: Tree, paths: Sequence[Path], now_ns: int, canister_id: bytes) -> bytes:
        """A certificate that shows `paths` of the tree, for a client that asked `canister_id`."""
        content = _signed(self._subnet, tree, paths)
        if self._delegated != "none":
            content["delegation"] = {"subnet_id": self.subnet_id, "certificate": self._voucher(now_ns, canister_id)}
        return cbor(content)

    def _voucher(self, now_ns: int, canister_id: bytes) -> bytes:
        shard = self._shard_of(canister_id)
        key = (shard, now_ns // _VOUCHER_NS)
        if key not in self._vouchers:
            self._vouchers = {key: self._new_voucher(now_ns, shard)}
        return self._vouchers[key]

    def _new_voucher(self, now_ns: int, shard: bytes) -> bytes:
        subnet = (b"subnet", self.subnet_id)
        paths: list[Path] = [(b"time",), (*subnet, b"public_key"), (*subnet, b"type")]
        if self._delegated == "ranges":
            paths.append((*subnet, b"canister_ranges"))
        else:
            paths.append((b"canister_ranges", self.subnet_id, shard))
        return cbor(_signed(self._root, {**self.subnets(), b"time": encode_unsigned(now_ns)}, paths))

    def _shard_of(self, canister_id: bytes) -> bytes:
        """The label of the shard that has the canister, if one has it: the greatest that is not above it."""
        return max((low for low, _ in self._ranges if low <= canister_id), default=self._ranges[0][0])


def _signed(key: BlsKey, tree: Tree, paths: Sequence[Path]) -> dict[str, Any]:
    shown = witness(tree, paths)
    return {"tree": shown, "signature": key.sign(domain("ic-state-root") + digest(shown))}


def _subnet_id(key: BlsKey) -> bytes:
    return hashlib.sha224(key.der).digest() + _SELF_AUTHENTICATING
