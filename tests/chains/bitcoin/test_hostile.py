"""Wrong amounts, second locks, late money, invented sightings."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from swapd.chains.base import Sighting, SightingKind, WatchedLeg
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState
from swapd.protocol.terms import Wallet

from .conftest import AMOUNT, World


@pytest.mark.parametrize("amount", [AMOUNT - 1, AMOUNT + 1, 10 * AMOUNT, 1000])
async def test_s11_a_lock_of_another_amount_is_never_the_leg(world: World, amount: int) -> None:
    leg = await world.leg()
    ref = await world.pay(leg, amount)
    assert [s.kind for s in await world.chain.rescan([leg])] == [SightingKind.STRAY]
    view = await world.view(leg)
    assert view.state is LegState.ABSENT
    assert [(s.ref, s.amount, s.refundable) for s in view.strays] == [(ref, amount, True)]
    assert "instead of" in view.strays[0].why
    assert leg.leg.refund_to in view.strays[0].way_back


async def test_s11_an_external_owner_of_a_stray_is_told_how_to_get_it_back(world: World) -> None:
    leg = await world.leg()
    external = replace(leg.leg, refund_by_swapd=False, funded_by=Wallet.EXTERNAL)
    leg = replace(leg, leg=external)
    await world.pay(leg, AMOUNT + 5)
    stray = (await world.view(leg)).strays[0]
    assert not stray.refundable
    for needed in (stray.ref, leg.leg.terms.sender, str(leg.leg.terms.timelock), "nLockTime"):
        assert needed in stray.way_back


async def test_s11_of_two_exact_locks_the_first_in_the_chain_is_the_leg(world: World) -> None:
    leg = await world.leg()
    first = await world.pay(leg)
    second = await world.pay(leg)
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_ref) == (LegState.LOCKED, 2, first)
    assert [(s.ref, s.why) for s in view.strays] == [(second, "a second lock of the same terms")]


async def test_s11_of_two_exact_locks_in_one_block_the_earlier_transaction_is_the_leg(world: World) -> None:
    leg = await world.leg()
    for _ in range(4):
        await world.pay(leg, confirm=False)
    await world.node.mine(1)
    listed = (await world.node.rpc("getblock", (await world.node.best())[1], 1))["tx"]
    view = await world.view(leg)
    refs = [view.lock_ref, *(s.ref for s in view.strays)]
    places = [listed.index(str(ref).split(":")[0]) for ref in refs]
    assert places == sorted(places)
    assert len(refs) == 4


async def test_s12_strays_and_late_money_are_refunded_when_due(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.leg(timelock=timelock)
    refs = [await world.pay(leg, amount) for amount in (AMOUNT, AMOUNT, AMOUNT + 7, AMOUNT - 7)]
    await world.node.set_time(timelock + 60)
    await world.node.mine(11)
    refs.append(await world.pay(leg, 3 * AMOUNT))  # long after everything expired
    leg = await world.seen(leg)
    view = await world.chain.view(leg)
    assert (view.lock_ref, [s.ref for s in view.strays]) == (refs[0], refs[1:])
    for stray in view.strays:
        refund = await world.send(EffectKind.REFUND, leg, stray=stray.ref)
        assert refund.spends == (stray.ref,)
        assert await world.draft(EffectKind.REFUND, leg, refund, stray=stray.ref) is None
    await world.node.mine(1)
    view = await world.view(leg)
    assert (view.state, view.strays) == (LegState.LOCKED, ())


async def test_s6_a_secret_shown_by_the_claim_of_a_stray_is_seen(world: World) -> None:
    leg = await world.leg()
    await world.pay(leg, AMOUNT + 1)
    generous = replace(leg, leg=replace(leg.leg, terms=replace(leg.leg.terms, amount=AMOUNT + 1)))
    await world.send(EffectKind.CLAIM, await world.seen(generous))
    view = await world.view(leg)
    assert (view.state, view.preimage) == (LegState.ABSENT, world.vault.preimage(leg.index))
    sightings = await world.chain.mempool([await world.seen(leg)])
    assert [s.preimage for s in sightings if s.kind is SightingKind.CLAIM] == [view.preimage]
    await world.node.mine(1)
    assert (await world.view(leg)).preimage == world.vault.preimage(leg.index)


def _invented(leg: WatchedLeg, kind: SightingKind, ref: str, txid: str, block_hash: str | None) -> Sighting:
    return Sighting(leg.swap_id, "initiator", kind, ref, txid, block_hash, 1, preimage=b"\x01" * 32)


async def test_s1_invented_sightings_change_nothing(world: World) -> None:
    """Whatever a poisoned database says was seen, only what the node has counts."""
    leg = await world.leg()
    other = await world.leg()
    foreign = await world.pay(other)
    foreign_txid = foreign.split(":")[0]
    tip = (await world.node.best())[1]
    nowhere = "ab" * 32
    refs = (foreign, f"{nowhere}:0", f"{foreign_txid}:999999", "rubbish", "", f"{nowhere}:-1", f"{nowhere}:99999999999")
    poison = tuple(
        _invented(leg, kind, ref, txid, block_hash)
        for ref in refs
        for kind in SightingKind
        for txid in (foreign_txid, nowhere, "zz", "")
        for block_hash in (None, tip, nowhere, "zz")
    )
    poisoned = replace(leg, sightings=poison)
    assert await world.chain.view(poisoned) == ABSENT_VIEW
    await world.chain.mempool([poisoned])
    cursor = (await world.chain.scan(None, [])).cursor
    await world.node.mine(1)
    assert (await world.chain.scan(cursor, [poisoned])).sightings == ()
    with pytest.raises(Rejected, match="not in a block"):
        await world.draft(EffectKind.CLAIM, poisoned)
    ref = await world.pay(leg)
    found = await world.chain.rescan([leg])
    view = await world.chain.view(replace(leg, sightings=(*poison, *found)))
    assert (view.state, view.depth, view.lock_ref, view.strays) == (LegState.LOCKED, 1, ref, ())


async def test_s1_a_sighting_of_another_legs_claim_is_not_this_legs(world: World) -> None:
    leg = await world.leg()
    other = await world.locked()
    claim = await world.send(EffectKind.CLAIM, other)
    await world.node.mine(1)
    other = await world.seen(other)
    assert (await world.chain.view(other)).spend_txid == claim.txid
    assert await world.chain.view(replace(leg, sightings=other.sightings)) == ABSENT_VIEW
    only_lock = tuple(s for s in other.sightings if s.kind is SightingKind.LOCK)
    assert await world.chain.view(replace(leg, sightings=only_lock)) == ABSENT_VIEW


async def test_s1_a_lock_that_was_claimed_is_not_locked_for_want_of_a_sighting(world: World) -> None:
    leg = await world.locked()
    only_lock = tuple(s for s in leg.sightings if s.kind is SightingKind.LOCK)
    await world.send(EffectKind.CLAIM, leg)
    await world.node.mine(2)
    view = await world.chain.view(replace(leg, sightings=only_lock))
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 2, world.vault.preimage(leg.index))


async def test_an_outpoint_that_is_nowhere_is_searched_for_once(world: World) -> None:
    leg = await world.leg()
    await world.node.mine(5)
    lost = replace(leg, sightings=(_invented(leg, SightingKind.LOCK, f"{'ab' * 32}:0", "ab" * 32, None),))
    counts = []
    for _ in range(2):
        before = world.chain.rpc.calls
        assert await world.chain.view(lost) == ABSENT_VIEW
        counts.append(world.chain.rpc.calls - before)
    assert counts[0] >= 5 > counts[1]
