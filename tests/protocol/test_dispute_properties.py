"""Disputes at any moment, decided in any way, against another party that agrees to what suits it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapd.errors import Invalid
from swapd.protocol.decide import may_consent, may_force
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, Wallet
from tests.protocol.test_decide_properties import (
    ACTS,
    HOUSE_INITIATES,
    HOUSE_PARTICIPATES,
    KINDS,
    Story,
    check_every_act,
    honest_side_kept_whole,
    skews,
)
from tests.protocol.world import CONFIRMATIONS, Tx, World

PEOPLE = ["dispute", "resume", "force", "agree"]
moves = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from([*ACTS, *PEOPLE, *PEOPLE]), st.sampled_from(["swapd", "other"])),
    max_size=14,
)


class Disputed(Story):
    """`agree`: the other party signs that its legs go back, whatever it means by it. swapd signs for its own as the
    coordinator does: at every look, where `may_consent` allows it; and the other party uses that at once."""

    def act(self, action: str, first: str) -> None:
        world = self.world
        match action:
            case "dispute" if not world.status.ended and not world.memory.forced:
                world.memory = replace(world.memory, frozen=True)
            case "resume":
                world.memory = replace(world.memory, frozen=False)
            case "force" if world.memory.frozen and self._may_force():
                world.memory = replace(world.memory, frozen=False, forced=True)
            case "agree" if world.memory.forced:
                self._agree(Wallet.EXTERNAL)
        super().act(action, first)
        if world.memory.forced and not world.blind:
            self._agree(Wallet.HOT)
            for role, chain in world.chains.items():
                if chain.given_back and world.swap.leg(role).funded_by is Wallet.EXTERNAL:
                    chain.send(Tx(role, EffectKind.REFUND, "other"))

    def _may_force(self) -> bool:
        world = self.world
        try:
            may_force(world.swap, world.views(), world.memory, world.clocks())
        except Invalid:
            return False
        return not world.blind

    def _agree(self, receiver: Wallet) -> None:
        world = self.world
        for leg in world.swap.legs:
            if leg.claimed_by is not receiver:
                continue
            if receiver is Wallet.HOT:
                try:
                    may_consent(world.swap, leg.role, world.views(), world.memory, world.clocks())
                except Invalid:
                    continue
            world.chains[leg.role].given_back = True
            world.memory = replace(world.memory, consented=world.memory.consented | {leg.role})


def went_forward(world: World, since: int) -> list[Any]:
    """Of what swapd did from its n-th act on: new locks, and the secret shown."""
    return [effect for effect, *_ in world.done[since:] if effect.kind is EffectKind.LOCK or effect.reveals]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(script=moves, skew=skews)
def test_s6_nobody_is_worse_off_by_a_dispute(kind, script, skew) -> None:  # type: ignore[no-untyped-def]
    world = Disputed(kind, skew).play(script)
    check_every_act(world)
    honest_side_kept_whole(world)


@pytest.mark.parametrize("kind", [HOUSE_INITIATES, HOUSE_PARTICIPATES])
@settings(max_examples=200, deadline=None)
@given(script=moves, skew=skews)
def test_s2_while_it_is_frozen_and_after_it_was_forced_nothing_goes_forward(kind, script, skew) -> None:  # type: ignore[no-untyped-def]
    story = Disputed(kind, skew)
    for passing, action, first in script:
        for act in [*["nothing"] * passing, action]:
            stopped, since = story.world.memory.frozen or story.world.memory.forced, len(story.world.done)
            revealed = story.world.memory.reveal_sent
            story.act(act, first)
            if stopped and act != "resume" and not revealed:
                assert went_forward(story.world, since) == []


@settings(max_examples=100, deadline=None)
@given(script=moves, skew=skews)
def test_a_forced_swap_comes_to_its_end(script, skew) -> None:  # type: ignore[no-untyped-def]
    story = Disputed(HOUSE_INITIATES, skew)
    for move in script:
        story.act(move[1], move[2])
    story.act("dispute", "swapd")
    story.act("force", "swapd")
    forced = story.world.memory.forced
    world = story.play([])
    assert world.status.ended, world.statuses[-5:]
    if forced:
        assert world.status in (Status.REFUNDED, Status.CANCELLED, Status.EXPIRED)


def test_both_agree_and_both_have_their_money_long_before_the_timelocks() -> None:
    story = Disputed(HOUSE_INITIATES, (0, 0))
    for _ in range(CONFIRMATIONS + 2):
        story.act("nothing", "swapd")
    for action in ("lock", "dispute", "force", "agree"):
        story.act(action, "swapd")
    for _ in range(CONFIRMATIONS + 2):
        story.act("nothing", "swapd")
    world = story.world
    assert {chain.state()[0] for chain in world.chains.values()} == {LegState.REFUNDED}
    assert world.status is Status.REFUNDED
    assert world.now < world.swap.participant.terms.timelock


def test_the_proof_can_fail_without_s6() -> None:
    """Who gives back what pays for a leg that the other one can still claim loses it: the world can tell."""
    story = Disputed(HOUSE_PARTICIPATES, (0, 0))
    story.act("lock", "swapd")
    for _ in range(2 * CONFIRMATIONS + 2):
        story.act("nothing", "swapd")
    world = story.world
    assert world.chains[Role.PARTICIPANT].state()[0] is LegState.LOCKED
    first = world.chains[Role.INITIATOR]
    first.given_back = True  # too early: our own leg is not back
    first.send(Tx(Role.INITIATOR, EffectKind.REFUND, "other"))
    story.act("nothing", "other")
    story.act("claim", "other")
    for _ in range(10):
        story.act("nothing", "other")
    with pytest.raises(AssertionError, match="got nothing"):
        honest_side_kept_whole(world)
