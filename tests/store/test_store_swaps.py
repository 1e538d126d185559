"""Swaps: kept exactly, decided about under a version, woken, cancelled, and never trusted when damaged."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from store_samples import (
    AMOUNTS,
    HOUR,
    LOCK,
    START,
    AesSealer,
    RawSql,
    add_swap,
    decide_on,
    decision,
    due,
    get,
    get_effects,
    insert_swap,
    lease,
    locked,
    make_terms,
    make_tx,
    preimage_of,
)

from swapd.errors import Invalid, Rejected
from swapd.protocol.observation import LegState, LegView, Stray
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Conflict, DamagedRow, Store

BIRTHS = {Role.INITIATOR: 100, Role.PARTICIPANT: 200}
NAMES = {Role.INITIATOR: "bc1q", Role.PARTICIPANT: "0x"}


async def test_a_swap_comes_back_as_it_was_given(store: Store) -> None:
    terms = make_terms(0)
    async with store.write() as tx:
        await tx.add_swap(terms, BIRTHS, NAMES, Status.PROPOSED)
    row = await get(store, terms.swap_id)
    assert row.terms == terms
    assert (row.status, row.next_due_at, row.watched) == (Status.PROPOSED, 0, True)
    assert row.watched_leg(Role.PARTICIPANT).birth == 200
    assert row.legs[Role.INITIATOR].fingerprint == "bc1q"
    assert row.legs[Role.INITIATOR].view == LegView(LegState.UNKNOWN)


async def test_s14_a_swap_that_was_found_again_is_marked_so_and_is_known_though_it_is_damaged(
    store: Store, raw_sql: RawSql
) -> None:
    terms = make_terms(0)
    async with store.write() as tx:
        assert not await tx.knows(terms.swap_id)
        await tx.add_swap(terms, BIRTHS, NAMES, Status.ACCEPTED, restored=True)
    assert (await get(store, terms.swap_id)).memory.restored
    assert not (await get(store, await add_swap(store))).memory.restored
    await raw_sql.run("UPDATE swaps SET terms = '{'")
    async with store.read() as tx:
        assert await tx.knows(terms.swap_id)


async def test_s11_a_leg_in_doubt_is_shown_as_seen_and_not_remembered_as_locked_once(store: Store) -> None:
    swap_id = await add_swap(store)
    fence = await lease(store, swap_id)
    doubtful = replace(locked(0), doubt="one node of three says so")
    for view, remembered in ((doubtful, set()), (locked(), {Role.INITIATOR})):
        row = await get(store, swap_id)
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(), {Role.INITIATOR: view})
        after = await get(store, swap_id)
        assert after.legs[Role.INITIATOR].view.state is LegState.LOCKED
        assert after.memory.locked_once == remembered


async def test_a_swap_that_is_not_there_is_invalid(store: Store) -> None:
    with pytest.raises(Invalid, match="the id of a swap in this database"):
        await get(store, "0" * 16)


async def test_s13_a_hashlock_is_never_used_twice(store: Store) -> None:
    await add_swap(store)
    again = replace(make_terms(0), index=77)
    with pytest.raises(Invalid, match=r"hashlock: .* never used before"):
        async with store.write() as tx:
            await tx.add_swap(again, BIRTHS, NAMES, Status.PROPOSED)


async def test_an_index_is_never_used_twice(store: Store) -> None:
    await add_swap(store)
    with pytest.raises(Invalid, match="index: got 0"):
        async with store.write() as tx:
            await tx.add_swap(replace(make_terms(1), index=0), BIRTHS, NAMES, Status.PROPOSED)


async def test_indexes_given_out_at_once_are_all_different(store: Store) -> None:
    async def take() -> int:
        async with store.write() as tx:
            return await tx.next_index()

    assert sorted(await asyncio.gather(*(take() for _ in range(20)))) == list(range(20))


async def test_a_swap_that_brings_its_own_index_takes_it_out_of_those_to_come(store: Store) -> None:
    async with store.write() as tx:
        await tx.add_swap(make_terms(41), BIRTHS, NAMES, Status.PROPOSED)
        assert await tx.next_index() == 42


async def test_a_decision_is_recorded_whole(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    stray = Stray("other:1", 10**30, "wrong amount", "wait for the timelock", refundable=True)
    view = replace(locked(depth=2), strays=(stray,))
    async with store.write() as tx:
        await tx.record_decision(
            row,
            fence,
            decision(LOCK, status=Status.INITIATOR_LOCKED, due=START + 9),
            {Role.INITIATOR: view},
            note="funding",
            reason="none",
        )
    after = await get(store, swap_id)
    assert (after.status, after.note, after.reason) == (Status.INITIATOR_LOCKED, "funding", "none")
    assert (after.version, after.next_due_at) == (row.version + 1, START + 9)
    assert after.legs[Role.INITIATOR].view == view
    assert (await get_effects(store, swap_id))[LOCK.key].effect == LOCK


async def test_a_decision_on_an_old_reading_is_refused_and_writes_nothing(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    await decide_on(store, swap_id, fence)
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(LOCK), {Role.INITIATOR: locked()})
    assert await get_effects(store, swap_id) == {}
    assert (await get(store, swap_id)).legs[Role.INITIATOR].view.state is LegState.UNKNOWN


async def test_a_chain_that_could_not_be_asked_changes_neither_leg_nor_status(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(status=Status.INITIATOR_LOCKED), {Role.INITIATOR: locked()})
    row = await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(status=None), {Role.INITIATOR: LegView(LegState.UNKNOWN)})
    row = await get(store, swap_id)
    assert (row.status, row.legs[Role.INITIATOR].view) == (Status.INITIATOR_LOCKED, locked())


async def test_s7_what_was_locked_final_or_expired_once_stays_known_after_a_reorg(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    claimed = locked(depth=3, state=LegState.CLAIMED)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(status=Status.EXPIRED), {Role.INITIATOR: claimed})
    row = await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(), {Role.INITIATOR: LegView(LegState.ABSENT)})
    memory = (await get(store, swap_id)).memory
    assert memory.claim_final == memory.locked_once == {Role.INITIATOR}
    assert memory.expired


async def test_a_claim_below_its_depth_is_not_final(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(), {Role.INITIATOR: locked(2, LegState.CLAIMED)})
    assert not (await get(store, swap_id)).memory.claim_final


async def test_s6_a_public_preimage_is_kept_and_a_wrong_one_refused(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    with pytest.raises(Invalid, match="preimage: got '32 bytes'"):
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(preimage=preimage_of(99)), {})
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(preimage=preimage_of(0)), {})
    await decide_on(store, swap_id, fence)  # a later decision that does not see it any more
    row = await get(store, swap_id)
    assert row.memory.preimage == preimage_of(0)
    assert preimage_of(0).hex() not in repr(row)
    assert repr(preimage_of(0)) not in repr(row)


async def test_due_are_the_new_the_touched_and_those_whose_time_has_come(store: Store) -> None:
    new, later, never, touched = [await add_swap(store) for _ in range(4)]
    for swap_id, at in ((later, START + 5), (never, None), (touched, START + 50)):
        fence, row = await lease(store, swap_id), await get(store, swap_id)
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(due=at), {})
    async with store.write() as tx:
        await tx.touch([touched])
    async with store.read() as tx:
        assert set(await due(tx, START)) == {new, touched}
        assert set(await due(tx, START + 5)) == {new, touched, later}
        assert len(await due(tx, START + 5, limit=2)) == 2


async def test_a_wake_up_during_a_reconcile_is_not_lost(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.touch([swap_id])
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(due=START + 100), {})
    assert (await get(store, swap_id)).next_due_at == 0


async def test_postponed_is_due_later(store: Store) -> None:
    swap_id = await add_swap(store)
    async with store.write() as tx:
        await tx.postpone(swap_id, START + 30)
        assert await due(tx, START + 29) == []
        assert await due(tx, START + 30) == [swap_id]


async def test_swaps_are_listed_newest_first_by_page_and_by_status(store: Store) -> None:
    ids = [await add_swap(store, START + n // 2) for n in range(5)]  # some of the same second
    async with store.read() as tx:
        first = (await tx.swaps(limit=3)).swaps
        rest = (await tx.swaps(before=(first[-1].created_at, first[-1].id), limit=3)).swaps
        assert (await tx.swaps(status=[Status.COMPLETED])).swaps == ()
        assert len((await tx.swaps(status=[Status.ACCEPTED, Status.EXPIRED])).swaps) == 5
    listed = [row.id for row in first + rest]
    assert sorted(listed) == sorted(ids)
    times = [row.created_at for row in first + rest]
    assert times == sorted(times, reverse=True)


async def test_open_swaps_are_those_watched_on_a_chain(store: Store) -> None:
    kept, closed = await add_swap(store), await add_swap(store)
    fence, row = await lease(store, closed), await get(store, closed)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(status=Status.EXPIRED), {}, watched=False)
    async with store.read() as tx:
        for chain in (None, "bitcoin", "ethereum"):
            assert [swap.id for swap in (await tx.open_swaps(chain)).swaps] == [kept]
        assert (await tx.open_swaps("dogecoin")).swaps == ()


async def test_reserved_is_what_hot_legs_may_still_take(store: Store) -> None:
    swap_id = await add_swap(store)
    await add_swap(store)
    amount = AMOUNTS[Role.PARTICIPANT]  # the initiator leg is somebody else's money
    async with store.read() as tx:
        assert await tx.reserved(START) == {"ETH": 2 * amount}
        assert await tx.reserved(START + 3 * HOUR + 1) == {}
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(), {Role.PARTICIPANT: locked()})
        assert await tx.reserved(START) == {"ETH": amount}


async def test_cancelled_once_and_due_at_once(store: Store) -> None:
    swap_id = await add_swap(store)
    async with store.write("operator") as tx:
        await tx.postpone(swap_id, START)
        await tx.cancel(swap_id, "customer left")
        await tx.cancel(swap_id, "again")
    row = await get(store, swap_id)
    assert row.memory.cancelled
    assert (row.reason, row.next_due_at) == ("customer left", 0)
    async with store.read() as tx:
        assert await tx.reserved(START) == {}
        events = [(entry.event, entry.actor) for entry in await tx.audit_trail(swap_id)]
    assert events == [("swap added", "swapd"), ("swap cancelled", "operator")]


async def test_a_decision_made_before_a_cancel_is_refused(store: Store) -> None:
    swap_id = await add_swap(store)
    fence, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.cancel(swap_id, "no")
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(LOCK), {})


async def test_what_is_locked_or_signed_can_not_be_cancelled(store: Store) -> None:
    seen, signed = await add_swap(store), await add_swap(store)
    fence, row = await lease(store, seen), await get(store, seen)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(), {Role.INITIATOR: locked()})
    fence = await lease(store, signed)
    await decide_on(store, signed, fence, LOCK)
    effect = (await get_effects(store, signed))[LOCK.key]
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("lock"))
    for swap_id in (seen, signed):
        with pytest.raises(Rejected, match="a lock exists"):
            async with store.write() as tx:
                await tx.cancel(swap_id, "too late")
        assert not (await get(store, swap_id)).memory.cancelled


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE swaps SET terms = 'rubbish' WHERE id = :id",
        "UPDATE swaps SET terms = REPLACE(terms, '\"sender\"', '\"attacker\"') WHERE id = :id",
        "UPDATE swaps SET status = 'rich' WHERE id = :id",
        'UPDATE swaps SET "index" = 4711 WHERE id = :id',
        "UPDATE legs SET strays = '[1.5]' WHERE swap_id = :id",
        "UPDATE legs SET role = 'third' WHERE swap_id = :id AND role = 'initiator'",
    ],
)
async def test_a_damaged_row_is_named_and_does_not_hide_the_others(store: Store, raw_sql: RawSql, damage: str) -> None:
    good, bad = await add_swap(store), await add_swap(store)
    await raw_sql.run(damage, id=bad)
    store.remembered.forget()  # as each sweep does
    async with store.read() as tx:
        found = await tx.open_swaps()
        assert [row.id for row in found.swaps] == [good]
        assert [(error.table, error.key) for error in found.damaged] == [("swaps", bad)]
        with pytest.raises(DamagedRow, match=bad):
            await tx.swap(bad)
        with pytest.raises(DamagedRow):  # entry stops: what it promised cannot be counted
            await tx.reserved(START)


async def test_what_is_known_is_read_again_only_when_it_has_changed(store: Store, raw_sql: RawSql) -> None:
    swap_id = await add_swap(store)
    async with store.read() as tx:
        first = await tx.known(swap_id)
    assert first == await get(store, swap_id)
    async with store.read() as tx:
        assert await tx.known(swap_id) is first
    async with store.write() as tx:
        await tx.cancel(swap_id, "asked for")
    async with store.read() as tx:
        assert (await tx.known(swap_id)).cancelled_at is not None
        with pytest.raises(Invalid, match="the id of a swap in this database"):
            await tx.known("0" * 16)
    await raw_sql.run("UPDATE swaps SET terms = 'rubbish', touches = touches + 1")
    async with store.read() as tx:
        with pytest.raises(DamagedRow, match=swap_id):
            await tx.known(swap_id)


async def test_a_damaged_status_stops_the_count_although_all_of_it_is_paid(store: Store, raw_sql: RawSql) -> None:
    bad = await add_swap(store)
    await raw_sql.run("UPDATE legs SET state = 'locked' WHERE swap_id = :id", id=bad)
    async with store.read() as tx:
        assert await tx.reserved(START) == {}
    await raw_sql.run("UPDATE swaps SET status = 'rich' WHERE id = :id", id=bad)
    async with store.read() as tx:
        with pytest.raises(DamagedRow, match=bad):
            await tx.reserved(START)


async def test_a_record_planted_by_somebody_without_the_seed_is_damaged(url: str, store: Store) -> None:
    thief = await Store.open(url, AesSealer(b"thief's key is not the vault's !"))
    async with thief.write() as tx:
        planted = await insert_swap(tx)
    await thief.close()
    with pytest.raises(DamagedRow, match=planted):
        await get(store, planted)


async def test_a_database_belongs_to_one_seed(store: Store) -> None:
    async with store.write() as tx:
        await tx.bind("seed", "fingerprint")
        await tx.bind("seed", "fingerprint")
    with pytest.raises(Invalid, match="seed: got 'other', expected fingerprint"):
        async with store.write() as tx:
            await tx.bind("seed", "other")
    async with store.read() as tx:
        assert await tx.meta("seed") == "fingerprint"
        assert await tx.meta("colour") is None
