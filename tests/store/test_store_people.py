"""What people decide: at once, across workers, and never half of it."""

from __future__ import annotations

import asyncio

import pytest
from store_samples import (
    LOCK,
    RawSql,
    add_swap,
    decide_on,
    decision,
    get,
    get_effects,
    lease,
    make_tx,
)

from swapd.errors import Invalid, Rejected
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Conflict, DamagedRow, DisputeState, FirstAnswer, Store

DAY = 86_400
BOB = "operator:bob"


async def opened(store: Store, swap_id: str, reason: str = "the goods never came") -> int:
    async with store.write("dispute:ann") as tx:
        return await tx.open_dispute(swap_id, reason)


# -- disputes


async def test_a_dispute_is_kept_with_who_and_why(store: Store) -> None:
    swap_id = await add_swap(store)
    dispute_id = await opened(store, swap_id)
    async with store.write("dispute:ann") as tx:
        await tx.note_dispute(dispute_id, "asked the seller")
    async with store.read() as reading:
        dispute = await reading.dispute(dispute_id)
        said = {entry.event: entry for entry in await reading.audit_trail(swap_id)}
    assert (dispute.state, dispute.opened_by, dispute.reason) == (
        DisputeState.OPEN,
        "dispute:ann",
        "the goods never came",
    )
    assert (await get(store, swap_id)).memory.frozen
    assert said["dispute opened"].actor == "dispute:ann"
    assert "asked the seller" in said["dispute note"].data


async def test_s2_a_worker_that_decided_before_shows_no_secret_and_sends_no_lock_after(store: Store) -> None:
    swap_id = await add_swap(store)
    held = await lease(store, swap_id)
    await decide_on(store, swap_id, held, LOCK)
    (effect,) = (await get_effects(store, swap_id)).values()
    async with store.write() as tx:
        await tx.add_attempt(effect.id, held, make_tx("a lock"))
    await opened(store, swap_id)
    with pytest.raises(Conflict, match="stopped"):
        async with store.write() as tx:
            await tx.mark_revealed(swap_id, held)
    with pytest.raises(Conflict, match="not wanted"):
        async with store.write() as tx:
            await tx.mark_sent("a lock", held)
    assert not (await get(store, swap_id)).reveal_sent


async def test_a_decision_made_before_is_made_again(store: Store) -> None:
    swap_id = await add_swap(store)
    held, row = await lease(store, swap_id), await get(store, swap_id)
    await opened(store, swap_id)
    with pytest.raises(Conflict):
        async with store.write() as tx:
            await tx.record_decision(row, held, decision(), {})


async def test_one_dispute_at_a_time(store: Store) -> None:
    swap_id = await add_swap(store)
    done = await asyncio.gather(*(opened(store, swap_id) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(each, int) for each in done) == 1
    assert sum(isinstance(each, Rejected) for each in done) == 2


async def test_resumed_it_goes_on_and_may_be_disputed_again(store: Store) -> None:
    swap_id = await add_swap(store)
    first = await opened(store, swap_id)
    async with store.write("dispute:ann") as tx:
        await tx.resume(first, "they came")
    row = await get(store, swap_id)
    assert not row.memory.frozen
    assert row.next_due_at == 0
    with pytest.raises(Rejected, match="decided already: resumed"):
        async with store.write("dispute:ann") as tx:
            await tx.force_refund(first, "second thoughts")
    second = await opened(store, swap_id)
    async with store.read() as reading:
        assert [each.id for each in await reading.disputes(swap_id)] == [second, first]
        assert [each.id for each in await reading.disputes(state=DisputeState.RESUMED)] == [first]
        assert [each.id for each in await reading.disputes(before=second)] == [first]


async def test_a_forced_refund_can_not_be_taken_back(store: Store) -> None:
    swap_id = await add_swap(store)
    dispute_id = await opened(store, swap_id)
    async with store.write("dispute:ann") as tx:
        await tx.force_refund(dispute_id, "fraud")
    memory = (await get(store, swap_id)).memory
    assert memory.forced
    assert memory.called_off
    with pytest.raises(Rejected, match="decided already: forced"):
        async with store.write("dispute:ann") as tx:
            await tx.resume(dispute_id, "second thoughts")


async def test_s6_no_refund_is_forced_once_the_secret_went_out(store: Store) -> None:
    swap_id = await add_swap(store)
    held = await lease(store, swap_id)
    async with store.write() as tx:
        await tx.mark_revealed(swap_id, held)
    dispute_id = await opened(store, swap_id)
    with pytest.raises(Rejected, match="S6"):
        async with store.write("dispute:ann") as tx:
            await tx.force_refund(dispute_id, "fraud")
    async with store.read() as reading:
        assert (await reading.dispute(dispute_id)).state is DisputeState.OPEN


async def test_what_has_ended_and_what_is_not_there_is_not_disputed(store: Store) -> None:
    swap_id = await add_swap(store)
    held, row = await lease(store, swap_id), await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, held, decision(status=Status.COMPLETED), {})
    with pytest.raises(Rejected, match="ended"):
        await opened(store, swap_id)
    with pytest.raises(Invalid, match="id of a swap"):
        await opened(store, "0" * 16)
    async with store.read() as reading:
        with pytest.raises(Invalid, match="id of a dispute"):
            await reading.dispute(4711)


