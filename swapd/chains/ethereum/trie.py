"""The tree under whose root a block commits to its receipts, as far as swapd builds it: to show the way to one of them.

Source: Ethereum yellow paper, appendix D (modified Merkle-Patricia trie) and C (hex prefix); keys are the RLP of the
place in the block, of which none begins another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

_HASHED = 32
"""Bytes: a node of that many is named by its hash, a shorter one stands in its parent itself."""

_Items = Sequence[tuple[tuple[int, ...], bytes]]
"""What is left of each key, in nibbles; the value."""


def branch(values: Sequence[bytes], place: int) -> tuple[bytes, list[bytes]]:
    """The root of the tree of these values, and its nodes (RLP) from there to the one at this place."""
    items = [(_nibbles(rlp.encode(number)), value) for number, value in enumerate(values)]
    way: list[bytes] = []
    root = rlp.encode(_node(items, items[place][0], way))
    return keccak(root), [root, *reversed(way)]


def _node(items: _Items, key: tuple[int, ...] | None, way: list[bytes]) -> list[Any]:
    """key: what is left of the wanted one, None beside its way; the nodes below go into `way`, deepest first."""
    if len(items) == 1:
        return [_packed(items[0][0], leaf=True), items[0][1]]
    shared = _shared(items)
    if shared:
        below = [(rest[shared:], value) for rest, value in items]
        child = _below(below, None if key is None else key[shared:], way)
        return [_packed(items[0][0][:shared], leaf=False), child]
    node: list[Any] = []
    for nibble in range(16):
        below = [(rest[1:], value) for rest, value in items if rest[0] == nibble]
        wanted = key[1:] if key is not None and key[0] == nibble else None
        node.append(_below(below, wanted, way) if below else b"")
    return [*node, b""]


def _below(items: _Items, key: tuple[int, ...] | None, way: list[bytes]) -> Any:
    """How a parent names this node."""
    node = _node(items, key, way)
    encoded = rlp.encode(node)
    if len(encoded) < _HASHED:
        return node
    if key is not None:
        way.append(encoded)
    return keccak(encoded)


def _shared(items: _Items) -> int:
    """Nibbles that all keys begin with."""
    keys = [rest for rest, _ in items]
    first, last = min(keys), max(keys)
    return next(place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _packed(nibbles: tuple[int, ...], *, leaf: bool) -> bytes:
    """Hex prefix: a flag for a leaf, and for an odd number."""
    odd = len(nibbles) % 2
    whole = (2 * leaf + odd, *(() if odd else (0,)), *nibbles)
    return bytes(high << 4 | low for high, low in zip(whole[::2], whole[1::2], strict=True))
