"""What was found again by the seed is written down, each swap by itself (rule S14)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from swapd.cli import recover as command
from swapd.coordinator.recover import Recovered, Recovery
from swapd.errors import Rejected
from swapd.protocol.terms import Role
from tests.coordinator.world import Rooms
from tests.store.store_samples import RawSql, add_swap, get, make_terms

MANY = 60
"""More than one page of swaps."""


def found(*indexes: int) -> list[Recovered]:
    return [Recovered(make_terms(index), dict.fromkeys(Role, 1), None, "") for index in indexes]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recovery(rooms: Rooms, said: list[str]) -> Recovery:
    return Recovery(rooms.house, said.append)


async def test_s14_again_is_no_error_however_many_swaps_are_there(rooms: Rooms, recovery: Recovery) -> None:
    swaps = found(*range(MANY))
    ids = [each.terms.swap_id for each in swaps]
    assert await recovery.keep(swaps) == ids
    assert await recovery.keep(swaps) == ids
    assert (await get(rooms.store, ids[0])).memory.restored, "what was sent for it is not known"


async def test_s14_what_is_damaged_or_can_not_be_written_keeps_no_other_swap_from_its_end(
    rooms: Rooms, recovery: Recovery, said: list[str]
) -> None:
    first, second, third = found(0, 1, 2)
    await recovery.keep([first])
    await raw(rooms).run("UPDATE swaps SET terms = '{'")
    taken = replace(second, terms=replace(make_terms(1), index=0))
    assert await recovery.keep([first, taken, third]) == [first.terms.swap_id, third.terms.swap_id]
    (words,) = said
    assert taken.terms.swap_id in words
    assert "never used before" in words


async def test_a_database_with_swaps_of_its_own_is_left_alone(rooms: Rooms, recovery: Recovery) -> None:
    await add_swap(rooms.store)
    await raw(rooms).run("UPDATE swaps SET terms = '{'")
    with pytest.raises(Rejected, match="into an empty one"):
        await recovery.keep(found(1))


async def test_the_command_waits_for_no_swap_that_can_not_be_read(
    rooms: Rooms, recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LOOK_SECONDS", 0.01)
    ids = await recovery.keep(found(0, 1))
    daemon = rooms.daemon()
    waiting = asyncio.create_task(command._stop_when_over(rooms.house, ids, daemon))
    await raw(rooms).run("UPDATE swaps SET terms = '{' WHERE id = :id", id=ids[0])
    await asyncio.sleep(0.1)
    assert not waiting.done(), "the other one goes on"
    await raw(rooms).run("UPDATE swaps SET status = 'refunded' WHERE id = :id", id=ids[1])
    await asyncio.wait_for(waiting, 10)
    assert daemon.stopping.is_set()


def raw(rooms: Rooms) -> RawSql:
    return RawSql(rooms.store._engine.url.render_as_string(hide_password=False))
