"""What shows a leg to somebody who does not believe swapd, from the raw bytes and the root key alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from swapd.chains.icp import candid, cbor, certificate, hashtree, interface
from swapd.chains.icp.canister import swap_of
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import EscrowTerms, Phase, Swap
from swapd.chains.icp.principal import parse
from swapd.devnet.replica.certificates import Delegated
from swapd.errors import Unavailable
from tests.chains.icp.world import ALICE, BOB, NS, PREIMAGE, World, new_world

EVER = 10**18 * 10
"""Nanoseconds: when it was certified is for whoever reads it to judge."""


def check(proofs: Mapping[str, str]) -> tuple[Swap, int]:
    """The swap that the network has certified, and when (nanoseconds)."""
    canister = parse("canister", proofs["canister"])
    certified = certificate.verify(
        bytes.fromhex(proofs["certificate"]),
        root_key=bytes.fromhex(proofs["root_key"]),
        canister_id=canister,
        now_ns=0,
        max_age_ns=EVER,
        max_ahead_ns=EVER,
    )
    tree = hashtree.decode(bytes.fromhex(proofs["witness"]))
    if hashtree.digest(tree) != certified.certified_data(canister):
        raise Untrusted("the witness is not what was certified")
    state = hashtree.find_swap(tree, bytes.fromhex(proofs["swap_id"]))
    assert state is not None
    return swap_of(candid.decode(interface.Swap, state)), certified.time_ns


async def test_a_lock_is_proven_by_certificate_and_witness(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    assert await world.chain.prove(leg) == {}, "nothing was locked"
    world.lock_by(ALICE, leg.leg.terms)
    proofs = await world.chain.prove(leg)
    swap, time_ns = check(proofs)
    assert (swap.phase, swap.secret) == (Phase.LOCKED, None)
    assert swap.terms == EscrowTerms.of(leg.leg.terms)
    assert abs(time_ns - world.replica.now_ns) < 60 * NS
    assert proofs["root_key"] == world.replica.root_key.hex()
    assert PREIMAGE.hex() not in json.dumps(dict(proofs))


@pytest.mark.parametrize("delegated", ["ranges", "sharded"])
async def test_a_claim_is_proven_through_a_delegation_too(tmp_path: Path, delegated: Delegated) -> None:
    async with new_world(tmp_path, delegated=delegated) as world:
        leg = world.leg(sender=ALICE.text)
        world.complete_by(BOB, world.lock_by(ALICE, leg.leg.terms).id)
        swap, _ = check(await world.chain.prove(leg))
        assert (swap.phase, swap.secret) == (Phase.CLAIMED, PREIMAGE)


async def test_a_refund_is_proven(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.refund_by(BOB, world.lock_by(ALICE, leg.leg.terms).id)
    assert check(await world.chain.prove(leg))[0].phase is Phase.REFUNDED


async def test_a_proof_that_somebody_has_changed_is_none(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    swap = world.lock_by(ALICE, leg.leg.terms)
    locked = await world.chain.prove(leg)
    world.complete_by(BOB, swap.id)
    claimed = await world.chain.prove(leg)
    for forged in (
        {"witness": locked["witness"]},
        {"root_key": certificate.MAINNET_ROOT_KEY.hex()},
        {"swap_id": "ab" * 32},
        {"certificate": claimed["certificate"][:-2] + "00"},
    ):
        with pytest.raises(Untrusted):
            check({**claimed, **forged})


async def test_an_answer_that_is_not_proven_is_not_handed_on(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    world.proxy.instead["getSwap"] = lambda _, raw: (200, raw.replace(b"Labeled", b"labeled")[:-1] + b"\x00")
    with pytest.raises(Unavailable):
        await world.chain.prove(leg)
    world.proxy.instead["getSwap"] = lambda *_: (503, b"")
    with pytest.raises(Unavailable):
        await world.chain.prove(leg)


async def test_an_answer_that_is_padded_with_what_nobody_signed_is_not_handed_on(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)

    def padded(_: object, raw: bytes) -> tuple[int, bytes]:
        answer = cbor.decode(raw, "the answer")
        reply = candid.decode(interface.GetSwapReply, answer["reply"]["arg"])
        signed = cbor.decode(reply["certificate"], "the certificate")
        reply["certificate"] = cbor.encode(signed | {"more": bytes(150_000)})
        answer["reply"]["arg"] = candid.encode(interface.GetSwapReply, reply)
        return 200, cbor.encode(answer)

    world.proxy.instead["getSwap"] = padded
    assert (await world.view(leg)).lock_ref == world.swap_id(leg).hex(), "what is signed is believed"
    with pytest.raises(Untrusted, match="far longer"):
        await world.chain.prove(leg)
