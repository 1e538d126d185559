"""A copy in memory: of what is open, with everything that an exit needs."""

from __future__ import annotations

import asyncio
import threading

import pytest
from store_samples import LOCK, START, add_swap, decide_on, decision, get, get_effects, lease, make_tx

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind
from swapd.protocol.terms import Role
from swapd.store import Store
from swapd.store import models as m
from swapd.store import spare as spares

PATIENCE = 20


async def test_what_is_open_can_be_worked_on_in_memory_and_the_database_knows_nothing_of_it(store: Store) -> None:
    swap_id, ended = await add_swap(store), await add_swap(store)
    fence = await lease(store, swap_id)
    await decide_on(store, swap_id, fence, LOCK)
    effect = (await get_effects(store, swap_id))[LOCK.key]
    async with store.write() as tx:
        await tx.add_attempt(effect.id, fence, make_tx("tx"))
        seen = Sighting(swap_id, Role.PARTICIPANT, SightingKind.LOCK, "ref", "tx", "hash", 5)
        await tx.record_scan("ethereum", Scan(Cursor(5, "hash", ((5, "hash"),)), (seen,)))
        row = await tx.swap(ended)
        await tx.lease(ended, "worker", 60)
    async with store.write() as tx:
        await tx.record_decision(row, 1, decision(), {}, watched=False)

    spare = await store.copy_open()
    async with spare.write() as tx:
        (lent,) = await tx.lease_due("boat", START, 60)
        assert lent.swap_id == swap_id
        await tx.add_attempt(effect.id, lent.fence, make_tx("another"))
        tx.audit("said in memory")
    copied = await get(spare, swap_id)
    assert copied.sightings == (seen,)
    assert [a.tx.txid for a in (await get_effects(spare, swap_id))[LOCK.key].attempts] == ["tx", "another"]
    async with spare.read() as tx:
        assert await tx.cursor("ethereum") == Cursor(5, "hash", ((5, "hash"),))
        assert [r.id for r in (await tx.swaps()).swaps] == [swap_id]
        assert (await tx.verify_audit()).seq >= 1
    assert [a.tx.txid for a in (await get_effects(store, swap_id))[LOCK.key].attempts] == ["tx"]

    assert await store.copy_open(spare) is spare, "filled anew"
    assert [a.tx.txid for a in (await get_effects(spare, swap_id))[LOCK.key].attempts] == ["tx"]
    await asyncio.gather(*(get(spare, swap_id) for _ in range(10)), _writes(spare), _writes(spare))
    await spare.close()


@pytest.mark.parametrize("step", ["create_all", "copy_rows"])
async def test_a_copy_that_could_not_be_made_leaves_nothing_behind_and_an_earlier_one_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    swap_id = await add_swap(store)
    earlier = await store.copy_open()
    before = _connections()
    with monkeypatch.context() as patched:
        patched.setattr(spares if step == "copy_rows" else m.Base.metadata, step, _ends)
        with pytest.raises(asyncio.CancelledError):
            await store.copy_open()
        if step == "copy_rows":
            with pytest.raises(asyncio.CancelledError):
                await store.copy_open(earlier)
    for thread in _connections() - before:
        await asyncio.to_thread(thread.join, PATIENCE)
        assert not thread.is_alive()
    assert (await get(earlier, swap_id)).id == swap_id
    await earlier.close()


def _connections() -> set[threading.Thread]:
    """Each of SQLite's has one."""
    return {thread for thread in threading.enumerate() if "_connection_worker" in thread.name}


def _ends(*_: object, **__: object) -> None:
    raise asyncio.CancelledError


async def test_a_copy_of_some_swaps_has_these_alone_and_with_too_many_to_name_it_has_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await add_swap(store), await add_swap(store)
    spare = await store.copy_open(wanted=lambda row: row.id == one)
    async with spare.read() as tx:
        assert [row.id for row in (await tx.open_swaps()).swaps] == [one]
    monkeypatch.setattr(spares, "_MOST_NAMED", 0)
    await store.copy_open(spare, wanted=lambda row: row.id == one)
    async with spare.read() as tx:
        assert {row.id for row in (await tx.open_swaps()).swaps} == {one, other}
    await spare.close()


async def test_s2_an_old_copy_is_told_which_secrets_were_shown_since(store: Store) -> None:
    shown, kept = await add_swap(store), await add_swap(store)
    spare = await store.copy_open()
    async with spare.write() as tx:
        await tx.remember_shown({shown, "ended-since"})
    assert (await get(spare, shown)).memory.reveal_sent
    assert not (await get(spare, kept)).memory.reveal_sent
    await spare.close()


async def _writes(store: Store) -> None:
    for _ in range(5):
        async with store.write() as tx:
            tx.audit("several at once")
