"""A leg as the chain shows it: exact terms or hands off, and what is not the leg with its way back."""

from __future__ import annotations

from dataclasses import replace

from swapd.protocol.observation import LegState
from tests.chains.icp.world import ALICE, BOB, DAY, ICP, PREIMAGE, World


async def test_a_leg_that_nobody_funded_is_absent(world: World) -> None:
    view = await world.view(world.leg())
    assert (view.state, view.depth, view.lock_ref, view.strays) == (LegState.ABSENT, 0, None, ())


async def test_s1_somebodys_lock_of_exactly_these_terms_is_the_leg(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    swap = world.lock_by(ALICE, leg.leg.terms)
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_ref) == (LegState.LOCKED, 1, swap.id.hex())
    assert view.lock_txid == str(swap.lock_block)


async def test_a_claimed_leg_shows_its_secret_and_the_ledgers_blocks(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    swap = world.lock_by(ALICE, leg.leg.terms)
    world.complete_by(BOB, swap.id)
    view = await world.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 1, PREIMAGE)
    assert view.spend_txid is not None
    assert int(view.spend_txid) > int(view.lock_txid or "")


async def test_a_leg_given_back_by_its_receiver_is_refunded_before_its_time(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    before = world.balance(ALICE)
    swap = world.lock_by(ALICE, leg.leg.terms)
    assert "Ok" in world.refund_by(BOB, swap.id)
    assert (await world.view(leg)).state is LegState.REFUNDED
    assert world.balance(ALICE) == before - 3 * 10_000


async def test_s11_the_right_name_with_other_terms_is_a_stray_and_never_the_leg(world: World) -> None:
    """The id commits to initiator and nonce; a careless wallet may send the right nonce with a wrong amount."""
    leg = world.leg(sender=ALICE.text)
    world.approve_by(ALICE, leg.leg.terms)
    answer = world.initiate_by(ALICE, leg.leg.terms, amount=ICP - 1)
    assert answer["Ok"]["id"] == world.swap_id(leg)
    view = await world.view(leg)
    assert view.state is LegState.ABSENT
    (stray,) = view.strays
    assert (stray.ref, stray.amount, stray.refundable) == (world.swap_id(leg).hex(), ICP - 1, False)
    assert stray.why == "amount is 99999999, agreed 100000000"
    assert ALICE.text in stray.way_back


async def test_s11_wrong_terms_under_another_name_are_shown_after_a_scan(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    cursor = await world.cursor()
    wrong = world.lock_by(ALICE, replace(leg.leg.terms, amount=ICP // 2))
    scan = await world.chain.scan(cursor, [leg])
    view = await world.view(replace(leg, sightings=scan.sightings))
    assert view.state is LegState.ABSENT
    (stray,) = view.strays
    assert (stray.ref, stray.amount) == (wrong.id.hex(), ICP // 2)


async def test_s12_a_stray_that_went_back_is_no_longer_shown(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    cursor = await world.cursor()
    world.lock_by(ALICE, replace(leg.leg.terms, amount=ICP // 2))
    scan = await world.chain.scan(cursor, [leg])
    leg = replace(leg, sightings=scan.sightings)
    assert (await world.view(leg)).strays
    world.replica.advance(DAY + 61)
    assert not (await world.view(leg)).strays


async def test_s6_a_strays_claim_shows_the_secret(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    cursor = await world.cursor()
    wrong = world.lock_by(ALICE, replace(leg.leg.terms, amount=ICP // 2))
    world.complete_by(BOB, wrong.id)
    scan = await world.chain.scan(cursor, [leg])
    view = await world.view(replace(leg, sightings=scan.sightings))
    assert (view.state, view.preimage) == (LegState.ABSENT, PREIMAGE)


async def test_a_lock_that_was_not_funded_is_absent_and_may_be_funded_again(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    assert "Err" in world.initiate_by(ALICE, leg.leg.terms)  # without an approval
    assert (await world.view(leg)).state is LegState.ABSENT
    world.lock_by(ALICE, leg.leg.terms)
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_a_view_costs_one_call(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    world.proxy.calls.clear()
    await world.view(leg)
    assert world.proxy.calls == {"getSwap": 1}
