"""Hash trees: what a certificate signs, with everything left out that was not asked for.

Source: IC interface specification, "Certification": encoding, `reconstruct`, `lookup` and `well_formed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from swapd.chains.icp import cbor
from swapd.chains.icp.errors import Untrusted

DEEPEST = 256
"""Levels of forks and labels. The network's own trees have some 40; the deepest of ours some 50."""

MOST_NODES = 20_000
"""Of a tree. A witness has some hundred, and to check more takes so long that others' answers would wait for it."""

DIGEST_BYTES = 32

BUCKET_BITS = 16
"""Levels of forks between the label `swaps` and a swap's bucket: the first bits of its id, 0 is left."""


# -- nodes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True)
class Fork:
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Labeled:
    label: bytes
    tree: Tree


@dataclass(frozen=True, slots=True)
class Leaf:
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was left out, by its digest."""

    digest: bytes


Tree = Empty | Fork | Labeled | Leaf | Pruned


# -- what a look-up finds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """tree: what stands at the path."""

    tree: Tree

    @property
    def value(self) -> bytes:
        """Raises Untrusted if there is a subtree and no value."""
        if not isinstance(self.tree, Leaf):
            raise Untrusted("the hash tree has a branch where a value should be")
        return self.tree.value


@dataclass(frozen=True, slots=True)
class Absent:
    """Proven not to be in the tree."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Left out: it may be in the tree or not (the specification's `Unknown`)."""


# -- CBOR --------------------------------------------------------------------------------------------------------------


def decode(raw: bytes) -> Tree:
    """A well-formed tree from CBOR, with or without its tag. Raises Untrusted."""
    return from_cbor(cbor.decode(raw, "the hash tree"))


def from_cbor(value: object) -> Tree:
    """The tree in what `cbor.decode` gave. Raises Untrusted."""
    if _size(value) > MOST_NODES:
        raise Untrusted(f"the hash tree has more than {MOST_NODES} nodes")
    tree = _node(value, DEEPEST)
    _require_well_formed(tree)
    return tree


def _size(value: object) -> int:
    """How many nodes there are, or one more than there may be."""
    waiting, size = [value], 0
    while waiting and size <= MOST_NODES:
        node = waiting.pop()
        if isinstance(node, list):
            size += 1
            waiting += node
    return size


def _node(value: object, levels: int) -> Tree:
    if levels == 0:
        raise Untrusted("the hash tree is nested too deeply")
    match value:
        case [bool(), *_]:
            pass  # equal to 0 or 1, in Python
        case [0]:
            return Empty()
        case [1, left, right]:
            return Fork(_node(left, levels - 1), _node(right, levels - 1))
        case [2, bytes(label), below]:
            return Labeled(label, _node(below, levels - 1))
        case [3, bytes(content)]:
            return Leaf(content)
        case [4, bytes(digest_)] if len(digest_) == DIGEST_BYTES:
            return Pruned(digest_)
    raise Untrusted("the hash tree has a node of no known kind")


def encode(tree: Tree) -> bytes:
    """The reverse of `decode`, with the tag."""
    return cbor.encode(_list(tree))


def _list(tree: Tree) -> list[object]:
    match tree:
        case Empty():
            return [0]
        case Fork(left, right):
            return [1, _list(left), _list(right)]
        case Labeled(label, below):
            return [2, label, _list(below)]
        case Leaf(value):
            return [3, value]
        case Pruned(digest_):
            return [4, digest_]


def _require_well_formed(tree: Tree) -> None:
    """Labels of a forest in strictly increasing order and no leaves among them: `lookup` concludes from that."""
    if isinstance(tree, Leaf):
        return
    before: bytes | None = None
    for each in _forest(tree):
        if isinstance(each, Leaf):
            raise Untrusted("the hash tree has a value beside labels")
        if isinstance(each, Labeled):
            if before is not None and each.label <= before:
                raise Untrusted("the hash tree has labels out of order")
            before = each.label
            _require_well_formed(each.tree)


# -- digests -----------------------------------------------------------------------------------------------------------


