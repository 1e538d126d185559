"""Claims and refunds by other people's wallets: what they are given works, and what they hand in is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from swapd.chains.abilities import HandsOver
from swapd.chains.base import Instructions, TxState
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.chains.ethereum.transactions import Call
from swapd.devnet.anvil import CHAIN_ID
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.ethereum.test_cooperate import signed
from tests.chains.ethereum.world import ETHER, GWEI, PREIMAGE, World

STRANGER = Account.from_key(b"\x05" * 32)


def call_of(instructions: Instructions) -> Call:
    fields = instructions.fields
    return Call(fields["contract"], int(fields["value_wei"]), bytes.fromhex(fields["calldata"][2:]))


async def raw(world: World, call: Call, **changes: Any) -> bytes:
    """The call as a wallet of a stranger signs it."""
    await world.node.set_balance(STRANGER.address, ETHER)
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": CHAIN_ID,
        "nonce": 0,
        "gas": 300_000,
        "maxFeePerGas": 100 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        "to": call.to,
        "value": call.value,
        "data": call.data,
    }
    return bytes(STRANGER.sign_transaction({**fields, **changes}).raw_transaction)


def test_ethereum_hands_over(world: World) -> None:
    assert isinstance(world.chain, HandsOver)


async def test_a_claim_that_was_handed_over_is_signed_checked_sent_and_pays_the_receiver(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    before = await world.balance(world.bob)
    given = await world.chain.claim_for_owner(leg, PREIMAGE)
    submitted = await world.chain.check_signed(leg, await raw(world, call_of(given)))
    assert submitted.kind is EffectKind.CLAIM
    await world.chain.broadcast(submitted.tx)
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.CLAIMED
    assert await world.balance(world.bob) == before + leg.leg.terms.amount
    assert (await world.chain.fate(submitted.tx)).state is TxState.MINED


async def test_s9_a_claim_is_handed_over_with_a_hole_where_the_owners_own_preimage_goes(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    given = await world.chain.claim_for_owner(leg)
    call = call_of(given)
    assert PREIMAGE not in call.data
    assert given.fields["preimage_at"] == "bytes 4 to 36 of the calldata"
    filled = Call(call.to, 0, call.data[:4] + PREIMAGE + call.data[36:])
    assert (await world.chain.check_signed(leg, await raw(world, filled))).kind is EffectKind.CLAIM
    with pytest.raises(Invalid):
        await world.chain.check_signed(leg, await raw(world, call))
    with pytest.raises(Invalid, match="preimage"):
        await world.chain.claim_for_owner(leg, bytes(32))


async def test_a_refund_that_was_handed_over_is_good_from_the_timelock_on(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    bytes_ = await raw(world, call_of(await world.chain.refund_for_owner(leg)))
    with pytest.raises(Rejected, match="NotDue"):
        await world.chain.check_signed(leg, bytes_)
    await world.time_is(leg.leg.terms.timelock)
    submitted = await world.chain.check_signed(leg, bytes_)
    assert submitted.kind is EffectKind.REFUND
    await world.chain.broadcast(submitted.tx)
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_with_the_receivers_word_the_refund_that_is_handed_over_is_good_at_once(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    leg = replace(leg, consent=await signed(world, leg))
    given = await world.chain.refund_for_owner(leg)
    assert given.fields["function"] == "cooperativeRefund"
    submitted = await world.chain.check_signed(replace(leg, consent=b""), await raw(world, call_of(given)))
    assert submitted.kind is EffectKind.REFUND
    await world.chain.broadcast(submitted.tx)
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_what_is_not_a_claim_or_refund_of_this_very_leg_is_refused(world: World) -> None:
    leg, other = world.leg(), world.leg(amount=5)
    terms = HtlcTerms.of(leg.leg.terms)
    claim, refund = world.htlc.claim(terms, PREIMAGE), world.htlc.refund(terms)
    batch = Call(claim.to, 0, world.htlc._abi.call("batchClaim", [(PREIMAGE, *terms.words[1:])]))
    good = await raw(world, claim)
    legacy = bytes(
        STRANGER.sign_transaction(
            {
                "chainId": CHAIN_ID,
                "nonce": 0,
                "gas": 300_000,
                "gasPrice": 100 * GWEI,
                "to": claim.to,
                "value": 0,
                "data": claim.data,
            }
        ).raw_transaction
    )
    for what, wrong in {
        "another leg's claim": await raw(world, world.htlc.claim(HtlcTerms.of(other.leg.terms), PREIMAGE)),
        "another leg's refund": await raw(world, world.htlc.refund(HtlcTerms.of(other.leg.terms))),
        "another preimage": await raw(world, world.htlc.claim(terms, bytes(32))),
        "a lock": await raw(world, world.htlc.lock(terms)),
        "several at once": await raw(world, batch),
        "money besides": await raw(world, replace(claim, value=1)),
        "something behind it": await raw(world, replace(refund, data=refund.data + b"\x00")),
        "another contract": await raw(world, replace(claim, to=world.alice)),
        "another chain": await raw(world, claim, chainId=1),
        "nothing": b"",
        "rubbish": b"\x02rubbish",
        "cut short": good[:-1],
        "huge": b"\x02" + bytes(20_000),
        "without replay protection or tip": legacy,
    }.items():
        with pytest.raises(Invalid) as caught:
            await world.chain.check_signed(leg, wrong)
        assert caught.value.field == "signed", what
        assert PREIMAGE.hex() not in str(caught.value), what
