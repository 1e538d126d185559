"""The tree of a block's receipts: whatever the number of values, the way to each of them leads there."""

from __future__ import annotations

import hashlib

import pytest
import rlp  # type: ignore[import-untyped]

from swapd.chains.ethereum import trie
from tests.chains.ethereum.merkle import value_at


def some(number: int, length: int) -> list[bytes]:
    return [hashlib.sha256(place.to_bytes(4)).digest() * (length // 32 + 1) for place in range(number)]


@pytest.mark.parametrize("number", [1, 2, 16, 17, 127, 128, 129, 200, 257, 300])
@pytest.mark.parametrize("length", [32, 500])
def test_every_value_is_at_the_end_of_its_branch(number: int, length: int) -> None:
    values = some(number, length)
    roots = set()
    for place in {0, 1, number // 2, number - 1, *range(120, 135), *range(250, 260)} & {*range(number)}:
        root, nodes = trie.branch(values, place)
        roots.add(root)
        assert value_at(root, rlp.encode(place), nodes) == values[place]
    assert len(roots) == 1, "one tree, whichever way is shown"


def test_short_nodes_stand_in_their_parents() -> None:
    values = [bytes([place]) for place in range(20)]
    for place in range(20):
        root, nodes = trie.branch(values, place)
        assert value_at(root, rlp.encode(place), nodes) == values[place]


def test_the_root_depends_on_every_value() -> None:
    values = some(150, 100)
    changed = [*values[:149], b"x" * 100]
    assert trie.branch(values, 3)[0] != trie.branch(changed, 3)[0]
