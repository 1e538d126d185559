"""A leg given back before its timelock by both keys, on bitcoind."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from bitcoin.core.script import SIGHASH_ALL, SIGHASH_NONE
from coincurve import PrivateKey

from swapd.chains.abilities import Cooperates, handed_in
from swapd.chains.base import SightingKind, TxState, WatchedLeg
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.cooperate import psbt_of
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import Outpoint, Spend, read, with_witness
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Wallet
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, World
from .owners import ALICE, BOB, decoded, encoded, leg_of, pubkey, sign

REFUND = EffectKind.REFUND


async def requested(world: World, leg: WatchedLeg) -> list[str]:
    fields = (await world.chain.consent_wanted(leg)).fields
    return [value for name, value in fields.items() if name.startswith("psbt_")]


async def consent_of(world: World, leg: WatchedLeg, key: PrivateKey = BOB, most: int = 99) -> bytes:
    """As a person sends it: base64, one below the other."""
    signed = [await sign(world, each, key) for each in (await requested(world, leg))[:most]]
    return handed_in("consent", "\n".join(signed))


async def given_back(world: World, most: int = 99) -> WatchedLeg:
    """A leg of swapd's money to whose return Bob has agreed."""
    leg = await leg_of(world, receiver=BOB)
    consent = await consent_of(world, leg, most=most)
    await world.chain.check_consent(leg, consent)
    return replace(leg, consent=consent)


async def test_bitcoin_cooperates(world: World) -> None:
    assert isinstance(world.chain, Cooperates)


async def test_with_the_receivers_word_a_leg_goes_back_long_before_its_timelock(own_world: World) -> None:
    world = own_world
    leg = await leg_of(world, receiver=BOB)
    with pytest.raises(Rejected, match="non-final"):
        await world.draft(REFUND, leg)
    leg = replace(leg, consent=await consent_of(world, leg))
    cursor = (await world.chain.scan(None, [leg])).cursor

    refund = await world.send(REFUND, leg)
    pending = await world.view(leg)
    await world.node.mine(1)

    view = await world.view(leg)
    assert (pending.state, pending.depth) == (LegState.REFUNDED, 0)
    assert (view.state, view.depth, view.spend_txid, view.preimage) == (LegState.REFUNDED, 1, refund.txid, None)
    sightings = (await world.chain.scan(cursor, [leg])).sightings
    assert [(each.kind, each.txid, each.preimage) for each in sightings] == [(SightingKind.REFUND, refund.txid, None)]
    assert (await world.chain.fate(refund)).state is TxState.MINED
    (output,) = read(refund.raw).outputs
    assert output.amount == AMOUNT - refund.fee
    assert output.script == output_script(leg.leg.refund_to, "regtest", "refund_to")
    assert world.vault.preimage(leg.index) not in refund.raw


async def test_swapd_gives_back_what_it_would_receive_by_its_own_word(world: World) -> None:
    """The sender holds the other key: he gets a PSBT that swapd has signed already."""
    leg = await leg_of(world, sender=ALICE)
    consent = await world.chain.own_consent(leg)
    await world.chain.check_consent(leg, consent)
    given = await world.chain.refund_for_owner(replace(leg, consent=consent))
    assert given.fields["locktime"] == "0"
    signed = base64.b64decode(await sign(world, given.fields["psbt"], ALICE))
    submitted = await world.chain.check_signed(leg, signed)
    assert submitted.kind is REFUND
    await world.chain.broadcast(submitted.tx)
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_swapd_with_both_keys_gives_back_alone(world: World) -> None:
    leg = await world.locked()
    leg = replace(leg, consent=await world.chain.own_consent(leg))
    await world.send(REFUND, leg)
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_swapd_agrees_for_nobody_else_and_to_nothing_that_is_not_there(world: World) -> None:
    leg = await leg_of(world, receiver=BOB)
    with pytest.raises(Invalid, match="swapd's own wallet"):
        await world.chain.own_consent(leg)
    with pytest.raises(Rejected, match="not in a block"):
        await world.chain.own_consent(await world.leg())


async def of_address(world: World, kind: str) -> WatchedLeg:
    """A leg for somebody who gave an address: swapd's own key claims for him."""
    address = await world.node.rpc("getnewaddress", "", kind, wallet="miner")
    return await world.locked(pay_to=address, claimed_by=Wallet.EXTERNAL)


