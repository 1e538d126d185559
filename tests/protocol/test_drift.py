"""Clocks that are apart: what is still taken for granted, and what one wrong clock can do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.protocol.decide import Clocks, Memory, decide
from swapd.protocol.drift import drift
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView
from swapd.protocol.status import Status
from tests.protocol.world import CONFIRMATIONS, START, make_swap, profile

CHAIN = replace(profile("a"), clock_ahead=30, clock_behind=100)
SLACK = 60
HOURS = 6 * 3_600
LOCKED = LegView(LegState.LOCKED, CONFIRMATIONS)


@pytest.mark.parametrize("away", [90, 0, -160])
def test_clocks_as_far_apart_as_plans_allow_for_fit(away: int) -> None:
    assert drift(CHAIN, START, START + away, SLACK) == ""


@pytest.mark.parametrize(("away", "words"), [(91, "91 s behind a's"), (-161, "a's clock is 161 s behind")])
def test_one_second_more_is_said_with_what_to_do(away: int, words: str) -> None:
    said = drift(CHAIN, START, START + away, SLACK)
    assert words in said
    assert "NTP" in said


@given(st.integers(-HOURS, HOURS))
def test_our_own_clock_alone_never_calls_a_swap_off(error: int) -> None:
    swap = make_swap()
    clocks = Clocks(START + error, START, START)
    for views in ((ABSENT_VIEW, ABSENT_VIEW), (LOCKED, ABSENT_VIEW), (LOCKED, LOCKED)):
        decided = decide(swap, *views, Memory(), clocks, True)
        assert decided.status not in (Status.EXPIRED, Status.REFUNDING)
        assert not [effect for effect in decided.effects if effect.kind is EffectKind.REFUND]


@given(st.integers(1, HOURS))
def test_s3_no_clock_that_is_late_lets_a_lock_or_the_secret_out_too_late(late: int) -> None:
    """Whichever of the three it is: the furthest one counts."""
    swap = make_swap()
    for now, first, second in ((0, late, late), (late, 0, late), (late, late, 0)):
        over = Clocks(*(swap.initiator.lock_by + late - each for each in (now, first, second)))
        assert "lock:initiator" not in _keys(decide(swap, ABSENT_VIEW, ABSENT_VIEW, Memory(), over, True).effects)
        over = Clocks(*(swap.reveal_by + late - each for each in (now, first, second)))
        assert not [e for e in decide(swap, LOCKED, LOCKED, Memory(), over, True).effects if e.reveals]


def _keys(effects: object) -> list[str]:
    return [effect.key for effect in effects]  # type: ignore[attr-defined]
