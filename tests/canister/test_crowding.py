"""Ids are hashes of nonces, and nonces can be tried: swaps that crowd around another one's place hide nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from swapd.chains.icp import hashtree
from swapd.chains.icp.escrow import Escrow
from tests.canister.rig import ALICE, AMOUNT, Rig, kind


def alike(escrow: Escrow, swap_id: bytes, bits: int) -> Iterator[bytes]:
    """Nonces whose ids share so many bits with one, by trying."""
    prefix = int.from_bytes(swap_id) >> 256 - bits
    head = hashlib.sha256(b"atomic-swap/1" + bytes([len(escrow.canister)]) + escrow.canister)
    head.update(bytes([len(ALICE)]) + ALICE)
    for number in range(1 << 40):
        attempt = head.copy()
        attempt.update(number.to_bytes(32))
        if int.from_bytes(attempt.digest()) >> 256 - bits == prefix:
            yield number.to_bytes(32)


def test_swaps_of_one_bucket_are_all_proven_and_so_is_what_is_not_there(idle: Rig) -> None:
    victim = idle.locked(nonce=b"\xff" * 32)
    nonces = alike(idle.escrow, victim, 16)
    crowd = [idle.locked(nonce=next(nonces)) for _ in range(6)]
    assert len({swap_id[:2] for swap_id in [victim, *crowd]}) == 1
    idle.complete(crowd[2])
    idle.complete(victim)
    phases = {swap_id: idle.phase(swap_id) for swap_id in [victim, *crowd]}  # each verified to the certificate
    assert phases == {swap_id: "Claimed" if swap_id in (victim, crowd[2]) else "Locked" for swap_id in phases}
    absent = idle.escrow.id(ALICE, next(nonces))
    assert absent[:2] == victim[:2]
    assert idle.swap(absent) is None
    assert kind(idle.complete(absent)) == "NotFound"


def test_a_page_holds_crowded_swaps_in_the_order_of_their_ids(idle: Rig) -> None:
    first = idle.locked(nonce=b"\xff" * 32)
    nonces = alike(idle.escrow, first, 16)
    swaps = sorted([first, *(idle.locked(nonce=next(nonces)) for _ in range(5)), *(idle.locked() for _ in range(5))])
    for limit in (1, 2, 5, 100):
        assert [swap["id"] for swap in idle.listed(limit=limit)] == swaps


def test_a_witness_grows_with_the_logarithm_of_the_crowd(idle: Rig) -> None:
    """Twenty bits cost a million hashes, and four forks."""
    victim = idle.locked(nonce=b"\xff" * 32)
    alone = len(idle.ask("getSwap", victim)["witness"])
    idle.locked(nonce=next(alike(idle.escrow, victim, 20)))
    assert idle.swap(victim)["args"]["amount"] == AMOUNT
    crowded = idle.ask("getSwap", victim)["witness"]
    assert len(crowded) - alone < 10 * 40  # forks are some 40 bytes; the two ids may agree by chance a little longer
    assert hashtree.find_swap(hashtree.decode(crowded), victim) is not None


def test_crowded_swaps_survive_an_upgrade(idle: Rig) -> None:
    victim = idle.locked(nonce=b"\xff" * 32)
    other = idle.locked(nonce=next(alike(idle.escrow, victim, 16)))
    idle.upgrade()
    idle.complete(other)
    assert (idle.phase(victim), idle.phase(other)) == ("Locked", "Claimed")
