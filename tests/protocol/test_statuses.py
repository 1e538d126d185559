"""The table of statuses: `decide` keeps to it while chains grow and swapd looks at every block."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapd.protocol.status import ENDED, MEANING, TRANSITIONS, Status, mermaid
from swapd.protocol.terms import SecretHolder, Wallet
from tests.protocol.test_decide_properties import (
    BROKER,
    HOUSE_INITIATES,
    HOUSE_PARTICIPATES,
    HOUSE_PARTICIPATES_KNOWING,
    KINDS,
    Story,
    skews,
)
from tests.protocol.world import World

ACTS = ["lock", "lock early", "claim", "refund", "halt", "cancel"]

scripts = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(ACTS), st.sampled_from(["swapd", "other"])), max_size=8
)

ALL_HOT = (SecretHolder.SELF, Wallet.HOT, Wallet.HOT)
STILL = (0, 0)


class CalmStory(Story):
    """No reorg, no sleep, no blindness. A halt lasts until the next one; people cancel what has not begun."""

    halted = False

    def act(self, action: str, first: str) -> None:
        if action == "halt":
            self.halted = not self.halted
        if action == "cancel":
            self.cancel()
        super().act(
            "halt" if self.halted and action not in ("lock", "lock early", "claim", "refund") else action, first
        )

    def cancel(self) -> None:
        memory = self.world.memory
        if self.world.status in (Status.PROPOSED, Status.ACCEPTED) and not (memory.lock_sent or memory.locked_once):
            self.world.memory = replace(memory, cancelled=True)


def changes(world: World) -> list[tuple[Status, Status]]:
    """What followed on what, from proposed on."""
    return [(before, after) for before, after in pairwise([Status.PROPOSED, *world.statuses]) if before is not after]


@settings(max_examples=600, deadline=None)
@given(kind=st.sampled_from(KINDS), script=scripts, skew=skews)
def test_no_status_follows_another_than_the_table_says(kind: tuple[Any, ...], script: Any, skew: Any) -> None:
    assert set(changes(CalmStory(kind, skew).play(script))) <= set(TRANSITIONS)


HAPPENS = [
    # who does what, and which of the table's lines that shows
    (ALL_HOT, [], "proposed accepted initiator_locked participant_locked redeeming completed"),
    (HOUSE_INITIATES, [], "proposed accepted initiator_locked refunding refunded"),
    (BROKER, [], "proposed accepted expired"),
    (BROKER, [(0, "halt", "other")], "proposed expired"),
    (BROKER, [(1, "halt", "other")], "proposed accepted proposed expired"),
    (BROKER, [(0, "cancel", "other")], "proposed cancelled"),
    (BROKER, [(1, "cancel", "other")], "proposed accepted cancelled"),
    (HOUSE_PARTICIPATES, [(0, "cancel", "other"), (0, "lock", "other")], "proposed cancelled refunding refunded"),
    (HOUSE_PARTICIPATES, [(9, "lock", "other")], "proposed accepted expired refunding refunded"),
    (
        HOUSE_INITIATES,
        [(0, "halt", "other"), (5, "lock early", "other")],
        "proposed accepted refunding refunded",
    ),
    (
        HOUSE_PARTICIPATES,
        [(1, "lock", "other")],
        "proposed accepted initiator_locked participant_locked refunding refunded",
    ),
    (
        HOUSE_INITIATES,
        [(24, "lock early", "other")],
        "proposed accepted initiator_locked refunding participant_locked refunding refunded",
    ),
    (
        HOUSE_PARTICIPATES,
        [(9, "lock", "other"), (0, "claim", "other")],
        "proposed accepted expired refunding redeeming failed",
    ),
    # both look late: what happened meanwhile is told in one step
    (
        HOUSE_PARTICIPATES_KNOWING,
        [(0, "lock early", "swapd")],
        "proposed initiator_locked participant_locked redeeming completed",
    ),
    (HOUSE_INITIATES, [(1, "lock early", "other")], "proposed accepted participant_locked redeeming completed"),
    (BROKER, [(0, "lock early", "swapd")], "proposed participant_locked redeeming completed"),
    # a secret holder who claims before anything is locked against it gives its money away
    (HOUSE_PARTICIPATES, [(1, "claim", "other"), (0, "lock early", "other")], "proposed accepted redeeming failed"),
    (
        HOUSE_PARTICIPATES,
        [(1, "halt", "other"), (0, "claim", "swapd"), (1, "lock early", "other")],
        "proposed accepted proposed accepted proposed redeeming failed",
    ),
    (
        HOUSE_PARTICIPATES,
        [(1, "lock", "swapd"), (2, "claim", "swapd")],
        "proposed accepted initiator_locked redeeming completed",
    ),
    (
        HOUSE_PARTICIPATES,
        [(24, "claim", "swapd"), (24, "lock", "swapd")],
        "proposed accepted expired redeeming failed",
    ),
    (
        HOUSE_PARTICIPATES,
        [(1, "cancel", "swapd"), (9, "claim", "other"), (24, "lock early", "swapd")],
        "proposed accepted cancelled redeeming failed",
    ),
    # late money of a swap that was over already
    (
        BROKER,
        [(30, "halt", "swapd"), (24, "lock", "swapd"), (30, "lock early", "swapd")],
        "proposed accepted expired refunding refunded refunding refunded",
    ),
    # a lock later than its own timelock, with the claim waiting for it: the refund is due at once, and may win
    (
        HOUSE_PARTICIPATES,
        [(30, "refund", "other"), (30, "claim", "other"), (30, "lock", "other")],
        "proposed accepted expired redeeming refunded",
    ),
]


@pytest.mark.parametrize(("kind", "script", "told"), HAPPENS)
def test_a_story_is_told_in_these_statuses(kind: tuple[Any, ...], script: Any, told: str) -> None:
    world = CalmStory(kind, STILL).play(script)
    assert " ".join(["proposed", *(after.value for _, after in changes(world))]) == told


def test_every_line_of_the_table_is_in_one_of_these_stories() -> None:
    shown = {pair for _, _, told in HAPPENS for pair in pairwise(told.split())}
    assert {(before.value, after.value) for before, after in TRANSITIONS} - shown == set()


def test_every_status_has_a_meaning_and_can_be_reached() -> None:
    assert set(MEANING) == set(Status)
    assert {after for _, after in TRANSITIONS} | {Status.PROPOSED} == set(Status)


@pytest.mark.parametrize("status", Status)
def test_a_status_has_ended_if_nothing_is_left_to_do(status: Status) -> None:
    assert status.ended is (status in ENDED)
    assert status.ended or any(before is status for before, _ in TRANSITIONS)


def test_the_diagram_has_each_line_of_the_table_once() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    assert sorted(lines[1:]) == sorted(
        ["[*] --> proposed"]
        + [f"{before.value} --> {after.value}" for before, after in TRANSITIONS]
        + [f"{status.value} --> [*]" for status in ENDED]
    )
