"""The outbox: an effect once, its bytes before its broadcast, and none of them readable in the database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import (
    LOCK,
    REVEAL,
    AesSealer,
    RawSql,
    add_swap,
    decide_on,
    decision,
    get,
    get_effects,
    lease,
    make_tx,
    preimage_of,
)

from swapd.chains.base import Fate, TxState
from swapd.errors import Invalid, SwapdError
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.terms import Role
from swapd.store import Conflict, EffectRow, EffectState, LeaseLost, Store

REFUND = Effect(EffectKind.REFUND, Role.PARTICIPANT, 2_000_000_000)


async def wanted(store: Store, effect: Effect = LOCK) -> tuple[str, int, EffectRow]:
    """A leased swap with one wanted effect: its id, the fence, the effect."""
    swap_id = await add_swap(store)
    fence = await lease(store, swap_id)
    await decide_on(store, swap_id, fence, effect)
    return swap_id, fence, (await get_effects(store, swap_id))[effect.key]


async def test_an_effect_asked_for_twice_is_one_and_brought_up_to_date(store: Store) -> None:
    swap_id, fence, first = await wanted(store)
    await decide_on(store, swap_id, fence, replace(LOCK, deadline=LOCK.deadline + 5), REFUND)
    rows = await get_effects(store, swap_id)
    assert set(rows) == {LOCK.key, REFUND.key}
    assert (rows[LOCK.key].id, rows[LOCK.key].effect.deadline) == (first.id, LOCK.deadline + 5)


async def test_what_a_decision_does_not_list_is_not_wanted(store: Store) -> None:
    swap_id, fence, _ = await wanted(store)
    await decide_on(store, swap_id, fence, REFUND)
    rows = await get_effects(store, swap_id)
    assert (rows[LOCK.key].wanted, rows[REFUND.key].wanted) == (False, True)


async def test_two_strays_have_two_refunds(store: Store) -> None:
    swap_id, fence, _ = await wanted(store)
    strays = [replace(REFUND, stray=ref) for ref in ("a:0", "b:0")]
    await decide_on(store, swap_id, fence, *strays)
    rows = await get_effects(store, swap_id)
    assert [rows[stray.key].effect for stray in strays] == strays


async def test_s4_signed_bytes_are_stored_with_their_sequence_before_they_are_sent(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        sequence = await tx.next_sequence("ethereum", "0xme", 7)
        signed = make_tx("0xlock", sequence=sequence)
        await tx.add_attempt(effect.id, fence, signed, account="0xme")
    row = (await get_effects(store, swap_id))[LOCK.key]
    assert row.state is EffectState.SIGNED
    assert row.live == (signed,)
    assert row.attempts[0].sent_at is None
    async with store.write() as tx:
        assert await tx.next_sequence("ethereum", "0xme", 0) == 8
        await tx.mark_sent("0xlock", fence)
    row = (await get_effects(store, swap_id))[LOCK.key]
    assert row.state is EffectState.SENT
    assert row.attempts[0].sent_at is not None
    assert (await get(store, swap_id)).memory.lock_sent == {Role.PARTICIPANT}


async def test_s4_a_sequence_is_given_to_one_transaction_even_when_two_ask_at_once(store: Store) -> None:
    effects = [await wanted(store) for _ in range(5)]

    async def sign(fence: int, effect: EffectRow) -> int:
        async with store.write() as tx:
            sequence = await tx.next_sequence("ethereum", "0xme", 3)
            await tx.add_attempt(effect.id, fence, make_tx(f"0x{effect.id}", sequence=sequence), account="0xme")
            return sequence

    taken = await asyncio.gather(*(sign(fence, effect) for _, fence, effect in effects))
    assert sorted(taken) == [3, 4, 5, 6, 7]


async def test_a_sequence_that_was_taken_is_refused_for_another_effect(store: Store) -> None:
    _, fence, effect = await wanted(store)
    _, other_fence, other = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1", sequence=3), account="0xme")
    with pytest.raises(Conflict, match="sequence 3 of 0xme on ethereum is taken"):
        async with store.write() as tx:
            await tx.add_attempt(other.id, other_fence, make_tx("0x2", sequence=3), account="0xme")


async def signed_at(store: Store, sequence: int, deadline: int) -> tuple[str, int, EffectRow]:
    found = await wanted(store, replace(REFUND, deadline=deadline))
    async with store.write() as tx:
        await tx.add_attempt(found[2].id, found[1], make_tx(f"0x{sequence}", sequence=sequence), account="0xme")
    return found


async def test_what_waits_behind_a_place_is_what_is_signed_for_a_later_one_wanted_and_not_settled(store: Store) -> None:
    await wanted(store, replace(REFUND, deadline=1))  # nothing is signed for it: it is in no line

    async def behind(place: int) -> int | None:
        async with store.read() as tx:
            assert await tx.earliest_deadline("bitcoin", -1) is None
            return await tx.earliest_deadline("ethereum", place)

    await signed_at(store, 3, 300)
    first_id, first_fence, first = await signed_at(store, 4, 100)
    await signed_at(store, 5, 200)
    assert [await behind(place) for place in (2, 3, 4, 5)] == [100, 100, 200, None]
    async with store.write() as tx:
        await tx.record_fate("0x4", Fate(TxState.FAILED, 1))
        await tx.record_fate("0x5", Fate(TxState.PENDING))
    assert await behind(3) == 200, "what was mined without effect holds nobody up, and waits for nobody"
    async with store.write() as tx:
        await tx.add_attempt(first.id, first_fence, make_tx("0x6", sequence=6), account="0xme")
    assert await behind(5) == 100
    await decide_on(store, first_id, first_fence)
    assert await behind(5) is None, "nobody wants it any more"


async def test_s12_a_lock_is_under_way_until_it_is_certain_what_became_of_it(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)

    async def under_way() -> bool:
        async with store.read() as tx:
            return await tx.lock_under_way(swap_id)

    assert not await under_way(), "wanted, and not even signed"
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
        await tx.mark_sent("0x1", fence)
    await decide_on(store, swap_id, fence)
    assert await under_way()
    async with store.write() as tx:
        await tx.set_effect(effect.id, EffectState.VOID)
    assert not await under_way()


async def test_the_chain_may_be_ahead_of_the_stored_sequence(store: Store) -> None:
    async with store.write() as tx:
        assert await tx.next_sequence("ethereum", "0xme", 5) == 5
        assert await tx.next_sequence("ethereum", "0xme", 9) == 9


async def test_replacements_are_kept_in_order_with_the_same_sequence(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1", sequence=3), account="0xme")
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x2", sequence=3))
    row = (await get_effects(store, swap_id))[LOCK.key]
    assert [(attempt.number, attempt.tx.txid) for attempt in row.attempts] == [(1, "0x1"), (2, "0x2")]


async def test_a_transaction_is_stored_once(store: Store) -> None:
    _, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
    with pytest.raises(Conflict, match="stored already"):
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx("0x1"))


async def test_effects_of_several_swaps_share_a_transaction_each_under_its_own_lease(store: Store) -> None:
    one, fence, effect = await wanted(store, REVEAL)
    two, other_fence, other = await wanted(store, REVEAL)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, replace(make_tx("0xboth"), fee=1))
        await tx.add_attempt(other.id, other_fence, replace(make_tx("0xboth"), fee=2))
    with pytest.raises(Invalid, match="share"):
        async with store.write() as tx:
            await tx.mark_sent("0xboth", fence)
    with pytest.raises(LeaseLost):
        async with store.write() as tx:
            await tx.mark_sent("0xboth", fence + other_fence + 1, effect_id=effect.id)
    async with store.write() as tx:
        await tx.mark_sent("0xboth", fence, effect_id=effect.id)
        await tx.record_fate("0xboth", Fate(TxState.PENDING), effect_id=effect.id)
    assert (await get(store, one)).memory.reveal_sent
    assert not (await get(store, two)).memory.reveal_sent, "the other has not sent it yet"
    (mine,) = (await get_effects(store, one))[REVEAL.key].attempts
    (theirs,) = (await get_effects(store, two))[REVEAL.key].attempts
    assert (mine.tx.fee, mine.sent_at is None, mine.fate) == (1, False, Fate(TxState.PENDING))
    assert (theirs.tx.fee, theirs.sent_at, theirs.fate) == (2, None, None)
    assert mine.tx.raw == theirs.tx.raw
    await decide_on(store, two, other_fence)
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.mark_sent("0xboth", other_fence, effect_id=other.id)


async def test_s2_what_is_not_wanted_any_more_is_neither_signed_nor_sent(store: Store) -> None:
    swap_id, fence, effect = await wanted(store, REVEAL)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
    await decide_on(store, swap_id, fence)  # too late to reveal
    with pytest.raises(Conflict, match="not wanted any more"):
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx("0x2"))
    with pytest.raises(Conflict, match="not wanted any more"):
        async with store.write() as tx:
            await tx.mark_sent("0x1", fence)
    assert not (await get(store, swap_id)).memory.reveal_sent


async def test_s2_a_claim_handed_out_is_remembered_as_a_reveal_and_outdates_older_decisions(store: Store) -> None:
    swap_id, fence, effect = await wanted(store, REVEAL)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
    before = await get(store, swap_id)
    async with store.write() as tx:
        await tx.mark_sent("0x1", fence)
    assert (await get(store, swap_id)).memory.reveal_sent
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.record_decision(before, fence, decision(), {})


async def test_what_was_sent_may_be_sent_again_although_not_wanted(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
        await tx.mark_sent("0x1", fence)
    await decide_on(store, swap_id, fence)
    async with store.write() as tx:
        await tx.mark_sent("0x1", fence)


async def test_no_lock_is_signed_for_a_cancelled_swap(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.cancel(swap_id, "no")
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx("0x1"))


async def test_a_void_needs_no_wish_and_is_no_live_attempt(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1", sequence=3), account="0xme")
    await decide_on(store, swap_id, fence)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0xvoid", sequence=3), voiding=True)
        await tx.mark_sent("0xvoid", fence)
    row = (await get_effects(store, swap_id))[LOCK.key]
    assert [signed.txid for signed in row.live] == ["0x1"]
    assert (await get(store, swap_id)).memory.lock_sent == set()


async def test_the_fate_of_a_transaction_is_kept_and_a_dead_one_is_not_live(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
        await tx.add_attempt(effect.id, fence, make_tx("0x2"))
        await tx.record_fate("0x1", Fate(TxState.REPLACED))
        await tx.record_fate("0x2", Fate(TxState.MINED, 2, 10**20))
        await tx.record_fate("0x2", Fate(TxState.MINED, 3, 10**20))
    row = (await get_effects(store, swap_id))[LOCK.key]
    assert [attempt.fate for attempt in row.attempts] == [Fate(TxState.REPLACED), Fate(TxState.MINED, 3, 10**20)]
    assert [signed.txid for signed in row.live] == ["0x2"]
    async with store.read() as tx:
        events = [entry.event for entry in await tx.audit_trail(swap_id)]
    assert events.count("transaction mined") == 1


@pytest.mark.parametrize(
    ("ended", "again"),
    [
        (EffectState.DONE, EffectState.SENT),
        (EffectState.VOID, EffectState.WANTED),
    ],
)
async def test_an_ended_effect_that_is_asked_for_again(store: Store, ended: EffectState, again: EffectState) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.set_effect(effect.id, ended, "because")
    await decide_on(store, swap_id, fence, LOCK)
    assert (await get_effects(store, swap_id))[LOCK.key].state is again


async def test_unfinished_is_what_is_wanted_or_still_out_most_urgent_first(store: Store) -> None:
    late, _, _ = await wanted(store, REFUND)
    soon, _, _ = await wanted(store, LOCK)
    done, _, done_effect = await wanted(store)
    out, out_fence, out_effect = await wanted(store)
    dropped, dropped_fence, _ = await wanted(store)
    async with store.write() as tx:
        await tx.set_effect(done_effect.id, EffectState.DONE)
        await tx.add_attempt(out_effect.id, out_fence, make_tx("0x1"))
    await decide_on(store, out, out_fence)
    await decide_on(store, dropped, dropped_fence)
    async with store.read() as tx:
        unfinished = await tx.unfinished()
    assert set(unfinished) == {soon, out, late}
    assert unfinished[-1] == late
    assert done not in unfinished


async def test_late_writers_are_fenced_off(store: Store) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1"))
        await tx.release_all("worker")
    await lease(store, swap_id, "other")
    with pytest.raises(LeaseLost):
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx("0x2"))
    with pytest.raises(LeaseLost):
        async with store.write() as tx:
            await tx.mark_sent("0x1", fence)
    with pytest.raises(LeaseLost):
        await decide_on(store, swap_id, fence)


def read_all(folder: Path) -> bytes:
    assert {file.name for file in folder.iterdir()} >= {"swapd.db", "swapd.db-wal"}
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_s9_an_unrevealed_preimage_is_nowhere_in_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/swapd.db"
    await Store.upgrade(url)
    store = await Store.open(url, AesSealer())
    swap_id, fence, effect = await wanted(store, REVEAL)
    secret = preimage_of(0)
    signed = make_tx("0xclaim", raw=b"witness " + secret + b" end")
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, signed)
    content = read_all(tmp_path)  # the WAL too, before it is merged
    assert b"0xclaim" in content  # the grep would find it
    for form in (secret, secret.hex().encode(), b"witness "):
        assert form not in content
    assert (await get_effects(store, swap_id))[REVEAL.key].live == (signed,)  # and yet it can be sent
    assert secret.hex() not in repr(await get_effects(store, swap_id))
    await store.close()


async def test_s9_errors_of_the_database_do_not_show_what_was_written(store: Store, raw_sql: RawSql) -> None:
    _, fence, effect = await wanted(store)
    await raw_sql.run("ALTER TABLE transactions RENAME COLUMN spends TO spent")
    with pytest.raises(SwapdError) as caught:
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx("0x1", raw=b"very secret"))
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "secret" not in shown
    assert "0x1" not in shown


async def test_sealed_bytes_moved_to_another_row_do_not_open(store: Store, raw_sql: RawSql) -> None:
    swap_id, fence, effect = await wanted(store)
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("0x1", raw=b"one"))
        await tx.add_attempt(effect.id, fence, make_tx("0x2", raw=b"two"))
    await raw_sql.run("UPDATE transactions SET raw = (SELECT raw FROM transactions WHERE txid = '0x1')")
    (found,) = (await get_effects(store, swap_id)).values()
    assert [attempt.tx.txid for attempt in found.attempts] == ["0x1"]
    (damaged,) = found.damaged
    assert "row 0x2 (swap" in str(damaged)
