"""The database fails in the middle of a swap: entry is shut, exits go on, and nothing is locked twice or lost (S8)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import product

import pytest

from swapd.errors import Rejected
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from tests.scenarios.faults import FAULTS, remember_boat, turns
from tests.scenarios.rig import Rig

STATUSES = (Status.PROPOSED, Status.INITIATOR_LOCKED, Status.PARTICIPANT_LOCKED, Status.REDEEMING)
IN_EVERY_RUN = {
    (Status.INITIATOR_LOCKED, "locked", False),
    (Status.PARTICIPANT_LOCKED, "full", True),
}
CASES = [
    pytest.param(
        *case,
        id="-".join((case[0].value, case[1], "as_initiator" if case[2] else "as_participant")),
        marks=[] if case in IN_EVERY_RUN else pytest.mark.full,
    )
    for case in product(STATUSES, FAULTS, (True, False))
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swapd.store.engine.WAIT_SECONDS", 0.2)


async def recovered(rig: Rig) -> None:
    """So many looks as proofs are needed; then everything is as ever."""
    await remember_boat(rig, rig.house)
    for _ in range(4):
        await rig.house.look()
    assert rig.house.house.store.trouble == ""
    assert not rig.house.daemon.lifeboat.afloat
    assert rig.house.daemon.gate.closed == ""


@pytest.mark.parametrize(("status", "fault", "initiates"), CASES)
async def test_s4_a_database_that_fails_at_any_status_and_comes_back(
    rig: Rig, status: Status, fault: str, initiates: bool
) -> None:
    turns(rig.house)
    sides = (rig.house, rig.other) if initiates else (rig.other, rig.house)
    terms = await rig.agreed(*sides)
    await rig.until(rig.house, terms.swap_id, status)

    async with FAULTS[fault](rig.house):
        await rig.block(2)
        for _ in range(4):  # what was free inside the file's pages keeps a full one going for a while
            if not rig.house.house.store.trouble:
                await rig.block()
        assert rig.house.house.store.trouble
        assert rig.house.daemon.gate.closed.startswith("store: ")
        assert "needed: " in rig.house.daemon.gate.closed
    await recovered(rig)
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    await remember_boat(rig, rig.house)

    assert await rig.accounts_balance(locks=1) == rig.traded(*sides)


@pytest.mark.parametrize("fault", FAULTS)
async def test_s8_a_claim_of_a_public_secret_goes_out_without_a_database(rig: Rig, fault: str) -> None:
    turns(rig.house)
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    assert not (await rig.house.row(terms.swap_id)).revealed_preimage

    async with FAULTS[fault](rig.house):
        for _ in range(12):
            await rig.block()
            if await rig.other.status(terms.swap_id) is Status.COMPLETED:
                break
        assert await rig.other.status(terms.swap_id) is Status.COMPLETED, "both legs are claimed, finally"
        assert await remember_boat(rig, rig.house) > 0
    await recovered(rig)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance(locks=1) == rig.traded(rig.other, rig.house)


@pytest.mark.parametrize("fault", FAULTS)
async def test_s8_a_due_refund_goes_out_without_a_database(rig: Rig, fault: str) -> None:
    turns(rig.house)
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)

    async with FAULTS[fault](rig.house):
        await rig.time_is(terms.initiator.terms.timelock + 1)
        await rig.block(4)
        view = await rig.house.house.chain(terms.initiator.terms.chain).view(
            await rig.house.watched(terms, Role.INITIATOR)
        )
        assert view.state is LegState.REFUNDED
        assert view.depth > 0
    await recovered(rig)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert await rig.accounts_balance(locks=1) == rig.nothing


@pytest.mark.parametrize("fault", FAULTS)
async def test_s2_no_secret_is_shown_and_s4_nothing_is_locked_without_a_database(rig: Rig, fault: str) -> None:
    turns(rig.house)
    ours = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, ours.swap_id, Status.INITIATOR_LOCKED)
    theirs = await rig.agreed(rig.other, rig.house)

    async with FAULTS[fault](rig.house):
        await rig.block(5)
        row = await rig.other.row(ours.swap_id)
        assert row.status is Status.PARTICIPANT_LOCKED
        assert row.legs[Role.PARTICIPANT].view.depth >= ours.participant.confirmations, "it could be claimed"
        assert await rig.other.status(theirs.swap_id) is Status.INITIATOR_LOCKED
    await recovered(rig)
    for terms in (ours, theirs):
        await rig.until_over(terms.swap_id, Status.COMPLETED)

    await rig.accounts_balance(locks=1)


async def test_s8_damaged_hints_are_looked_for_again_and_cost_nothing(rig: Rig) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    with closing(sqlite3.connect(rig.house.database, timeout=10)) as somebody:
        somebody.execute("UPDATE sightings SET kind = 'lobk'")
        somebody.execute("UPDATE cursors SET trail = '[['")
        somebody.commit()

    await rig.house.daemon.sweep()
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance(locks=1) == rig.traded(rig.other, rig.house)


async def test_s8_one_damaged_swap_shuts_entry_and_another_goes_on_to_its_end(rig: Rig) -> None:
    good = await rig.agreed(rig.other, rig.house)
    bad, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, good.swap_id, Status.PARTICIPANT_LOCKED)
    with closing(sqlite3.connect(rig.house.database, timeout=10)) as somebody:
        (terms,) = somebody.execute("SELECT terms FROM swaps WHERE id = ?", (bad.swap_id,)).fetchone()
        somebody.execute("UPDATE swaps SET terms = '{' WHERE id = ?", (bad.swap_id,))
        somebody.commit()

    await rig.house.daemon.sweep()
    await rig.until_over(good.swap_id, Status.COMPLETED)
    async with rig.house.house.store.read() as reading:
        (damaged,) = await reading.damage()
    assert bad.swap_id in str(damaged)
    with pytest.raises(Rejected, match=bad.swap_id):
        await rig.offer(rig.house, rig.other)

    with closing(sqlite3.connect(rig.house.database, timeout=10)) as somebody:
        somebody.execute("UPDATE swaps SET terms = ? WHERE id = ?", (terms, bad.swap_id))
        somebody.commit()
    await rig.time_is(bad.initiator.terms.timelock + 1)
    await rig.until_over(bad.swap_id, Status.REFUNDED, Status.EXPIRED, sides=(rig.house,))
    assert await rig.accounts_balance(locks=1) == rig.traded(rig.other, rig.house)
