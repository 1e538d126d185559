"""Claims and refunds for keys that others hold: what they are given works, and what they hand in is looked at."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from bitcoin.core.script import SIGHASH_NONE

from swapd.chains.abilities import HandsOver
from swapd.chains.base import TxState
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.cooperate import psbt_of
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import Joint, Outpoint, Output, Spend, claim, refund
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, World
from .owners import ALICE, BOB, decoded, encoded, leg_of, pubkey, sign


def raw(psbt: str) -> bytes:
    return base64.b64decode(psbt)


async def test_bitcoin_hands_over(world: World) -> None:
    assert isinstance(world.chain, HandsOver)


async def test_a_claim_that_was_handed_over_is_signed_checked_sent_and_pays_the_receiver(world: World) -> None:
    leg = await leg_of(world, receiver=BOB)
    given = await world.chain.claim_for_owner(leg, world.vault.preimage(leg.index))
    assert given.fields["pay_to"] == leg.leg.pay_to
    submitted = await world.chain.check_signed(leg, raw(await sign(world, given.fields["psbt"], BOB)))
    assert (submitted.kind, submitted.tx.fee) == (EffectKind.CLAIM, int(given.fields["fee_satoshi"]))
    await world.chain.broadcast(submitted.tx)
    await world.node.mine(1)
    view = await world.view(leg)
    assert (view.state, view.spend_txid) == (LegState.CLAIMED, submitted.tx.txid)
    assert (await world.chain.fate(submitted.tx)).state is TxState.MINED


async def test_s9_a_claim_is_handed_over_without_the_preimage_and_its_owner_puts_it_in(world: World) -> None:
    leg = await leg_of(world, receiver=BOB)
    preimage = world.vault.preimage(leg.index)
    signed = await sign(world, (await world.chain.claim_for_owner(leg)).fields["psbt"], BOB)
    assert preimage not in raw(signed)
    with pytest.raises(Invalid, match="without a preimage"):
        await world.chain.check_signed(leg, raw(signed))
    psbt = decoded(signed)
    item = replace(psbt.inputs[0], preimages={leg.leg.terms.hashlock: preimage})
    submitted = await world.chain.check_signed(leg, replace(psbt, inputs=(item,)).encode())
    assert submitted.kind is EffectKind.CLAIM
    with pytest.raises(Invalid, match="preimage"):
        await world.chain.claim_for_owner(leg, bytes(32))


async def test_a_refund_that_was_handed_over_is_good_from_the_timelock_on(own_world: World) -> None:
    world = own_world
    leg = await leg_of(world, sender=ALICE)
    given = await world.chain.refund_for_owner(leg)
    assert given.fields["locktime"] == str(leg.leg.terms.timelock)
    signed = raw(await sign(world, given.fields["psbt"], ALICE))
    with pytest.raises(Rejected, match="median time"):
        await world.chain.check_signed(leg, signed)
    await world.node.set_time(leg.leg.terms.timelock + 3600)
    await world.node.mine(7)
    submitted = await world.chain.check_signed(leg, signed)
    assert submitted.kind is EffectKind.REFUND
    await world.chain.broadcast(submitted.tx)
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_what_swapd_does_by_itself_is_handed_to_nobody(world: World) -> None:
    leg = await world.locked()
    with pytest.raises(Invalid, match="swapd claims this leg by itself"):
        await world.chain.claim_for_owner(leg)
    with pytest.raises(Invalid, match="swapd refunds this leg by itself"):
        await world.chain.refund_for_owner(leg)


async def test_the_owner_of_a_key_may_pay_whom_and_what_he_likes(world: World) -> None:
    """A whole transaction of another wallet, at another fee, to two payees."""
    leg = await leg_of(world, receiver=BOB)
    outpoint = Outpoint.parse((await world.chain.view(leg)).lock_ref or "")
    assert outpoint is not None
    somewhere = output_script(leg.leg.refund_to, "regtest", "payee")
    spend = Spend(outpoint, AMOUNT, htlc_script(leg.leg.terms), somewhere, 5_000)
    outputs = (Output(AMOUNT - 105_000, somewhere), Output(100_000, b"\x00\x14" + bytes(20)))
    joint = Joint((spend._joint.inputs[0],), outputs)
    signature = BOB.sign(joint.sighash(0), hasher=None) + b"\x01"
    whole = joint.with_witnesses((world.vault.preimage(leg.index), signature))
    submitted = await world.chain.check_signed(leg, whole)
    assert (submitted.kind, submitted.tx.fee, submitted.tx.raw) == (EffectKind.CLAIM, 5_000, whole)


async def test_what_is_not_a_claim_or_refund_of_this_very_leg_is_refused(world: World) -> None:
    leg, other = await leg_of(world, sender=ALICE, receiver=BOB), await leg_of(world, receiver=BOB)
    preimage, script = world.vault.preimage(leg.index), htlc_script(leg.leg.terms)
    outpoint = Outpoint.parse((await world.chain.view(leg)).lock_ref or "")
    elsewhere = Outpoint.parse((await world.chain.view(other)).lock_ref or "")
    assert outpoint is not None
    assert elsewhere is not None
    payout = output_script(leg.leg.pay_to, "regtest", "payee")
    spend = Spend(outpoint, AMOUNT, script, payout, 1_000)
    foreign = Spend(elsewhere, AMOUNT, htlc_script(other.leg.terms), payout, 1_000)
    both = Joint((spend._joint.inputs[0], foreign._joint.inputs[0]), (Output(AMOUNT, payout),))

    def by_bob(sighash: bytes) -> bytes:
        return BOB.sign(sighash, hasher=None)

    asked = encoded(psbt_of(spend, preimage={leg.leg.terms.hashlock: preimage}))
    good = claim(spend, preimage, by_bob)
    assert (await world.chain.check_signed(leg, good)).kind is EffectKind.CLAIM
    wrong = {
        "another leg's": claim(foreign, world.vault.preimage(other.index), by_bob),
        "more than the leg": both.with_witnesses((preimage, by_bob(both.sighash(0)) + b"\x01"), (b"", b"")),
        "another preimage": claim(spend, bytes(32), by_bob),
        "open to changes": raw(await sign(world, asked, BOB, SIGHASH_NONE)),
        "by nobody": raw(asked),
        "by a stranger": raw(await sign(world, asked, type(BOB)(b"\x77" * 32))),
        "more out than in": claim(replace(spend, fee=-1), preimage, by_bob),
        "two PSBTs": raw(await sign(world, asked, BOB)) * 2,
        "another script": spend.with_witness(preimage, by_bob(spend.sighash()) + b"\x01")[:-20] + bytes(20),
        "nothing": b"",
        "rubbish": b"rubbish",
        "cut short": good[:-1],
        "a PSBT cut short": raw(asked)[:-1],
        "huge": b"\x02" * 500_000,
    }
    for what, each in wrong.items():
        with pytest.raises(Invalid) as caught:
            await world.chain.check_signed(leg, each)
        assert caught.value.field == "signed", what
        assert preimage.hex() not in str(caught.value), what


async def test_what_only_looks_like_one_is_refused_by_the_node(world: World) -> None:
    leg = await leg_of(world, sender=ALICE, receiver=BOB)
    outpoint = Outpoint.parse((await world.chain.view(leg)).lock_ref or "")
    assert outpoint is not None
    payout = output_script(leg.leg.pay_to, "regtest", "payee")
    spend = Spend(outpoint, AMOUNT, htlc_script(leg.leg.terms), payout, 1_000)

    def by_alice(sighash: bytes) -> bytes:
        return ALICE.sign(sighash, hasher=None)

    claimed_by_alice = claim(spend, world.vault.preimage(leg.index), by_alice)
    early = refund(spend, pubkey(ALICE), by_alice)
    own = world.vault.bitcoin_pubkey(leg.index, KeyPurpose.REFUND)
    for each in (claimed_by_alice, early, refund(spend, own, by_alice)):
        with pytest.raises(Rejected):
            await world.chain.check_signed(leg, each)
