"""What a chain makes of a leg is made once, and anew for one that has changed."""

from __future__ import annotations

from dataclasses import replace

from swapd.chains.base import WatchedLeg
from swapd.chains.per_leg import PerLeg
from tests.chains.test_quorum import LEG


def test_it_is_made_once_for_each_leg_and_anew_for_one_that_has_changed() -> None:
    made: list[int] = []

    def make(leg: WatchedLeg) -> int:
        made.append(leg.birth)
        return leg.birth

    per_leg = PerLeg(make)
    old, other = replace(LEG, birth=1), replace(LEG, birth=2)
    assert per_leg.of([old, other]) == [(old, 1), (other, 2)]
    assert per_leg.of([other, old]) == [(other, 2), (old, 1)], "in the order that was asked for"
    assert made == [1, 2]
    new = replace(old, birth=3)
    assert per_leg.of([new, other]) == [(new, 3), (other, 2)]
    assert made == [1, 2, 3]


def test_what_was_not_asked_for_is_forgotten() -> None:
    """Else it would keep every leg there ever was."""
    per_leg = PerLeg(lambda leg: leg.birth)
    per_leg.of([LEG])
    assert per_leg.of([]) == []
    assert not per_leg._made
