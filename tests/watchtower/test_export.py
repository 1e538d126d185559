"""When a packet is removed, and into which folders none is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from swapd.errors import Invalid
from swapd.protocol.observation import ABSENT_VIEW
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import EffectState, SwapRow
from swapd.watchtower import folder
from swapd.watchtower.export import Packets, require_writable
from tests.coordinator.world import Rooms, new_rooms
from tests.store.store_samples import LOCK, add_swap, decide_on, get, get_effects, lease, make_tx


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with new_rooms(tmp_path) as made:
        yield made


def expired(row: SwapRow) -> SwapRow:
    legs = {role: replace(row.legs[role], view=ABSENT_VIEW) for role in Role}
    return replace(row, status=Status.EXPIRED, legs=legs)


async def test_s12_a_packet_is_kept_while_a_lock_that_was_sent_may_still_be_mined(rooms: Rooms, tmp_path: Path) -> None:
    swap_id = await add_swap(rooms.store)
    fence = await lease(rooms.store, swap_id)
    await decide_on(rooms.store, swap_id, fence, LOCK)
    effect = (await get_effects(rooms.store, swap_id))[LOCK.key]
    async with rooms.store.write() as writing:
        await writing.add_attempt(effect.id, fence, make_tx("lock"))
        await writing.mark_sent("lock", fence)
    await decide_on(rooms.store, swap_id, fence)
    packets = Packets(rooms.house, tmp_path / "packets")
    path = folder.path_of(tmp_path / "packets", swap_id)
    row = expired(await get(rooms.store, swap_id))
    await packets.keep(row)
    assert path.exists(), packets.trouble
    async with rooms.store.write() as writing:
        await writing.set_effect(effect.id, EffectState.VOID)
    await packets.keep(row)
    assert not path.exists()
    assert not packets.trouble


@pytest.mark.parametrize("mode", [0o755, 0o730, 0o703])
def test_a_folder_that_others_may_look_into_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "packets"
    require_writable(path)
    path.chmod(mode)
    with pytest.raises(Invalid, match="chmod 700"):
        require_writable(path)
    path.chmod(0o700)
    require_writable(path)
