"""A lock given back before its timelock by a call of its receiver, on the replica."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.abilities import Cooperates
from swapd.chains.base import SightingKind, TxState
from swapd.chains.icp.canister import REFUND as REFUND_METHOD
from swapd.chains.icp.principal import text
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.icp.world import ALICE, BOB, ICP, PREIMAGE, World

CLAIM, REFUND = EffectKind.CLAIM, EffectKind.REFUND


async def test_icp_cooperates(world: World) -> None:
    assert isinstance(world.chain, Cooperates)


async def test_what_the_receiver_is_asked_to_call_gives_the_lock_back_long_before_its_timelock(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    cursor, before = await world.cursor(), world.balance(world.own)
    request = await world.chain.consent_wanted(leg)
    fields = request.fields
    assert (request.answer, fields["caller"], fields["canister"]) == ("", text(BOB.owner), text(world.canister))

    world.replica.update(world.canister, fields["method"], bytes.fromhex(fields["hex"]), BOB.owner)

    view = await world.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.REFUNDED, 1, None)
    kinds = {each.kind for each in (await world.chain.scan(cursor, [leg])).sightings}
    assert kinds == {SightingKind.REFUND}
    assert world.balance(world.own) == before + ICP
    assert await world.draft(REFUND, leg) is None


async def test_nobody_else_gives_it_back_before_its_timelock(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    for stranger in (ALICE, world.own):
        answer = world.refund_by(stranger, world.swap_id(leg))
        assert "DeadlineNotReached" in str(answer["Err"])
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_swapd_gives_back_what_it_would_receive_by_its_own_consent_alone(world: World) -> None:
    leg = world.leg(sender=ALICE.text, receiver=world.own.text)
    world.lock_by(ALICE, leg.leg.terms)
    before = world.balance(ALICE)
    with pytest.raises(Rejected, match="consent, which was not given"):
        await world.draft(REFUND, leg)
    assert (await world.view(leg)).state is LegState.LOCKED, "an early refund by mistake is no consent"

    consent = await world.chain.own_consent(leg)
    assert consent
    await world.chain.check_consent(leg, consent)
    leg = replace(leg, consent=consent)
    refund = await world.send(REFUND, leg)

    assert (await world.view(leg)).state is LegState.REFUNDED
    assert (await world.chain.fate(refund)).state is TxState.MINED
    assert world.balance(ALICE) == before + ICP
    assert await world.draft(REFUND, leg, [refund]) is None, "once"


async def test_after_the_timelock_no_consent_is_asked_for(world: World) -> None:
    world.sweep_but_once_a_day()
    leg = world.leg(sender=ALICE.text, receiver=world.own.text, timelock=world.start + 7_200)
    world.lock_by(ALICE, leg.leg.terms)
    world.replica.advance(7_200)
    assert (await world.draft(REFUND, leg)) is not None


async def test_no_bytes_are_anybody_elses_consent(world: World) -> None:
    theirs, ours = world.leg(), world.leg(sender=ALICE.text, receiver=world.own.text)
    for leg, consent in (
        (theirs, b""),
        (theirs, b"yes"),
        (theirs, BOB.owner),
        (theirs, world.own.owner),
        (ours, b""),
        (ours, b"yes"),
        (ours, ALICE.owner),
    ):
        with pytest.raises(Invalid, match=REFUND_METHOD) as caught:
            await world.chain.check_consent(leg, consent)
        assert caught.value.field == "consent"
    with pytest.raises(Invalid, match="swapd's own wallet"):
        await world.chain.own_consent(theirs)


async def test_the_first_of_claim_and_refund_is_what_it_is(world: World) -> None:
    claimed, given_back = world.leg(), world.leg(amount=ICP // 2)
    await world.lock(claimed)
    await world.lock(given_back)
    assert "Ok" in world.complete_by(BOB, world.swap_id(claimed))
    assert "WrongPhase" in str(world.refund_by(BOB, world.swap_id(claimed))["Err"])
    assert "Ok" in world.refund_by(BOB, world.swap_id(given_back))
    assert "WrongPhase" in str(world.complete_by(BOB, world.swap_id(given_back))["Err"])
    assert (await world.view(claimed)).state is LegState.CLAIMED
    assert (await world.view(given_back)).state is LegState.REFUNDED
    with pytest.raises(Rejected, match="Refunded"):
        await world.draft(CLAIM, given_back, secret=PREIMAGE)