@pytest.mark.parametrize("kind", ["bech32", "bech32m"])
async def test_the_owner_of_an_address_agrees_by_a_message(world: World, kind: str) -> None:
    leg = await of_address(world, kind)
    with pytest.raises(Invalid, match="swapd's own wallet"):
        await world.chain.own_consent(leg)
    fields = (await world.chain.consent_wanted(leg)).fields
    assert fields["message"].count(leg.leg.refund_to) == 1
    signature = await world.node.rpc("signmessage", fields["address"], fields["message"], wallet="miner")
    consent = handed_in("consent", signature)
    await world.chain.check_consent(leg, consent)
    first = await world.send(REFUND, replace(leg, consent=consent))
    leg = await world.seen(replace(leg, consent=consent))
    assert await world.draft(REFUND, leg, first) is None
    await world.send(REFUND, leg, first, left=0)
    await world.node.mine(1)
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_no_other_message_and_no_other_owner_will_do(world: World) -> None:
    leg, other = await of_address(world, "bech32"), await of_address(world, "bech32")
    words = (await world.chain.consent_wanted(leg)).fields["message"]
    others = (await world.chain.consent_wanted(other)).fields["message"]
    for address, message in ((leg.leg.pay_to, others), (other.leg.pay_to, words), (leg.leg.pay_to, words + " ")):
        signature = await world.node.rpc("signmessage", address, message, wallet="miner")
        consent = handed_in("consent", signature)
        with pytest.raises(Invalid, match=f"of {leg.leg.pay_to} under"):
            await world.chain.check_consent(leg, consent)
        with pytest.raises(Rejected, match="agree again"):
            await world.draft(REFUND, replace(leg, consent=consent))
    with pytest.raises(Invalid, match="BIP 322"):
        await world.chain.check_consent(leg, await world.chain.own_consent(await world.locked()))


async def test_whoever_gave_an_address_of_another_kind_can_not_be_asked(world: World) -> None:
    with pytest.raises(Invalid, match="P2WPKH"):
        await world.chain.consent_wanted(await of_address(world, "legacy"))


