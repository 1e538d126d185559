"""Leases: one worker a swap, by the database's clock."""

from __future__ import annotations

import asyncio

from store_samples import START, AesSealer, RawSql, add_swap, decide_on, get, lease

from swapd.store import Lease, Store


async def test_a_leased_swap_is_not_leased_again(store: Store) -> None:
    swap_id = await add_swap(store)
    await lease(store, swap_id)
    async with store.write() as tx:
        assert await tx.lease(swap_id, "other", 60) is None
        assert await tx.lease(swap_id, "worker", 60) is None


async def test_two_workers_that_ask_at_once_never_share_a_swap(url: str, store: Store) -> None:
    ids = {await add_swap(store) for _ in range(12)}
    other = await Store.open(url, AesSealer())

    async def take(store: Store, worker: str) -> list[str]:
        taken: list[str] = []
        while True:
            async with store.write() as tx:
                leases = await tx.lease_due(worker, START, 60, limit=2)
            if not leases:
                return taken
            taken += [lease.swap_id for lease in leases]

    first, second = await asyncio.gather(take(store, "first"), take(other, "second"))
    await other.close()
    assert len(first) + len(second) == len(ids)
    assert set(first) | set(second) == ids


async def test_lease_due_takes_only_what_is_due_and_free(store: Store) -> None:
    free, held, later = [await add_swap(store) for _ in range(3)]
    await lease(store, held, "other")
    async with store.write() as tx:
        await tx.postpone(later, START + 1)
        assert [lease.swap_id for lease in await tx.lease_due("worker", START, 60)] == [free]


async def test_an_ended_lease_goes_to_the_next_and_its_fence_is_higher(store: Store, raw_sql: RawSql) -> None:
    swap_id = await add_swap(store)
    fence = await lease(store, swap_id)
    await decide_on(store, swap_id, fence)
    await raw_sql.run("UPDATE swaps SET leased_until = 1")
    assert await lease(store, swap_id, "other") > fence


async def test_a_released_swap_is_free_and_its_old_fence_worthless(store: Store) -> None:
    swap_id = await add_swap(store)
    fence = await lease(store, swap_id)
    async with store.write() as tx:
        await tx.release(Lease(swap_id, fence))
    assert await lease(store, swap_id, "other") > fence + 1
    async with store.write() as tx:
        await tx.release(Lease(swap_id, fence))  # late: takes nothing from the new holder
        assert await tx.lease(swap_id, "third", 60) is None


async def test_a_worker_that_starts_again_holds_nothing(store: Store) -> None:
    mine, theirs = await add_swap(store), await add_swap(store)
    await lease(store, mine)
    await lease(store, theirs, "other")
    async with store.write() as tx:
        await tx.release_all("worker")
        assert await tx.lease(mine, "worker", 60) is not None
        assert await tx.lease(theirs, "worker", 60) is None
    assert (await get(store, mine)).version == 1  # leases are no news about the swap