async def test_consents_are_kept_by_leg_and_given_to_the_chain(store: Store) -> None:
    swap_id = await add_swap(store)
    dispute_id = await opened(store, swap_id)
    async with store.write("dispute:ann") as tx:
        await tx.force_refund(dispute_id, "both want their money back")
        await tx.consent(swap_id, Role.PARTICIPANT, b"signed", "0xbob")
        await tx.consent(swap_id, Role.PARTICIPANT, b"signed again", "0xbob")
    row = await get(store, swap_id)
    assert row.memory.consented == {Role.PARTICIPANT}
    assert row.watched_leg(Role.PARTICIPANT).consent == b"signed again"
    assert row.watched_leg(Role.INITIATOR).consent == b""


# -- approvals


async def test_an_approval_counts_until_it_expires_or_is_withdrawn(store: Store) -> None:
    swap_id = await add_swap(store)
    async with store.write(BOB) as tx:
        await tx.approve(swap_id, BOB, DAY)
        await tx.approve(swap_id, BOB, DAY)
    (approval,) = (await get(store, swap_id)).approvals
    assert approval.counts(approval.given_at)
    assert not approval.counts(approval.given_at + DAY)
    async with store.write(BOB) as tx:
        await tx.withdraw_approval(swap_id, BOB)
    (approval,) = (await get(store, swap_id)).approvals
    assert not approval.counts(approval.given_at)
    with pytest.raises(Rejected, match="has not approved"):
        async with store.write(BOB) as tx:
            await tx.withdraw_approval(swap_id, BOB)


async def test_an_approval_that_was_planted_or_prolonged_damages_the_swap(store: Store, raw_sql: RawSql) -> None:
    swap_id = await add_swap(store)
    async with store.write(BOB) as tx:
        await tx.approve(swap_id, BOB, DAY)
    await raw_sql.run("UPDATE approvals SET expires_at = expires_at + 1")
    with pytest.raises(DamagedRow, match="not what was sealed"):
        await get(store, swap_id)


# -- owners, stakes, answers


async def test_each_tenant_sees_its_own(store: Store) -> None:
    mine, theirs = await add_swap(store), await add_swap(store)
    async with store.write() as tx:
        await tx.own(mine, "shop", {"tenant:shop": {"ETH": 10**20}, "bitcoin:bc1q": {"BTC": 5}})
        await tx.own(theirs, "stall", {"tenant:stall": {"ETH": 1}, "bitcoin:bc1q": {"BTC": 7}})
    async with store.read() as reading:
        assert [row.id for row in (await reading.swaps(owner="shop")).swaps] == [mine]
        given = await reading.stakes(["tenant:shop", "bitcoin:bc1q"], 0)
        assert given == {"tenant:shop": {"ETH": 10**20}, "bitcoin:bc1q": {"BTC": 12}}
        counts = await reading.open_stakes(["bitcoin:bc1q", "bitcoin:other"])
        assert (counts["bitcoin:bc1q"], counts["bitcoin:other"]) == (2, 0)
        assert {row.id for row in (await reading.at_stake()).swaps} == {mine, theirs}
        assert await reading.count_going() == 2
        assert await reading.stakes(["bitcoin:bc1q"], 2**40) == {"bitcoin:bc1q": {}}
    held, row = await lease(store, mine), await get(store, mine)
    async with store.write() as tx:
        await tx.record_decision(row, held, decision(status=Status.REFUNDED), {}, watched=True)
    async with store.read() as reading:
        assert (await reading.open_stakes(["bitcoin:bc1q"]))["bitcoin:bc1q"] == 1, (
            "one has ended, and is watched for a while"
        )
        assert await reading.count_going() == 1


async def test_a_first_answer_stays_the_first(store: Store) -> None:
    first, second = FirstAnswer("a" * 64, 201, "{}"), FirstAnswer("b" * 64, 409, "[]")
    async with store.write() as tx:
        assert await tx.remember_answer("shop", "order-1", first)
        assert not await tx.remember_answer("shop", "order-1", second)
        assert await tx.remember_answer("stall", "order-1", second)
    async with store.read() as reading:
        assert await reading.first_answer("shop", "order-1") == first
        assert await reading.first_answer("stall", "order-1") == second
        assert await reading.first_answer("shop", "order-2") is None
    async with store.write() as tx:
        await tx.forget_answers(DAY)
        assert await tx.first_answer("shop", "order-1") == first
        await tx.forget_answers(-DAY)
        assert await tx.first_answer("shop", "order-1") is None
