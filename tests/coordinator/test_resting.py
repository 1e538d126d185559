"""What has ended is left to the watchers only when nothing of it can still fall due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swapd.coordinator.resting import DAY_SECONDS, Restless, is_at_rest, to_sweep
from swapd.protocol.observation import ABSENT_VIEW, UNKNOWN_VIEW, LegState, LegView, Stray
from swapd.protocol.status import ENDED, Status
from swapd.protocol.terms import Role
from swapd.store import SwapRow
from tests.coordinator.world import Rooms
from tests.store.store_samples import add_swap, get

FINAL = LegView(LegState.CLAIMED, 1_000)
STRAY = Stray("aa:0", 9, "too little", "it goes back", refundable=True)
ENDS = (Status.COMPLETED, Status.EXPIRED)


def at_the_end(row: SwapRow, status: Status, view: LegView, **more: Any) -> SwapRow:
    legs = {role: replace(row.legs[role], view=view) for role in Role}
    return replace(row, status=status, reason="", legs=legs, **more)


def long_after(row: SwapRow) -> int:
    return row.terms.initiator.terms.timelock + DAY_SECONDS + 1


@pytest.fixture
async def row(rooms: Rooms) -> SwapRow:
    return await get(rooms.store, await add_swap(rooms.store))


@pytest.mark.parametrize("view", [ABSENT_VIEW, FINAL, replace(FINAL, state=LegState.REFUNDED)])
def test_nothing_is_there_or_all_of_it_is_final(row: SwapRow, view: LegView) -> None:
    now = long_after(row)
    for status in Status:
        assert is_at_rest(at_the_end(row, status, view), now) == (status in ENDED)


@pytest.mark.parametrize(
    "view",
    [
        UNKNOWN_VIEW,
        LegView(LegState.SEEN),
        LegView(LegState.LOCKED, 1_000),
        replace(FINAL, depth=1),
        replace(ABSENT_VIEW, strays=(STRAY,)),
        replace(FINAL, strays=(STRAY,)),
    ],
)
@pytest.mark.parametrize("status", ENDS)
def test_s12_what_may_still_be_moved_is_not_at_rest(row: SwapRow, status: Status, view: LegView) -> None:
    assert not is_at_rest(at_the_end(row, status, view), long_after(row))


@pytest.mark.parametrize("status", ENDS)
def test_s5_nothing_rests_while_a_chains_clock_may_be_behind(row: SwapRow, status: Status) -> None:
    ended = at_the_end(row, status, ABSENT_VIEW)
    assert not is_at_rest(ended, row.terms.initiator.terms.timelock + DAY_SECONDS)
    assert is_at_rest(ended, long_after(row))


@pytest.mark.parametrize("status", ENDS)
def test_what_could_not_be_looked_at_is_not_at_rest(row: SwapRow, status: Status) -> None:
    ended = replace(at_the_end(row, status, FINAL), reason="bitcoin: the node is away")
    assert not is_at_rest(ended, long_after(row))


def test_all_that_goes_on_is_swept_and_of_the_rest_what_was_not_looked_at_for_a_day(row: SwapRow) -> None:
    now = long_after(row)
    resting = [at_the_end(row, Status.COMPLETED, FINAL, updated_at=now) for _ in range(5)]
    old = replace(resting[0], updated_at=now - DAY_SECONDS - 1)
    ahead = replace(resting[0], updated_at=now + 1)
    for rested in (old, ahead):
        assert to_sweep([rested], now, (), 8) == [row.id]
        assert to_sweep([rested], now, (), 0) == []
    assert to_sweep(resting, now, (), 8) == []
    assert to_sweep(resting, now, {row.id}, 0) == [row.id]
    assert to_sweep([at_the_end(row, Status.REFUNDING, FINAL, updated_at=now)], now, (), 0) == [row.id]


def test_many_that_rest_are_looked_at_within_a_day_or_two(row: SwapRow) -> None:
    now = long_after(row)
    old = at_the_end(row, Status.COMPLETED, FINAL, updated_at=0)
    assert len(to_sweep([old] * 1_000, now, (), 8)) == 10


def test_what_rests_is_told_from_the_rest_again_and_again(row: SwapRow) -> None:
    now = long_after(row)
    resting = at_the_end(row, Status.COMPLETED, FINAL)
    going = replace(at_the_end(row, Status.REDEEMING, FINAL), terms=replace(row.terms, swap_id="another"))
    restless = Restless()
    for _ in range(2):
        assert restless.of([resting, going], now) == [going]
    changed = replace(resting, reason="bitcoin: the node is away")
    assert restless.of([changed, going], now) == [changed, going], "the same swap in another state"
    assert restless.of([resting], now) == []
    assert restless.of([], now) == []


def test_s5_a_clock_that_was_set_back_wakes_what_has_changed_since(row: SwapRow) -> None:
    resting, restless = at_the_end(row, Status.COMPLETED, FINAL), Restless()
    assert restless.of([resting], long_after(row)) == []
    touched = replace(resting, touches=resting.touches + 1)  # as the watcher does to all that it knows
    assert restless.of([touched], long_after(row) - 1) == [touched]
