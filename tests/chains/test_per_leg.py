"""What a chain makes of a leg is made once, and anew for one that has changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from swapd.chains.base import WatchedLeg
from swapd.chains.per_leg import AT_ONCE, PerLeg
from tests.chains.test_quorum import LEG


async def test_it_is_made_once_for_each_leg_and_anew_for_one_that_has_changed() -> None:
    made: list[int] = []

    def make(leg: WatchedLeg) -> int:
        made.append(leg.birth)
        return leg.birth

    per_leg = PerLeg(make)
    old, other = replace(LEG, birth=1), replace(LEG, birth=2)
    assert await per_leg.of([old, other]) == [(old, 1), (other, 2)]
    assert await per_leg.of([other, old]) == [(other, 2), (old, 1)], "in the order that was asked for"
    assert made == [1, 2]
    new = replace(old, birth=3)
    assert await per_leg.of([new, other]) == [(new, 3), (other, 2)]
    assert made == [1, 2, 3]


async def test_what_was_not_asked_for_is_forgotten() -> None:
    """Else it would keep every leg there ever was."""
    per_leg = PerLeg(lambda leg: leg.birth)
    await per_leg.of([LEG])
    assert await per_leg.of([]) == []
    assert not per_leg._made


async def test_others_get_their_turn_while_it_is_made_of_many() -> None:
    made: list[int] = []
    legs = [replace(LEG, birth=number) for number in range(3 * AT_ONCE)]
    look = asyncio.create_task(PerLeg(lambda leg: made.append(leg.birth)).of(legs))
    seen = []
    while not look.done():
        seen.append(len(made))
        await asyncio.sleep(0)
    assert seen[:4] == [0, AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE]
