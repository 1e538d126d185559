"""Hash trees: the spec's own example, look-ups that never say more than the tree does, and hostile bytes."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swapd.chains.icp import hashtree
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.hashtree import Absent, Empty, Fork, Found, Hidden, Labeled, Leaf, Pruned, Tree
from tests.chains.icp import forge

# -- the example of the interface specification

WHOLE = bytes.fromhex(
    "8301830183024161830183018302417882034568656c6c6f810083024179820345776f726c6483024162820344676f6f64"
    "8301830241638100830241648203476d6f726e696e67"
)
PRUNED = bytes.fromhex(
    "83018301830241618301820458201b4feff9bef8131788b0c9dc6dbad6e81e524249c879e9f10f71ce3749f5a638830241"
    "79820345776f726c6483024162820458207b32ac0c6ba8ce35ac82c255fc7906f7fc130dab2a090f80fe12f9c2cae83ba6"
    "830182045820ec8324b8a1f1ac16bd2e806edba78006479c9877fed4eb464a25485465af601d830241648203476d6f726e"
    "696e67"
)
ROOT_HASH = "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0"


@pytest.mark.parametrize("raw", [WHOLE, PRUNED, b"\xd9\xd9\xf7" + WHOLE])
def test_the_root_hash_is_that_of_the_specification_pruned_or_not(raw: bytes) -> None:
    assert hashtree.digest(hashtree.decode(raw)).hex() == ROOT_HASH


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (["a", "a"], Hidden()),
        (["a", "y"], Found(Leaf(b"world"))),
        (["aa"], Absent()),
        (["ax"], Absent()),
        (["b"], Hidden()),
        (["bb"], Hidden()),
        (["d"], Found(Leaf(b"morning"))),
        (["e"], Absent()),
        (["d", "x"], Absent()),  # a value has nothing below
    ],
)
def test_look_ups_in_the_pruned_tree_are_those_of_the_specification(path: list[str], found: object) -> None:
    assert hashtree.lookup(hashtree.decode(PRUNED), [part.encode() for part in path]) == found


def test_a_value_is_found_absent_or_untrusted() -> None:
    tree = hashtree.decode(PRUNED)
    assert hashtree.leaf(tree, [b"d"]) == b"morning"
    assert hashtree.leaf(tree, [b"e"]) is None
    with pytest.raises(Untrusted, match="leaves out /a/a"):
        hashtree.leaf(tree, [b"a", b"a"])
    with pytest.raises(Untrusted, match="a branch where a value should be"):
        hashtree.leaf(tree, [b"a"])


# -- properties

LABELS = st.binary(max_size=3)
STATES: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=8), lambda below: st.dictionaries(LABELS, below, max_size=5), max_leaves=20
)


def truth(state: Any, path: list[bytes]) -> Any:
    """What is at a path: a value, a dict, or None."""
    for label in path:
        if not isinstance(state, dict) or label not in state:
            return None
        state = state[label]
    return state


def shapes(state: Any, draw: Any) -> Tree:
    """A tree of the state in a shape of its own: forks anywhere, with empty ones among them."""
    if isinstance(state, bytes):
        return Leaf(state)
    nodes: list[Tree] = [Labeled(label, shapes(state[label], draw)) for label in sorted(state)]
    while len(nodes) > 1:
        at = draw(st.integers(0, len(nodes) - 2))
        nodes[at : at + 2] = [Fork(nodes[at], nodes[at + 1])]
    if draw(st.integers(0, 4)) == 0 and nodes:
        nodes = [Fork(Empty(), nodes[0])]
    return nodes[0] if nodes else Empty()


def prune(tree: Tree, draw: Any) -> Tree:
    if draw(st.integers(0, 5)) == 0:
        return Pruned(hashtree.digest(tree))
    match tree:
        case Fork(left, right):
            return Fork(prune(left, draw), prune(right, draw))
        case Labeled(label, below):
            return Labeled(label, prune(below, draw))
    return tree


def paths(state: Any) -> st.SearchStrategy[list[bytes]]:
    def known(each: Any, before: list[bytes]) -> list[list[bytes]]:
        below = each.items() if isinstance(each, dict) else ()
        return [before, *(path for label, inner in below for path in known(inner, [*before, label]))]

    return st.one_of(st.sampled_from(known(state, [])), st.lists(LABELS, max_size=4))


@given(STATES, st.data())
def test_encoding_and_decoding_gives_the_same_tree(state: Any, data: st.DataObject) -> None:
    tree = prune(shapes(state, data.draw), data.draw)
    assert hashtree.decode(hashtree.encode(tree)) == tree


@given(STATES, st.data())
def test_pruning_changes_no_digest(state: Any, data: st.DataObject) -> None:
    tree = shapes(state, data.draw)
    assert hashtree.digest(prune(tree, data.draw)) == hashtree.digest(tree)


@given(STATES, st.data())
def test_the_whole_tree_tells_everything(state: Any, data: st.DataObject) -> None:
    path = data.draw(paths(state))
    found = hashtree.lookup(shapes(state, data.draw), path)
    there = truth(state, path)
    if isinstance(there, bytes):
        assert found == Found(Leaf(there))
    elif there:
        assert isinstance(found, Found)
    else:
        assert found == Absent()


@given(STATES, st.data())
def test_a_pruned_tree_tells_the_truth_or_nothing(state: Any, data: st.DataObject) -> None:
    path = data.draw(paths(state))
    tree = shapes(state, data.draw)
    found = hashtree.lookup(prune(tree, data.draw), path)
    if isinstance(found, Absent):
        assert not truth(state, path)
    elif isinstance(found, Found) and isinstance(found.tree, Leaf):
        assert found.tree.value == truth(state, path)


# -- hostile bytes


def nested(depth: int) -> bytes:
    return b"\x83\x01\x81\x00" * depth + b"\x81\x00"


@pytest.mark.parametrize(
    "tree",
    [
        [],
        [5],
        [0, 1],
        [1, [0]],
        [1, [0], [0], [0]],
        [2, "text", [0]],
        [2, b"label"],
        [3, 7],
        [3, None],
        [4, bytes(31)],
        [4, bytes(33)],
        [True, [0], [0]],
        {"1": 2},
        None,
        [1, [2, b"b", [0]], [2, b"a", [0]]],  # out of order: what is absent could not be told
        [1, [2, b"a", [0]], [2, b"a", [0]]],
        [1, [2, b"a", [0]], [3, b"a value"]],
        [2, b"a", [1, [3, b"a value"], [3, b"another"]]],
    ],
    ids=lambda tree: repr(tree)[:40],
)
def test_what_is_no_well_formed_tree_is_untrusted(tree: Any) -> None:
    with pytest.raises(Untrusted):
        hashtree.decode(cbor2.dumps(tree))


@pytest.mark.parametrize("depth", [hashtree.DEEPEST, 300, 1_000, 100_000, 1_000_000])
def test_a_tree_that_is_too_deep_is_untrusted(depth: int) -> None:
    assert hashtree.decode(nested(hashtree.DEEPEST - 1))
    with pytest.raises(Untrusted):
        hashtree.decode(nested(depth))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x81",
        b"\x82\x03\x5f",  # a blob without an end
        b"\x9b" + b"\xff" * 8,  # more elements than there are atoms
        b"\x5b" + b"\xff" * 8,
        b"\xd8\x1c\x82\x03\xd8\x1d\x00",  # 28, 29: an array that contains itself
        b"\xd8\x1c\x83\x01\x81\x00\xd8\x1d\x00",
        b"\xc2\x41\x05",  # 2: a big number
        b"\xc1\x1a\x00\x00\x00\x00",  # 1: a date
        b"\xd8\x23\x63(a+",  # 35: a regular expression
        b"\x82\x03\x44abcd\x00",  # something left over
        b"\xf9\x3c\x00",
        b"\xa1\x01\x02",
        b"\xa2\x61a\x00\x61a\x00",
    ],
    ids=bytes.hex,
)
def test_bytes_that_are_no_tree_are_untrusted(raw: bytes) -> None:
    with pytest.raises(Untrusted):
        hashtree.decode(raw)


@given(st.binary(max_size=60), st.integers(0, len(PRUNED) - 1))
def test_no_bytes_lead_to_another_error(noise: bytes, at: int) -> None:
    for raw in (noise, PRUNED[:at] + noise + PRUNED[at + len(noise) :], PRUNED[:at]):
        with suppress(Untrusted):
            hashtree.decode(raw)


def test_a_large_tree_takes_no_long() -> None:
    leaves = {number.to_bytes(4): b"v" for number in range(6_000)}
    raw = hashtree.encode(forge.tree(leaves))
    begun = time.process_time()
    hashtree.digest(hashtree.decode(raw))
    assert time.process_time() - begun < 5


# -- the swaps of our canister

IDS = st.binary(min_size=32, max_size=32)


@given(st.dictionaries(IDS, st.binary(max_size=5), max_size=6), IDS)
def test_a_witness_tells_whether_there_is_such_a_swap(swaps: dict[bytes, bytes], asked: bytes) -> None:
    whole = forge.swap_tree(swaps)
    for swap_id in {*swaps, asked}:
        witness = hashtree.decode(hashtree.encode(forge.swap_tree(swaps, swap_id)))
        assert hashtree.digest(witness) == hashtree.digest(whole)
        assert hashtree.find_swap(witness, swap_id) == swaps.get(swap_id)


@given(st.sets(st.binary(min_size=30, max_size=30), min_size=2, max_size=8), st.binary(min_size=2, max_size=2))
def test_swaps_in_one_bucket_are_told_apart(rest: set[bytes], prefix: bytes) -> None:
    missing, *others = sorted(prefix + each for each in rest)
    swaps = {swap_id: swap_id[:4] for swap_id in others}
    assert hashtree.find_swap(forge.swap_tree(swaps, missing), missing) is None
    assert hashtree.find_swap(forge.swap_tree(swaps, others[0]), others[0]) == others[0][:4]


@given(IDS, IDS)
def test_a_witness_for_another_swap_proves_nothing(one: bytes, other: bytes) -> None:
    assume(one[:2] != other[:2])
    witness = forge.swap_tree({one: b"1", other: b"2"}, other)
    with pytest.raises(Untrusted, match="leaves out"):
        hashtree.find_swap(witness, one)


def test_a_record_that_is_left_out_is_no_absence() -> None:
    one, two = bytes(31) + b"\1", bytes(31) + b"\2"
    witness = forge.swap_tree({one: b"1", two: b"2"}, one)
    assert hashtree.find_swap(witness, one) == b"1"
    with pytest.raises(Untrusted, match="leaves out what stands"):
        hashtree.find_swap(witness, two)
    alone = forge.swap_tree({one: b"1"}, two)  # it shows that only `one` is there, without its record
    assert hashtree.find_swap(alone, two) is None
    with pytest.raises(Untrusted, match="leaves out what stands"):
        hashtree.find_swap(alone, one)


@pytest.mark.parametrize("label", [b"\1" + bytes(31), bytes(31), b""])
def test_a_swap_in_the_wrong_place_proves_nothing(label: bytes) -> None:
    tree: Tree = Labeled(label, Leaf(b"1"))
    for _ in range(hashtree.BUCKET_BITS):
        tree = Fork(tree, Empty())
    with pytest.raises(Untrusted, match="leaves out what stands"):
        hashtree.find_swap(Labeled(b"swaps", tree), bytes(32))


def test_a_tree_without_swaps_proves_nothing() -> None:
    for tree in (Empty(), Labeled(b"other", Leaf(b"")), Labeled(b"swaps", Empty()), Labeled(b"swaps", Leaf(b"x"))):
        with pytest.raises(Untrusted):
            hashtree.find_swap(tree, bytes(32))