def _domain(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()


_EMPTY = hashlib.sha256(_domain("ic-hashtree-empty")).digest()
_FORK = _domain("ic-hashtree-fork")
_LABELED = _domain("ic-hashtree-labeled")
_LEAF = _domain("ic-hashtree-leaf")


def digest(tree: Tree) -> bytes:
    """The root hash, 32 bytes (`reconstruct`)."""
    match tree:
        case Empty():
            return _EMPTY
        case Fork(left, right):
            return hashlib.sha256(_FORK + digest(left) + digest(right)).digest()
        case Labeled(label, below):
            return hashlib.sha256(_LABELED + label + digest(below)).digest()
        case Leaf(value):
            return hashlib.sha256(_LEAF + value).digest()
        case Pruned(digest_):
            return digest_


# -- look-ups ----------------------------------------------------------------------------------------------------------


def lookup(tree: Tree, path: Sequence[bytes]) -> Found | Absent | Hidden:
    """What stands at `path`, or the proof that nothing does."""
    for label in path:
        step = _step(tree, label)
        if not isinstance(step, Found):
            return step
        tree = step.tree
    if isinstance(tree, Pruned):
        return Hidden()
    return Absent() if isinstance(tree, Empty) else Found(tree)


def leaf(tree: Tree, path: Sequence[bytes]) -> bytes | None:
    """The value at `path`, None if there is provably none. Raises Untrusted if the tree does not say."""
    found = lookup(tree, path)
    if isinstance(found, Hidden):
        raise Untrusted(f"the certificate leaves out {_shown(path)}")
    return found.value if isinstance(found, Found) else None


def labels(tree: Tree) -> list[tuple[bytes, Tree]]:
    """The labels right below a node that were not left out, with what stands there."""
    return [(each.label, each.tree) for each in _forest(tree) if isinstance(each, Labeled)]


def find_swap(tree: Tree, swap_id: bytes) -> bytes | None:
    """The certified record of a swap in the tree of `atomic_swap`, None if there is provably no such swap.

    Below the label `swaps` every swap has its place: each bit of its id is a fork, 0 to the left, for the first
    BUCKET_BITS bits always and from there on until it is alone. So whatever else stands at the place of an id, or that
    nothing does, proves that there is no such swap. Raises Untrusted if the way there or the answer was left out.
    """
    found = lookup(tree, [b"swaps"])
    if not isinstance(found, Found):
        raise Untrusted("the witness has no swaps")
    node, depth = found.tree, 0
    while isinstance(node, Fork) and depth < 8 * len(swap_id):
        node = node.right if _bit(swap_id, depth) else node.left
        depth += 1
    if depth < BUCKET_BITS:
        raise Untrusted("the witness leaves out the way to the swap")
    match node:
        case Empty():
            return None
        case Labeled(label, Leaf(value)) if label == swap_id:
            return value
        case Labeled(label) if label != swap_id and _agree(label, swap_id, depth):
            return None
    raise Untrusted("the witness leaves out what stands at the swap's place")


def _agree(one: bytes, other: bytes, bits: int) -> bool:
    """Whether two ids begin with the same bits."""
    return len(one) == len(other) and all(_bit(one, number) == _bit(other, number) for number in range(bits))


def _bit(data: bytes, number: int) -> int:
    """From the most significant bit of the first byte on."""
    return data[number // 8] >> 7 - number % 8 & 1


def _step(tree: Tree, label: bytes) -> Found | Absent | Hidden:
    """`find_label` of the specification: absence needs both neighbours, or the end of the forest."""
    forest = _forest(tree)
    if not forest or isinstance(forest[0], Leaf):
        return Absent()
    before_hidden = False  # whether what stands right before the present node was left out
    for each in forest:
        if isinstance(each, Labeled):
            if each.label == label:
                return Found(each.tree)
            if label < each.label:
                return Hidden() if before_hidden else Absent()
        before_hidden = isinstance(each, Pruned)
    return Hidden() if before_hidden else Absent()


def _forest(tree: Tree) -> list[Tree]:
    """`flatten_forks`: what stands beside each other, from left to right."""
    match tree:
        case Empty():
            return []
        case Fork(left, right):
            return _forest(left) + _forest(right)
        case _:
            return [tree]


def _shown(path: Sequence[bytes]) -> str:
    return "/" + "/".join(part.decode() if part.isalpha() or b"_" in part else part.hex() for part in path)
