"""A leg given back before its timelock by its receiver's word, on anvil."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from swapd.chains.abilities import Cooperates
from swapd.chains.base import SightingKind, TxState, WatchedLeg
from swapd.chains.ethereum import cooperate
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.ethereum.transactions import Call, attempt_of
from swapd.devnet.anvil import CHAIN_ID
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.ethereum.world import ETHER, GWEI, PREIMAGE, World

REFUND = EffectKind.REFUND
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

YES = "0x631626ba7e60e01b5f5260205ff3"
"""Code that takes every signature for its own: push the magic value of ERC-1271, shift it left by 224 bits, return."""


async def signed(world: World, leg: WatchedLeg, by: str | None = None) -> bytes:
    """As the wallet of `by`, the leg's receiver, signs what it is asked to: here the node's own accounts."""
    request = await world.chain.consent_wanted(leg)
    signer = by or request.fields["signer"]
    typed_data = json.loads(request.fields["typed_data"])
    return bytes.fromhex((await world.node.rpc("eth_signTypedData_v4", signer, typed_data))[2:])


async def consented(world: World, leg: WatchedLeg) -> WatchedLeg:
    consent = await signed(world, leg)
    await world.chain.check_consent(leg, consent)
    return replace(leg, consent=consent)


def test_ethereum_cooperates(world: World) -> None:
    assert isinstance(world.chain, Cooperates)


async def test_with_the_receivers_word_a_leg_goes_back_long_before_its_timelock(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    with pytest.raises(Rejected, match="NotDue"):
        await world.draft(REFUND, leg)
    cursor, before = await world.cursor(), await world.balance(world.own)

    leg = await consented(world, leg)
    refund = await world.send(REFUND, leg)
    await world.node.mine()

    view = await world.view(leg)
    assert (view.state, view.depth, view.spend_txid, view.preimage) == (LegState.REFUNDED, 1, refund.txid, None)
    sightings = (await world.chain.scan(cursor, [leg])).sightings
    assert [(each.kind, each.txid) for each in sightings] == [(SightingKind.REFUND, refund.txid)]
    fate = await world.chain.fate(refund)
    assert fate.state is TxState.MINED
    assert await world.balance(world.own) == before + leg.leg.terms.amount - (fate.fee or 0)
    assert await world.draft(REFUND, leg, [refund]) is None


async def test_anybodys_leg_goes_back_by_swapds_own_word(world: World) -> None:
    """swapd is the receiver: it agrees, and sends the refund for a sender who may be away."""
    leg = world.leg(sender=world.alice, receiver=world.own)
    before = await world.balance(world.alice)
    await world.lock_by(world.alice, leg.leg.terms)
    consent = await world.chain.own_consent(leg)
    await world.chain.check_consent(leg, consent)
    had = await world.balance(world.alice)
    await world.send(REFUND, replace(leg, consent=consent))
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED
    assert await world.balance(world.alice) == had + leg.leg.terms.amount < before


async def test_swapd_agrees_for_nobody_else(world: World) -> None:
    with pytest.raises(Invalid, match="swapd's own wallet"):
        await world.chain.own_consent(world.leg())


async def test_a_word_that_is_not_the_receivers_for_this_leg_is_refused_with_what_was_expected(world: World) -> None:
    leg = world.leg()
    good = await signed(world, leg)
    other_form = good[:32] + (ORDER - int.from_bytes(good[32:64])).to_bytes(32) + bytes([27 + 28 - good[64]])
    wrong = {
        "another's": await signed(world, leg, world.alice),
        "for another amount": await signed(world, world.leg(amount=1)),
        "for another timelock": await signed(world, world.leg(timelock=leg.leg.terms.timelock + 1)),
        "for another swap": await signed(world, world.leg(preimage=bytes(32))),
        "the other form": other_form,
        "an odd recovery number": good[:64] + b"\x00",
        "shorter": good[:64],
        "longer": good + b"\x00",
        "nothing": b"",
        "zeros": bytes(65),
        "huge": bytes(5_000),
    }
    await world.chain.check_consent(leg, good)
    for what, consent in wrong.items():
        with pytest.raises(Invalid, match=f"signature of {world.bob}") as caught:
            await world.chain.check_consent(leg, consent)
        assert caught.value.field == "consent", what


async def test_s13_a_word_for_another_contract_or_chain_is_refused(world: World) -> None:
    leg, key = world.leg(), Account.create()
    leg = world.leg(receiver=key.address)
    terms = HtlcTerms.of(leg.leg.terms)

    def sign(htlc: Htlc) -> bytes:
        signed: Any = key.sign_typed_data(cooperate.domain(htlc), dict(cooperate.TYPES), cooperate.message(terms))
        return bytes(signed.signature)

    await world.chain.check_consent(leg, sign(world.htlc))
    for elsewhere in (Htlc(CHAIN_ID, world.alice), Htlc(1, world.htlc.address)):
        with pytest.raises(Invalid, match=key.address):
            await world.chain.check_consent(leg, sign(elsewhere))


async def test_a_word_that_is_no_good_moves_nothing_even_if_it_is_believed(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    with pytest.raises(Rejected, match="NotSignedByReceiver"):
        await world.draft(REFUND, replace(leg, consent=await signed(world, leg, world.alice)))


async def test_a_word_is_good_once(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    await world.send(REFUND, leg)
    await world.node.mine()
    with pytest.raises(Rejected, match="NotLocked"):
        await world.draft(REFUND, leg)


async def test_a_receiver_that_is_a_contract_agrees_by_its_own_word_and_may_take_it_back(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    with pytest.raises(Invalid, match="consent"):
        await world.chain.check_consent(leg, b"yes")
    await world.node.rpc("anvil_setCode", world.bob, YES)
    await world.chain.check_consent(leg, b"yes")
    leg = replace(leg, consent=b"yes")
    draft = await world.draft(REFUND, leg)
    assert draft is not None
    await world.node.rpc("anvil_setCode", world.bob, "0x")
    with pytest.raises(Rejected, match="NotSignedByReceiver"):
        await world.draft(REFUND, leg)
    await world.time_is(leg.leg.terms.timelock)
    assert (await world.draft(REFUND, leg)) is not None, "after the timelock nobody is asked"


async def test_a_receivers_code_may_not_burn_swapds_gas(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    # counts down from 65,535 before it says yes
    await world.node.rpc("anvil_setCode", world.bob, "0x61ffff5b600190038060035750631626ba7e60e01b5f5260205ff3")
    await world.chain.check_consent(leg, b"yes")
    with pytest.raises(Rejected, match="200000 gas"):
        await world.draft(REFUND, replace(leg, consent=b"yes"))


async def test_a_claim_that_comes_first_wins_and_is_seen_as_one(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    refund = await world.send(REFUND, leg)
    await world.claim_by(world.bob, leg, maxFeePerGas=hex(500 * GWEI), maxPriorityFeePerGas=hex(400 * GWEI))
    await world.node.mine()
    view = await world.view(leg)
    assert (view.state, view.preimage) == (LegState.CLAIMED, PREIMAGE)
    assert (await world.chain.fate(refund)).state is TxState.FAILED
    with pytest.raises(Rejected, match="NotLocked"):
        await world.draft(REFUND, leg, [refund])


async def test_s7_a_refund_by_consent_that_is_reorganised_out_is_sent_again(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    refund = await world.send(REFUND, leg)
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED
    await world.node.reorg(1)
    assert (await world.view(leg)).state is LegState.LOCKED
    await world.chain.broadcast(refund)
    await world.node.mine()
    view = await world.view(leg)
    assert (view.state, view.spend_txid) == (LegState.REFUNDED, refund.txid)


async def test_what_was_sent_by_consent_stays_the_refund_when_the_timelock_passes(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    early = await world.send(REFUND, leg)
    await world.node.rpc("anvil_dropTransaction", early.txid)
    await world.time_is(leg.leg.terms.timelock)

    better = await world.draft(REFUND, leg, [early], left=0)
    assert better is not None
    again = better.sign(None)
    assert again.sequence == early.sequence
    assert attempt_of(again).call == attempt_of(early).call

    fresh = await world.draft(REFUND, leg)
    assert fresh is not None
    assert fresh.call == world.htlc.refund(HtlcTerms.of(leg.leg.terms)), "which takes nobody's word"
    await world.chain.broadcast(again)
    await world.node.mine()
    assert await world.draft(REFUND, leg, [early, again]) is None


async def test_a_plain_refund_that_was_out_is_taken_for_what_it_is(world: World) -> None:
    """An attempt from after the timelock, looked at by a clock that a reorganisation set back."""
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    plain = await world.draft(REFUND, leg)
    assert plain is not None
    plain.call = world.htlc.refund(HtlcTerms.of(leg.leg.terms))
    late = plain.sign(plain.floor)
    better = await world.draft(REFUND, leg, [late], left=0)
    assert better is not None
    assert better.call == plain.call


async def test_tokens_go_back_likewise_to_their_sender_only(world: World) -> None:
    """The payee is in what is signed: nobody who sends the refund can choose another."""
    leg = world.leg()
    await world.lock(leg)
    leg = await consented(world, leg)
    terms = HtlcTerms.of(leg.leg.terms)
    before = await world.balance(world.own)
    await world.call(world.alice, world.htlc.cooperative_refund(terms, leg.consent))
    await world.node.mine()
    assert await world.balance(world.own) == before + ETHER // 10
    stolen = world.htlc.cooperative_refund(replace(terms, sender=world.alice), leg.consent)
    with pytest.raises(Rejected):
        await world.node.rpc("eth_call", {"to": stolen.to, "data": "0x" + stolen.data.hex()}, "latest")
    assert isinstance(stolen, Call)