async def test_a_word_that_is_not_the_receivers_for_this_leg_is_refused_with_what_was_expected(world: World) -> None:
    leg, other = await leg_of(world, receiver=BOB), await leg_of(world, receiver=BOB)
    outpoint = Outpoint.parse((await world.chain.view(leg)).lock_ref or "")
    assert outpoint is not None
    asked = await requested(world, leg)
    good = await sign(world, asked[0], BOB)

    async def of(payout: str, fee: int, locktime: int = 0) -> str:
        script = output_script(payout, "regtest", "payout")
        spend = Spend(outpoint, AMOUNT, htlc_script(leg.leg.terms), script, fee, locktime)
        return await sign(world, encoded(psbt_of(spend)), BOB)

    wrong = {
        "by another": await sign(world, asked[0], ALICE),
        "unsigned": asked[0],
        "for another leg": base64.b64encode(await consent_of(world, other, most=1)).decode(),
        "for another payee": await of(leg.leg.pay_to, 500),
        "for a fee that burns it": await of(leg.leg.refund_to, AMOUNT // 2 + 1),
        "for a fee below zero": await of(leg.leg.refund_to, -1),
        "for later": await of(leg.leg.refund_to, 500, leg.leg.terms.timelock),
        "for whatever payee": await sign(world, asked[0], BOB, SIGHASH_NONE),
        "one good and one wrong": good + "\n" + asked[1],
        "rubbish": base64.b64encode(b"psbt\xffrubbish").decode(),
    }
    await world.chain.check_consent(leg, base64.b64decode(good))
    for what, text in wrong.items():
        with pytest.raises(Invalid, match=f"signed by {pubkey(BOB).hex()} with SIGHASH_ALL") as caught:
            await world.chain.check_consent(leg, handed_in("consent", text))
        assert caught.value.field == "consent", what
    with pytest.raises(Rejected, match="has to agree again"):
        await world.draft(REFUND, replace(leg, consent=await consent_of(world, other)))


async def test_a_word_is_good_once(world: World) -> None:
    leg = await given_back(world)
    refund = await world.send(REFUND, leg)
    await world.node.mine(1)
    leg = await world.seen(leg)
    with pytest.raises(Rejected, match=refund.txid[:8]):
        await world.draft(EffectKind.CLAIM, leg)
    with pytest.raises(Rejected):
        await world.draft(REFUND, leg)
    with pytest.raises(Rejected, match="not any more"):
        await world.chain.check_consent(leg, leg.consent)


async def test_the_dearer_ones_that_were_signed_replace_the_cheaper_as_time_runs_out(world: World) -> None:
    leg = await given_back(world)
    first = await world.send(REFUND, leg)
    leg = await world.seen(leg)
    assert await world.draft(REFUND, leg, first) is None
    second = await world.draft(REFUND, leg, first, left=0)
    assert second is not None
    assert second.rate > first.rate
    await world.chain.broadcast(second)
    assert first.txid not in await world.node.rpc("getrawmempool")
    leg = await world.seen(leg)
    assert await world.draft(REFUND, leg, first, second, left=0) is None
    await world.node.mine(1)


async def test_with_one_fee_signed_it_is_that_one_or_nothing(world: World) -> None:
    leg = await given_back(world, most=1)
    only = await world.send(REFUND, leg)
    leg = await world.seen(leg)
    assert await world.draft(REFUND, leg, only, left=0) is None, "nothing better was signed"
    await world.node.mine(1)


async def test_a_claim_that_comes_first_wins_and_is_seen_as_one(own_world: World) -> None:
    world = own_world
    leg = await given_back(world)
    claim = await world.chain.claim_for_owner(leg, world.vault.preimage(leg.index))
    signed = base64.b64decode(await sign(world, claim.fields["psbt"], BOB))
    submitted = await world.chain.check_signed(leg, signed)
    refund = await world.draft(REFUND, leg)
    assert refund is not None
    await world.chain.broadcast(submitted.tx)
    await world.node.mine(2)
    leg = await world.seen(leg)
    view = await world.chain.view(leg)
    assert (view.state, view.preimage) == (LegState.CLAIMED, world.vault.preimage(leg.index))
    assert (await world.chain.fate(refund)).state is TxState.REPLACED
    with pytest.raises(Rejected):
        await world.draft(REFUND, leg)


async def test_who_has_word_and_preimage_and_gives_it_back_by_the_claims_way_has_claimed(world: World) -> None:
    """Wherever it pays, the secret is out; nothing else counts (S6)."""
    leg = await given_back(world)
    psbt = decoded(base64.b64encode(leg.consent).decode())
    signature = psbt.inputs[0].signatures[pubkey(BOB)]
    preimage = world.vault.preimage(leg.index)
    raw = with_witness(psbt.unsigned, [preimage, signature, htlc_script(leg.leg.terms)])
    assert await world.refused(raw) == ""
    await world.node.rpc("sendrawtransaction", raw.hex())
    view = await world.view(leg)
    assert (view.state, view.preimage) == (LegState.CLAIMED, preimage)
    await world.node.mine(1)


async def test_s7_a_refund_by_consent_that_is_reorganised_out_is_pending_again_and_comes_back(own_world: World) -> None:
    world = own_world
    leg = await given_back(world)
    refund = await world.send(REFUND, leg)
    (block,) = await world.node.mine(1)
    leg = await world.seen(leg)
    assert (await world.chain.view(leg)).depth == 1
    await world.node.invalidate(block)
    view = await world.chain.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.REFUNDED, 0, None)
    await world.node.mine(2, await world.node.rpc("getnewaddress", wallet="miner"))
    view = await world.view(leg)
    assert (view.state, view.depth, view.spend_txid) == (LegState.REFUNDED, 2, refund.txid)


async def test_after_the_timelock_the_own_key_is_enough_and_replaces_what_was_agreed(own_world: World) -> None:
    world = own_world
    leg = await given_back(world, most=1)
    early = await world.send(REFUND, leg)
    await world.node.set_time(leg.leg.terms.timelock + 3600)
    for _ in range(7):
        await world.node.rpc("generateblock", leg.leg.refund_to, [])  # nobody takes it up
    leg = await world.seen(leg)
    late = await world.draft(REFUND, leg, early, left=0)
    assert late is not None
    assert late.rate > early.rate
    assert read(late.raw).inputs[0].witness[2] == b"", "without anybody's word"
    await world.chain.broadcast(late)
    await world.node.mine(1)
    assert (await world.view(leg)).spend_txid == late.txid


async def test_a_poisoned_consent_is_found_before_anything_is_signed(world: World) -> None:
    """Somebody who can write to the database can not have swapd sign another way out of the leg."""
    leg = await given_back(world)
    key = world.vault.bitcoin_pubkey(leg.index, KeyPurpose.REFUND)
    psbt = decoded(base64.b64encode(leg.consent).decode())
    stolen = replace(psbt.inputs[0], signatures={key: b"\x30" + bytes([SIGHASH_ALL])})
    for poison in (b"\x00", leg.consent[:-1], replace(psbt, inputs=(stolen,)).encode()):
        with pytest.raises(Rejected, match="agree again"):
            await world.draft(REFUND, replace(leg, consent=poison))
