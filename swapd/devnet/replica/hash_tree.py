"""The IC's hash tree: labelled values, a root hash, and witnesses in which all but some paths is pruned.

A tree is given as nested dicts from label to subtree; a leaf is bytes. IC interface specification,
section "Certificate".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

Tree: TypeAlias = "dict[bytes, Tree] | bytes"
Node: TypeAlias = list[Any]  # as CBOR has it: [0] empty, [1, l, r] fork, [2, label, t], [3, leaf], [4, digest] pruned
Path: TypeAlias = Sequence[bytes]


def domain(name: str) -> bytes:
    """A domain separator: length and name."""
    return bytes([len(name)]) + name.encode()


def digest(node: Node) -> bytes:
    kind = node[0]
    if kind == 0:
        return hashlib.sha256(domain("ic-hashtree-empty")).digest()
    if kind == 1:
        return hashlib.sha256(domain("ic-hashtree-fork") + digest(node[1]) + digest(node[2])).digest()
    if kind == 2:
        return hashlib.sha256(domain("ic-hashtree-labeled") + node[1] + digest(node[2])).digest()
    if kind == 3:
        return hashlib.sha256(domain("ic-hashtree-leaf") + node[1]).digest()
    pruned: bytes = node[1]
    return pruned


def witness(tree: Tree, paths: Sequence[Path]) -> Node:
    """The tree with everything below `paths` in full, and whatever is not on the way there pruned.

    Where a path leads nowhere, the labels beside the gap stay, so that its absence is proven.
    """
    if isinstance(tree, bytes):
        return [3, tree]
    if any(not path for path in paths):  # one ends here: all that is below it
        return _forks([[2, label, witness(tree[label], [()])] for label in sorted(tree)])
    wanted: dict[bytes, list[Path]] = {}
    for path in paths:
        wanted.setdefault(path[0], []).append(path[1:])
    labels = sorted(tree)
    shown = set(wanted) & set(labels)
    beside = {label for missing in set(wanted) - shown for label in _neighbours(labels, missing)}
    return _forks([_entry(label, tree[label], wanted.get(label), label in beside) for label in labels])


def _entry(label: bytes, tree: Tree, paths: list[Path] | None, beside_a_gap: bool) -> Node:
    if paths is not None:
        return [2, label, witness(tree, paths)]
    whole: Node = [2, label, witness(tree, [()])]
    if beside_a_gap:
        return [2, label, [4, digest(whole[2])]]
    return [4, digest(whole)]


def _neighbours(labels: list[bytes], missing: bytes) -> list[bytes]:
    below = [label for label in labels if label < missing]
    above = [label for label in labels if label > missing]
    return below[-1:] + above[:1]


def _forks(nodes: list[Node]) -> Node:
    if not nodes:
        return [0]
    if len(nodes) == 1:
        return nodes[0]
    middle = (len(nodes) + 1) // 2
    left, right = _forks(nodes[:middle]), _forks(nodes[middle:])
    if left[0] == right[0] == 4:
        return [4, digest([1, left, right])]
    return [1, left, right]
