"""A checker of Merkle-Patricia proofs, made from the yellow paper (appendix D) and from nothing of swapd."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

EMPTY = keccak(rlp.encode(b""))
"""Root of a tree with nothing in it."""


def value_at(root: bytes, key: bytes, nodes: Iterable[bytes]) -> bytes | None:
    """What stands at the key; None if nothing does. Raises AssertionError if the nodes do not prove it."""
    if root == EMPTY:
        return None
    known = {keccak(node): node for node in nodes}
    path = key.hex()
    named: Any = root
    while True:
        if named == b"":
            return None
        if isinstance(named, bytes):
            assert named in known, "a node is missing, or is not the one that its parent names"
            named = rlp.decode(known[named])
        if len(named) == 17:
            if not path:
                return named[16] or None
            named, path = named[int(path[0], 16)], path[1:]
            continue
        packed = named[0].hex()
        flag = int(packed[0], 16)
        part = packed[1:] if flag & 1 else packed[2:]
        if flag & 2:
            return bytes(named[1]) if path == part else None
        if not path.startswith(part):
            return None
        named, path = named[1], path[len(part) :]
