"""A damaged row is named, costs at most its own swap, and what the chains can show again mends itself."""

from __future__ import annotations

import pytest
from store_samples import (
    LOCK,
    REVEAL,
    START,
    RawSql,
    add_swap,
    decide_on,
    get,
    get_effects,
    lease,
    make_tx,
    preimage_of,
)

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind
from swapd.protocol.terms import Role
from swapd.store import AuditBroken, DamagedRow, EffectState, Store

BIT = {
    "terms": ("UPDATE swaps SET terms = replace(terms, '123456', '123457') WHERE id = :id", "swaps"),
    "seal": ("UPDATE swaps SET seal = :seal WHERE id = :id", "swaps"),
    "leg": ("UPDATE legs SET role = 'initiatos' WHERE role = 'initiator' AND swap_id = :id", "swaps"),
    "sighting": ("UPDATE sightings SET kind = 'lobk' WHERE swap_id = :id", "sightings"),
}


async def two_swaps(store: Store) -> tuple[str, str]:
    """Both with a lock that was sent, and seen in a block."""
    found = []
    for number in range(2):
        swap_id = await add_swap(store)
        fence = await lease(store, swap_id)
        await decide_on(store, swap_id, fence, LOCK)
        effect = (await get_effects(store, swap_id))[LOCK.key]
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx(f"tx-{number}"))
        async with store.write() as tx:
            await tx.mark_sent(f"tx-{number}", fence)
            seen = Sighting(swap_id, Role.PARTICIPANT, SightingKind.LOCK, "ref", f"tx-{number}", "hash", 5)
            await tx.record_scan("ethereum", Scan(Cursor(5, "hash", ((5, "hash"),)), (seen,)))
            await tx.release_all("worker")
        found.append(swap_id)
    return found[0], found[1]


@pytest.mark.parametrize("place", BIT)
async def test_a_flipped_bit_costs_one_swap_which_is_named_and_no_other(
    store: Store, raw_sql: RawSql, place: str
) -> None:
    bad, good = await two_swaps(store)
    statement, table = BIT[place]
    await raw_sql.run(statement, id=bad, **({"seal": b"x" * 60} if place == "seal" else {}))

    async with store.write() as tx:
        found = await tx.open_swaps()
        (damaged,) = found.damaged
        assert [row.id for row in found.swaps] == [good]
        assert (damaged.table, damaged.key) == (table, bad)
        assert [str(each) for each in await tx.damage()] == [str(damaged)]
        leases = await tx.lease_due("worker", START, 60)
        assert {each.swap_id for each in leases} == {bad, good}, "the queue goes on"
        await tx.touch([row.id for row in found.swaps])
    with pytest.raises(DamagedRow, match=bad):
        await get(store, bad)


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'lobk'",
        "role = 'nobody'",
        "state = 'sens'",
        "key = 'lock:initiator'",
    ],
)
async def test_s4_a_damaged_effect_is_written_anew_and_never_taken_for_new(
    store: Store, raw_sql: RawSql, change: str
) -> None:
    bad, good = await two_swaps(store)
    await raw_sql.run(f"UPDATE effects SET {change} WHERE swap_id = :id", id=bad)  # noqa: S608
    assert await get_effects(store, bad) == {}
    assert LOCK.key in await get_effects(store, good)
    async with store.read() as tx:
        (damaged,) = await tx.damage()
    assert bad in str(damaged)

    await decide_on(store, bad, await lease(store, bad), LOCK)
    effect = (await get_effects(store, bad))[LOCK.key]
    assert (await get(store, bad)).memory.lock_sent == {Role.PARTICIPANT}, (
        "the executor makes no lock without its bytes"
    )
    if not change.startswith("key"):
        assert effect.state is EffectState.SENT
        assert [attempt.tx.txid for attempt in effect.attempts] == ["tx-0"]


async def test_s4_bytes_that_can_not_be_opened_are_left_out_and_told_of(store: Store, raw_sql: RawSql) -> None:
    bad, good = await two_swaps(store)
    fence = await lease(store, bad)
    await decide_on(store, bad, fence, LOCK, REVEAL)
    effect = (await get_effects(store, bad))[REVEAL.key]
    for txid in ("claim-0", "claim-1"):
        async with store.write() as tx:
            await tx.add_attempt(effect.id, fence, make_tx(txid))
    await raw_sql.run("UPDATE transactions SET raw = :raw WHERE txid = 'claim-0'", raw=b"x" * 80)

    effects = await get_effects(store, bad)
    assert [attempt.tx.txid for attempt in effects[REVEAL.key].attempts] == ["claim-1"]
    (damaged,) = effects[REVEAL.key].damaged
    assert (damaged.table, damaged.key) == ("transactions", f"claim-0 (swap {bad})")
    assert effects[LOCK.key].damaged == ()
    assert (await get_effects(store, good))[LOCK.key].damaged == ()
    async with store.read() as tx:
        assert [str(each) for each in await tx.damage()] == [str(damaged)]


async def test_s6_damaged_sightings_are_forgotten_but_for_the_secret_they_showed(store: Store, raw_sql: RawSql) -> None:
    bad, _ = await two_swaps(store)
    index = (await get(store, bad)).terms.index
    shown = Sighting(bad, Role.PARTICIPANT, SightingKind.CLAIM, "ref", "claim", None, None, preimage_of(index))
    async with store.write() as tx:
        await tx.add_sightings("ethereum", [shown])
    await raw_sql.run("UPDATE sightings SET role = 'x' WHERE swap_id = :id AND kind = 'lock'", id=bad)
    with pytest.raises(DamagedRow) as caught:
        await get(store, bad)
    assert caught.value.by_looking

    async with store.write() as tx:
        await tx.forget_sightings(bad)
    row = await get(store, bad)
    assert row.sightings == ()
    assert row.memory.preimage == preimage_of(index)
    assert row.next_due_at == 0


@pytest.mark.parametrize("change", ["trail = '[[5,7]]'", "trail = '[['"])
async def test_a_damaged_cursor_is_named_and_can_be_set_again(store: Store, raw_sql: RawSql, change: str) -> None:
    await two_swaps(store)
    await raw_sql.run(f"UPDATE cursors SET {change}")  # noqa: S608
    with pytest.raises(DamagedRow, match="row ethereum of table cursors"):
        async with store.read() as tx:
            await tx.cursor("ethereum")
    async with store.write() as tx:
        await tx.set_cursor("ethereum", Cursor(6, "next"))
        assert await tx.cursor("ethereum") == Cursor(6, "next")


async def test_a_damaged_index_stops_new_swaps_in_words(store: Store, raw_sql: RawSql) -> None:
    await raw_sql.run("UPDATE meta SET value = '1O' WHERE key = 'next_index'")
    with pytest.raises(DamagedRow, match="next_index of table meta"):
        async with store.read() as tx:
            await tx.peek_index()


@pytest.mark.parametrize("head", ["1 x", "7 0", "rubbish"])
async def test_a_damaged_audit_head_stops_nothing_and_is_told_for_ever(
    store: Store, raw_sql: RawSql, head: str
) -> None:
    await two_swaps(store)
    await raw_sql.run("UPDATE meta SET value = :head WHERE key = 'audit_head'", head=head)
    await two_swaps_more(store)
    with pytest.raises(AuditBroken, match="end was damaged, or entries were cut off"):
        async with store.read() as tx:
            await tx.verify_audit()


async def two_swaps_more(store: Store) -> None:
    for _ in range(2):
        await add_swap(store)
