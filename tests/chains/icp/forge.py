"""Hash trees, keys and certificates, made as the network makes them: or not quite."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyblst

from swapd.chains.icp import bls, cbor, hashtree
from swapd.chains.icp.candid.encoding import unsigned
from swapd.chains.icp.hashtree import Empty, Fork, Labeled, Leaf, Pruned, Tree

SECOND = 10**9
NOW = 1_800_000_000 * SECOND
CANISTER = bytes.fromhex("00000000002000050101")
RANGE = (bytes.fromhex("00000000002000000101"), bytes.fromhex("00000000002fffff0101"))
OTHER_RANGE = (bytes.fromhex("00000000003000000101"), bytes.fromhex("00000000003fffff0101"))

_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

State = Mapping[bytes, Any]
"""Labels to values or to more of them."""


class Key:
    """A BLS key pair of no value."""

    def __init__(self, name: str) -> None:
        self._secret = int.from_bytes(hashlib.sha512(name.encode()).digest()) % _ORDER
        self.der = bls.DER_PREFIX + bytes(bls._GENERATOR.scalar_mul(self._secret).compress())
        self.subnet_id = hashlib.sha224(self.der).digest() + b"\x02"

    def sign(self, message: bytes) -> bytes:
        hashed = pyblst.BlstP1Element().hash_to_group(message, bls.CIPHERSUITE)
        return bytes(hashed.scalar_mul(self._secret).compress())


ROOT = Key("root")
SUBNET = Key("subnet")


def tree(state: State | bytes) -> Tree:
    """Balanced, everything in it."""
    if isinstance(state, bytes):
        return Leaf(state)
    return forks([Labeled(label, tree(state[label])) for label in sorted(state)])


def forks(nodes: Sequence[Tree]) -> Tree:
    if not nodes:
        return Empty()
    if len(nodes) == 1:
        return nodes[0]
    middle = len(nodes) // 2
    return Fork(forks(nodes[:middle]), forks(nodes[middle:]))


def pruned(node: Tree) -> Tree:
    return Pruned(hashtree.digest(node))


def signed(key: Key, node: Tree, **more: object) -> bytes:
    """A certificate. more: delegation, or whatever is to take the place of something."""
    signature = key.sign(b"\x0dic-state-root" + hashtree.digest(node))
    return cbor.encode({"tree": as_list(node), "signature": signature, **more})


def as_list(node: Tree) -> Any:
    """As CBOR has it."""
    return cbor.decode(hashtree.encode(node), "a tree")


def state_tree(time_ns: int = NOW, **more: Any) -> Tree:
    """With the certified data of CANISTER."""
    labels = {name.encode(): value for name, value in more.items()}
    data = {b"certified_data": b"\x07" * 32}
    return tree({b"canister": {CANISTER: data}, b"time": unsigned(time_ns), **labels})


def ranges(*pairs: tuple[bytes, bytes]) -> bytes:
    return cbor.encode([list(pair) for pair in pairs])


def flat(subnet: Key, *pairs: tuple[bytes, bytes]) -> dict[bytes, Any]:
    """What the root's state tree has of a subnet, in the older form."""
    about = {b"canister_ranges": ranges(*pairs), b"public_key": subnet.der}
    return {b"subnet": {subnet.subnet_id: about}, b"time": unsigned(NOW)}


def sharded(subnet: Key, *pairs: tuple[bytes, bytes]) -> dict[bytes, Any]:
    """The same in the newer form, one pair in a shard."""
    shards = {first: ranges((first, last)) for first, last in pairs}
    return {
        b"canister_ranges": {subnet.subnet_id: shards},
        b"subnet": {subnet.subnet_id: {b"public_key": subnet.der}},
        b"time": unsigned(NOW),
    }


def delegation(subnet: Key, root: Key, state: State) -> dict[str, bytes]:
    return {"subnet_id": subnet.subnet_id, "certificate": signed(root, tree(state))}


# -- the tree of atomic_swap -------------------------------------------------------------------------------------------


def swap_tree(swaps: Mapping[bytes, bytes], shown: bytes | None = None) -> Tree:
    """The canister's whole hash tree, or the witness for one id: the way to its place, and what is there."""
    return Fork(
        Labeled(b"last_block_hash", pruned(Leaf(b"h")) if shown else Leaf(b"h")),
        Labeled(b"swaps", _level(swaps, 0, shown)),
    )


def _level(swaps: Mapping[bytes, bytes], depth: int, shown: bytes | None) -> Tree:
    if depth >= hashtree.BUCKET_BITS and len(swaps) <= 1:
        for id_, record in swaps.items():
            return Labeled(id_, Leaf(record) if shown in (id_, None) else pruned(Leaf(record)))
        return Empty()
    left = {id_: record for id_, record in swaps.items() if not bit(id_, depth)}
    right = {id_: record for id_, record in swaps.items() if bit(id_, depth)}
    if shown is None:
        return Fork(_branch(left, depth), _branch(right, depth))
    if bit(shown, depth):
        return Fork(pruned(_branch(left, depth)), _level(right, depth + 1, shown))
    return Fork(_level(left, depth + 1, shown), pruned(_branch(right, depth)))


def _branch(swaps: Mapping[bytes, bytes], depth: int) -> Tree:
    if swaps or depth + 1 >= hashtree.BUCKET_BITS:
        return _level(swaps, depth + 1, None)
    return Pruned(EMPTY_LEVELS[hashtree.BUCKET_BITS - depth - 1])


def bit(id_: bytes, place: int) -> int:
    return id_[place // 8] >> 7 - place % 8 & 1


def _empty_levels() -> list[bytes]:
    digests = [hashtree.digest(Empty())]
    for _ in range(hashtree.BUCKET_BITS):
        digests.append(hashtree.digest(Fork(Pruned(digests[-1]), Pruned(digests[-1]))))
    return digests


EMPTY_LEVELS = _empty_levels()
