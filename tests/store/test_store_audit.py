"""The audit chain: written with what it tells of, never changed, and found out if it is."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import DBAPIError
from store_samples import RawSql, add_swap, decision, get, lease, locked

from swapd.errors import Invalid
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import AuditBroken, AuditHead, Store
from swapd.store.audit import entry_hash


async def fill(store: Store, count: int = 5) -> None:
    for number in range(count):
        async with store.write("someone") as tx:
            tx.audit("something", None, number=number, words=["ä", None, True])


async def verify(store: Store, known: AuditHead | None = None) -> AuditHead:
    async with store.read() as tx:
        return await tx.verify_audit(known) if known else await tx.verify_audit()


async def test_an_untouched_chain_holds(store: Store) -> None:
    assert (await verify(store)).seq == 0
    await fill(store)
    head = await verify(store)
    assert head.seq == 5
    await fill(store)
    assert (await verify(store, head)).seq == 10


async def test_each_entry_can_be_checked_by_anybody(store: Store) -> None:
    await fill(store, 2)
    async with store.read() as tx:
        first, second = await tx.audit_trail()
    assert second.prev_hash == first.hash
    data = json.loads(first.data)
    assert data == {"number": 0, "words": ["ä", None, True]}
    assert first.hash == entry_hash(1, first.at, "someone", None, "something", data, "0" * 64)


async def test_an_entry_is_written_with_what_it_tells_of_or_not_at_all(store: Store) -> None:
    async def fail() -> None:
        async with store.write() as tx:
            tx.audit("never happened")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert (await verify(store)).seq == 0


async def test_a_decision_is_told_only_when_status_or_legs_changed(store: Store) -> None:
    swap_id = await add_swap(store)
    fence = await lease(store, swap_id)
    for status, depth in ((Status.INITIATOR_LOCKED, 1), (Status.INITIATOR_LOCKED, 2), (Status.REFUNDING, 2)):
        row = await get(store, swap_id)
        async with store.write() as tx:
            await tx.record_decision(row, fence, decision(status=status), {Role.INITIATOR: locked(depth)})
    async with store.read() as tx:
        told = [entry.event for entry in await tx.audit_trail(swap_id)]
    assert told == ["swap added", "status", "legs", "status"]


async def test_a_float_never_gets_into_the_chain(store: Store) -> None:
    with pytest.raises(Invalid, match="a whole number or a string"):
        async with store.write() as tx:
            tx.audit("price", None, rate=[1.5])  # type: ignore[list-item]


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit WHERE seq = 2"])
async def test_the_database_itself_refuses_to_change_the_chain(store: Store, raw_sql: RawSql, statement: str) -> None:
    await fill(store)
    with pytest.raises(DBAPIError, match="audit is append-only"):
        await raw_sql.run(statement)
    assert (await verify(store)).seq == 5


async def test_the_database_itself_refuses_to_empty_or_replace(store: Store, raw_sql: RawSql) -> None:
    await fill(store)
    replacing = "INSERT OR REPLACE INTO audit VALUES (2, 0, 'x', NULL, 'x', '{}', 'x', 'x')"  # SQLite's own other way
    with pytest.raises(DBAPIError, match="audit is append-only"):
        await raw_sql.run(replacing if raw_sql.sqlite else "TRUNCATE audit")


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("UPDATE audit SET data = '{}' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE audit SET data = 'no json' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE audit SET hash = 'f' WHERE seq = 4", "entry 4 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq >= 4", "ends at entry 3, but once had 5"),
        ("UPDATE meta SET value = 'x' WHERE key = 'audit_head'", "head is 'x'"),
    ],
)
async def test_tampering_is_found(store: Store, raw_sql: RawSql, tampering: str, words: str) -> None:
    await fill(store)
    await raw_sql.drop_audit_triggers()
    await raw_sql.run(tampering)
    with pytest.raises(AuditBroken, match=words):
        await verify(store)


async def test_a_chain_rebuilt_from_nothing_is_found_by_who_kept_its_head(store: Store, raw_sql: RawSql) -> None:
    await fill(store)
    head = await verify(store)
    await raw_sql.drop_audit_triggers()
    await raw_sql.run("DELETE FROM audit")
    await raw_sql.run("UPDATE meta SET value = :head WHERE key = 'audit_head'", head=f"0 {'0' * 64}")
    await fill(store, 4)
    assert (await verify(store)).seq == 4  # in itself it holds
    with pytest.raises(AuditBroken, match="ends at entry 4, but once had 5"):
        await verify(store, head)
    async with store.write("a liar") as tx:
        tx.audit("nothing to see here")
    with pytest.raises(AuditBroken, match="entry 5 is not the one that was written down"):
        await verify(store, head)


async def test_two_heads_cannot_be(store: Store, raw_sql: RawSql) -> None:
    await fill(store)
    with pytest.raises(DBAPIError):
        await raw_sql.run(
            "INSERT INTO audit SELECT 6, at, actor, swap_id, event, data, prev_hash, 'x' FROM audit WHERE seq = 5"
        )
