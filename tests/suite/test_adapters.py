"""What every adapter does, whichever chain it stands for (`swapd/chains/base.py` in tests)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.base import SightingKind, TxState
from swapd.errors import Rejected, Unavailable, Unknown
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState
from tests.suite.stage import Stage


async def test_a_leg_of_which_nothing_happened_is_absent(stage: Stage) -> None:
    view = await stage.view(await stage.leg())
    assert (view.state, view.depth, view.preimage, view.strays) == (LegState.ABSENT, 0, None, ())


async def test_a_lock_is_seen_while_pending_and_deepens_with_the_blocks(stage: Stage) -> None:
    leg = await stage.leg()
    await stage.send(EffectKind.LOCK, leg)
    if stage.pools:
        assert (await stage.view(leg)).state is LegState.SEEN
        await stage.mine()
    first = await stage.view(leg)
    assert first.state is LegState.LOCKED
    assert first.lock_ref
    if stage.deepens:
        assert first.depth == 1
        await stage.mine(2)
        assert (await stage.view(leg)).depth == 3
    else:
        assert first.depth >= leg.leg.confirmations


async def test_a_claim_shows_the_preimage_from_its_first_moment_until_it_is_final(stage: Stage) -> None:
    leg, _ = await stage.locked()
    await stage.send(EffectKind.CLAIM, leg)
    if stage.pools:
        pending = await stage.view(leg)
        if stage.shows_own:
            assert (pending.state, pending.depth, pending.preimage) == (LegState.CLAIMED, 0, stage.preimage(leg))
        else:
            assert (pending.state, pending.depth) == (LegState.LOCKED, 1)
    await stage.mine(leg.leg.confirmations)
    view = await stage.view(leg)
    assert (view.state, view.preimage) == (LegState.CLAIMED, stage.preimage(leg))
    assert view.depth >= leg.leg.confirmations
    assert view.spend_txid


async def test_s5_a_refund_is_due_by_the_chains_clock_and_not_a_second_before(stage: Stage) -> None:
    leg, _ = await stage.locked()
    timelock = leg.leg.terms.timelock
    await stage.clock_reaches(timelock - (1 if stage.exact else 30))
    assert (await stage.chain.clock()).time < timelock
    if stage.foresees:
        with pytest.raises(Rejected):
            await stage.draft(EffectKind.REFUND, leg)
    else:
        early = await stage.send(EffectKind.REFUND, leg)
        assert (await stage.chain.fate(early)).state is TxState.FAILED
        assert (await stage.view(leg)).state is LegState.LOCKED
    await stage.clock_reaches(timelock)
    clock = (await stage.chain.clock()).time
    assert clock == timelock if stage.exact else clock >= timelock
    if not stage.sweeps:
        await stage.send(EffectKind.REFUND, leg)
        await stage.mine()
    view = await stage.view(leg)
    assert (view.state, view.preimage) == (LegState.REFUNDED, None)


async def test_the_clock_and_the_tip_never_go_back_while_blocks_come(stage: Stage) -> None:
    before = await stage.chain.clock()
    await stage.mine(3)
    after = await stage.chain.clock()
    assert after.time >= before.time
    assert after.tip.height >= before.tip.height


async def test_s6_a_claim_after_the_timelock_works_while_the_leg_is_unspent(stage: Stage) -> None:
    leg, _ = await stage.locked()
    await stage.clock_reaches(leg.leg.terms.timelock)
    if stage.sweeps:
        # it is not unspent any more
        with pytest.raises(Rejected):
            await stage.draft(EffectKind.CLAIM, leg)
        assert (await stage.view(leg)).state is LegState.REFUNDED
        return
    await stage.send(EffectKind.CLAIM, leg)
    await stage.mine()
    assert (await stage.view(leg)).state is LegState.CLAIMED


async def test_what_was_claimed_is_not_refunded(stage: Stage) -> None:
    leg, _ = await stage.locked()
    claim = await stage.send(EffectKind.CLAIM, leg)
    await stage.mine()
    assert (await stage.chain.fate(claim)).state is TxState.MINED
    await stage.clock_reaches(leg.leg.terms.timelock)
    leg = await stage.seen(leg)
    with pytest.raises(Rejected):
        await stage.draft(EffectKind.REFUND, leg)
    assert (await stage.view(leg)).state is LegState.CLAIMED


async def test_s11_somebodys_lock_with_exactly_the_terms_is_the_leg(stage: Stage) -> None:
    leg = await stage.leg(ours=False)
    await stage.pay(leg)
    view = await stage.view(leg)
    assert (view.state, view.strays) == (LegState.LOCKED, ())


@pytest.mark.parametrize("factor", [0.5, 2])
async def test_s11_a_lock_of_another_amount_is_a_stray_and_never_the_leg(stage: Stage, factor: float) -> None:
    leg = await stage.leg(ours=False)
    amount = int(leg.leg.terms.amount * factor)
    await stage.pay(leg, amount=amount)
    view = await stage.view(leg)
    assert view.state is LegState.ABSENT
    [stray] = view.strays
    assert stray.amount == amount
    assert stray.why
    assert stray.way_back


async def test_s11_a_lock_with_another_hash_is_never_the_leg(stage: Stage) -> None:
    leg = await stage.leg(ours=False)
    await stage.pay(leg, hashlock=bytes(31) + b"\x01")
    view = await stage.view(leg)
    assert view.state is LegState.ABSENT
    assert len(view.strays) == stage.shows_strangers


@pytest.mark.parametrize("wrong", ["receiver", "timelock"])
async def test_s11_a_lock_for_somebody_else_or_another_time_is_never_the_leg(stage: Stage, wrong: str) -> None:
    leg = await stage.leg(ours=False)
    terms = leg.leg.terms
    await stage.pay(leg, **{wrong: terms.sender if wrong == "receiver" else terms.timelock - 1800})
    view = await stage.view(leg)
    assert view.state is LegState.ABSENT
    assert len(view.strays) == stage.shows_strangers


async def test_s4_a_second_lock_is_a_stray_beside_the_leg(stage: Stage) -> None:
    leg, _ = await stage.locked()
    await stage.pay(leg)
    view = await stage.view(leg)
    assert view.state is LegState.LOCKED
    assert len(view.strays) == 1


async def test_a_scan_tells_once_what_happened_since_its_cursor(stage: Stage) -> None:
    leg = await stage.leg()
    cursor = (await stage.chain.scan(None, [leg])).cursor
    await stage.send(EffectKind.LOCK, leg)
    await stage.mine()
    locked = await stage.chain.scan(cursor, [leg])
    assert [s.kind for s in locked.sightings] == [SightingKind.LOCK]
    assert locked.fork is None
    leg = replace(leg, sightings=locked.sightings)
    await stage.send(EffectKind.CLAIM, leg)
    await stage.mine()
    claimed = await stage.chain.scan(locked.cursor, [leg])
    assert {s.kind for s in claimed.sightings} == {SightingKind.CLAIM}
    shown = claimed.sightings[0].preimage
    assert shown is not None
    assert opens(shown, leg.leg.terms.hashlock)
    assert not (await stage.chain.scan(claimed.cursor, [leg])).sightings


async def test_s14_a_rescan_finds_everything_without_any_memory(stage: Stage) -> None:
    leg, _ = await stage.locked()
    await stage.send(EffectKind.CLAIM, leg)
    await stage.mine(2)
    found = await stage.chain.rescan([replace(leg, sightings=())])
    assert {SightingKind.LOCK, SightingKind.CLAIM} <= {sighting.kind for sighting in found}


async def test_a_transaction_may_be_broadcast_twice(stage: Stage) -> None:
    leg = await stage.leg()
    lock = await stage.send(EffectKind.LOCK, leg)
    await stage.chain.broadcast(lock)
    await stage.mine()
    try:
        await stage.chain.broadcast(lock)
    except Rejected:
        # a node may say that it is spent; then its fate says that it was ours
        assert (await stage.chain.fate(lock)).state is TxState.MINED
    await stage.mine()
    view = await stage.view(leg)
    assert (view.state, view.strays) == (LegState.LOCKED, ())


async def test_s10_a_transaction_is_missing_then_pending_then_mined(stage: Stage) -> None:
    leg, lock = await stage.locked()
    claim = await stage.draft(EffectKind.CLAIM, leg)
    assert claim is not None
    assert (await stage.chain.fate(claim)).state is TxState.MISSING
    await stage.chain.broadcast(claim)
    await stage.carried_out()
    if stage.pools:
        assert (await stage.chain.fate(claim)).state is TxState.PENDING
        await stage.mine()
    mined = await stage.chain.fate(claim)
    assert mined.state is TxState.MINED
    assert mined.depth >= 1
    assert (await stage.chain.fate(lock)).state is TxState.MINED


async def test_what_is_good_enough_stays_and_what_is_late_is_outbid(stage: Stage) -> None:
    leg, _ = await stage.locked()
    claim = await stage.send(EffectKind.CLAIM, leg)
    leg = await stage.seen(leg)
    assert await stage.draft(EffectKind.CLAIM, leg, [claim]) is None
    if not stage.outbids:
        assert await stage.draft(EffectKind.CLAIM, leg, [claim], left=0) is None
        return
    better = await stage.draft(EffectKind.CLAIM, leg, [claim], left=0)
    assert better is not None
    assert better.rate > claim.rate
    await stage.chain.broadcast(better)
    await stage.mine()
    assert (await stage.chain.fate(better)).state is TxState.MINED
    assert (await stage.chain.fate(claim)).state is TxState.REPLACED
    assert (await stage.view(leg)).spend_txid == better.txid


async def test_s7_a_reorg_is_reported_and_takes_back_what_its_blocks_showed(stage: Stage) -> None:
    leg = await stage.leg()
    if not stage.reorgs:
        # nothing to take back: from its first moment it is as deep as it has to be
        await stage.send(EffectKind.LOCK, leg)
        assert (await stage.view(leg)).depth >= leg.leg.confirmations
        return
    await stage.mine()
    before = await stage.chain.scan(None, [leg])
    lock = await stage.send(EffectKind.LOCK, leg)
    await stage.mine(2)
    scanned = await stage.chain.scan(before.cursor, [leg])
    assert [s.kind for s in scanned.sightings] == [SightingKind.LOCK]
    leg = replace(leg, sightings=scanned.sightings)
    assert (await stage.chain.view(leg)).depth == 2
    await stage.reorg(2)
    again = await stage.chain.scan(scanned.cursor, [leg])
    assert again.fork == before.cursor.height
    assert again.sightings == ()
    assert (await stage.chain.view(leg)).state in (LegState.ABSENT, LegState.SEEN)
    assert (await stage.chain.fate(lock)).state in (TxState.MISSING, TxState.PENDING)
    # the same bytes again, and it is the leg again
    await stage.chain.broadcast(lock)
    await stage.mine()
    view = await stage.view(leg)
    assert (view.state, view.depth, view.strays) == (LegState.LOCKED, 1, ())


async def test_s7_a_claim_that_a_reorg_takes_back_leaves_the_leg_to_be_claimed_again(stage: Stage) -> None:
    leg, _ = await stage.locked(depth=2)
    claim = await stage.send(EffectKind.CLAIM, leg)
    await stage.mine()
    if not stage.reorgs:
        assert (await stage.view(leg)).depth >= leg.leg.confirmations
        return
    await stage.reorg(1)
    view = await stage.chain.view(leg)
    assert view.state is LegState.LOCKED or (view.state, view.depth) == (LegState.CLAIMED, 0)
    await stage.chain.broadcast(claim)
    await stage.mine()
    view = await stage.view(leg)
    assert (view.state, view.depth, view.spend_txid) == (LegState.CLAIMED, 1, claim.txid)


async def test_s8_a_node_that_is_away_is_unavailable_and_never_an_empty_answer(stage: Stage) -> None:
    leg, _ = await stage.locked()
    claim = await stage.draft(EffectKind.CLAIM, leg)
    assert claim is not None
    cursor = (await stage.chain.scan(None, [leg])).cursor
    async with stage.cut_off() as away:
        for asked in (away.view(leg), away.clock(), away.scan(cursor, [leg]), away.rescan([leg])):
            with pytest.raises(Unavailable):
                await asked
        with pytest.raises((Unavailable, Unknown)):
            await away.broadcast(claim)
