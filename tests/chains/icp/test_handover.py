"""Claims and refunds by other people's identities: what they are given works, what they hand in is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from swapd.chains.abilities import HandsOver
from swapd.chains.base import Instructions
from swapd.chains.icp import cbor
from swapd.chains.icp.envelope import sign_call
from swapd.chains.icp.principal import parse
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.vault import Network, Secret, Vault
from tests.chains.icp.world import ALICE, BOB, ICP, NS, PREIMAGE, World

CLAIM, REFUND = EffectKind.CLAIM, EffectKind.REFUND


@pytest.fixture
def stranger() -> Iterator[Vault]:
    """Somebody with an identity of his own."""
    with Vault(Secret(b"\x05" * 32), Network.DEVNET) as vault:
        yield vault


def signed(world: World, by: Vault, given: Instructions, arg: bytes | None = None, expires_in: int = 120) -> bytes:
    fields = given.fields
    return sign_call(
        by,
        parse("canister", fields["canister"]),
        fields["method"],
        bytes.fromhex(fields["hex"]) if arg is None else arg,
        ingress_expiry_ns=world.replica.now_ns + expires_in * NS,
    ).raw


def test_icp_hands_over(world: World) -> None:
    assert isinstance(world.chain, HandsOver)


async def test_a_claim_that_was_handed_over_is_called_by_anybody_and_pays_the_receiver(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    before = world.balance(BOB)
    fields = (await world.chain.claim_for_owner(leg, PREIMAGE)).fields
    world.replica.update(world.canister, fields["method"], bytes.fromhex(fields["hex"]), ALICE.owner)
    assert (await world.view(leg)).state is LegState.CLAIMED
    assert world.balance(BOB) == before + ICP


async def test_a_signed_claim_of_a_stranger_is_checked_and_sent(world: World, stranger: Vault) -> None:
    leg = world.leg()
    await world.lock(leg)
    raw = signed(world, stranger, await world.chain.claim_for_owner(leg, PREIMAGE))
    submitted = await world.chain.check_signed(leg, raw)
    assert submitted.kind is CLAIM
    await world.chain.broadcast(submitted.tx)
    world.replica.settle()
    view = await world.view(leg)
    assert (view.state, view.preimage) == (LegState.CLAIMED, PREIMAGE)


async def test_s9_a_claim_is_handed_over_with_a_hole_where_the_owners_own_preimage_goes(
    world: World, stranger: Vault
) -> None:
    leg = world.leg()
    given = await world.chain.claim_for_owner(leg)
    arg = bytes.fromhex(given.fields["hex"])
    assert PREIMAGE not in arg
    _, first, _, last, *_ = given.fields["preimage_at"].split()
    filled = arg[: int(first)] + PREIMAGE + arg[int(last) :]
    assert (await world.chain.check_signed(leg, signed(world, stranger, given, filled))).kind is CLAIM
    with pytest.raises(Invalid):
        await world.chain.check_signed(leg, signed(world, stranger, given))
    with pytest.raises(Invalid, match="preimage"):
        await world.chain.claim_for_owner(leg, bytes(32))


async def test_a_refund_that_was_handed_over_is_good_from_the_timelock_on(world: World, stranger: Vault) -> None:
    world.sweep_but_once_a_day()
    leg = world.leg(timelock=world.start + 7_200)
    await world.lock(leg)
    given = await world.chain.refund_for_owner(leg)
    before = world.balance(world.own)
    early = await world.chain.check_signed(leg, signed(world, stranger, given))
    await world.chain.broadcast(early.tx)
    world.replica.settle()
    assert (await world.view(leg)).state is LegState.LOCKED
    world.replica.advance(7_200)
    submitted = await world.chain.check_signed(leg, signed(world, stranger, given))
    assert submitted.kind is REFUND
    await world.chain.broadcast(submitted.tx)
    world.replica.settle()
    assert (await world.view(leg)).state is LegState.REFUNDED
    assert world.balance(world.own) == before + ICP


async def test_what_is_not_a_claim_or_refund_of_this_very_leg_is_refused(world: World, stranger: Vault) -> None:
    leg, other = world.leg(), world.leg(amount=5)
    claim, refund = await world.chain.claim_for_owner(leg, PREIMAGE), await world.chain.refund_for_owner(leg)
    instructions = world.chain.instructions(leg.leg)
    elsewhere = Instructions("", {**refund.fields, "canister": world.settings.assets["ICP"].token})
    resumed = Instructions("", {**refund.fields, "method": "resumeSwap"})
    query = {"content": {"request_type": "query"}}
    more = cbor.decode(signed(world, stranger, refund), "a call")
    more["content"]["more"] = 1
    wrong = {
        "another leg's claim": signed(world, stranger, await world.chain.claim_for_owner(other, PREIMAGE)),
        "another leg's refund": signed(world, stranger, await world.chain.refund_for_owner(other)),
        "another preimage": signed(
            world, stranger, claim, world.chain._canister.complete(world.swap_id(leg), bytes(32))
        ),
        "a lock": signed(world, stranger, instructions),
        "another method": signed(world, stranger, resumed),
        "another canister": signed(world, stranger, elsewhere),
        "no Candid": signed(world, stranger, claim, b"rubbish"),
        "an argument of another type": signed(world, stranger, claim, bytes.fromhex(refund.fields["hex"])),
        "a query": cbor.encode(query),
        "a field more": cbor.encode(more),
        "nothing": b"",
        "rubbish": b"rubbish",
        "huge": bytes(20_000),
    }
    for what, raw in wrong.items():
        with pytest.raises(Invalid) as caught:
            await world.chain.check_signed(leg, raw)
        assert caught.value.field == "signed", what
        assert PREIMAGE.hex() not in str(caught.value), what


async def test_what_was_signed_too_long_ago_or_not_at_all_is_refused(world: World, stranger: Vault) -> None:
    leg = world.leg()
    await world.lock(leg)
    given = await world.chain.claim_for_owner(leg, PREIMAGE)
    with pytest.raises(Rejected, match="sign a new one"):
        await world.chain.check_signed(leg, signed(world, stranger, given, expires_in=-1))
    forged = cbor.decode(signed(world, stranger, given), "a call")
    forged["sender_sig"] = bytes(64)
    submitted = await world.chain.check_signed(leg, cbor.encode(forged))
    with pytest.raises(Rejected):
        await world.chain.broadcast(submitted.tx)
    assert (await world.view(leg)).state is LegState.LOCKED
