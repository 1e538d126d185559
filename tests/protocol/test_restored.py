"""A memory that came out of a backup: what it says was not sent may have been sent (rules S2, S4, S6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapd.protocol.decide import Clocks, Decision, Memory, decide
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import ABSENT_VIEW, UNKNOWN_VIEW, LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SecretHolder, SwapTerms, Wallet
from tests.protocol.test_decide_properties import (
    BROKER,
    KINDS,
    Story,
    check_every_act,
    honest_side_kept_whole,
    moves,
    skews,
)
from tests.protocol.world import CONFIRMATIONS, START, Tx, World, make_swap

LOCKED = LegView(LegState.LOCKED, CONFIRMATIONS)
BACK = LegView(LegState.REFUNDED, CONFIRMATIONS)
SEEN = LegView(LegState.SEEN)
RESTORED = Memory(restored=True)
INITIATING = make_swap()
PARTICIPATING = make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)
KNOWING = make_swap(SecretHolder.SELF, Wallet.EXTERNAL, Wallet.HOT)


def decided(swap: SwapTerms, initiator: LegView, participant: LegView, now: int, memory: Memory = RESTORED) -> Decision:
    return decide(swap, initiator, participant, memory, Clocks(now, now, now), True)


def wanted(*asked: Any) -> set[str]:
    return {effect.key for effect in decided(*asked).effects}


@pytest.mark.parametrize(("swap", "initiator"), [(INITIATING, ABSENT_VIEW), (PARTICIPATING, LOCKED), (KNOWING, LOCKED)])
def test_s4_a_lock_that_a_backup_knows_nothing_of_is_never_made(swap: SwapTerms, initiator: LegView) -> None:
    assert wanted(swap, initiator, ABSENT_VIEW, START, Memory()) != set(), "without a backup it would be"
    assert wanted(swap, initiator, ABSENT_VIEW, START) == set()


def test_s4_a_lock_that_a_backup_knows_to_be_sent_is_kept_up() -> None:
    sent = Memory(restored=True, lock_sent=frozenset({Role.INITIATOR}))
    for view in (ABSENT_VIEW, SEEN):
        assert wanted(INITIATING, view, ABSENT_VIEW, START, sent) == {"lock:initiator"}


def test_s4_nobody_is_asked_to_fund_a_leg_that_swapd_will_not_answer() -> None:
    assert decided(INITIATING, ABSENT_VIEW, ABSENT_VIEW, START).status is Status.PROPOSED
    assert decided(KNOWING, ABSENT_VIEW, ABSENT_VIEW, START).status is Status.PROPOSED
    assert decided(make_swap(*BROKER), ABSENT_VIEW, ABSENT_VIEW, START).status is Status.ACCEPTED
    over = KNOWING.initiator.terms.fund_by + 1
    assert decided(KNOWING, ABSENT_VIEW, ABSENT_VIEW, over).status is Status.EXPIRED
    assert decided(KNOWING, LOCKED, ABSENT_VIEW, START).status is Status.REFUNDING, "it goes back at its timelock"


def test_s4_a_lock_that_turns_up_after_all_is_the_leg() -> None:
    assert decided(INITIATING, LOCKED, ABSENT_VIEW, START).status is Status.INITIATOR_LOCKED
    assert decided(PARTICIPATING, LOCKED, LOCKED, START).status is Status.PARTICIPANT_LOCKED


def test_s2_a_claim_that_may_have_shown_the_secret_is_sent_again_while_there_is_time() -> None:
    """To stand still would be worse: who saw the secret could take its refund, and then our leg."""
    before, after = INITIATING.reveal_by, INITIATING.reveal_by + 1
    (claim,) = decided(INITIATING, LOCKED, LOCKED, before).effects
    assert claim == Effect(EffectKind.CLAIM, Role.PARTICIPANT, INITIATING.reveal_by, reveals=True)
    assert wanted(INITIATING, LOCKED, LOCKED, after) == set(), "S2: what was not shown in time is not shown late"


def test_s2_a_called_off_swap_stays_called_off() -> None:
    off = Memory(restored=True, expired=True)
    assert wanted(INITIATING, LOCKED, LOCKED, INITIATING.reveal_by, off) == set()


@pytest.mark.parametrize("own", [LOCKED, UNKNOWN_VIEW, LegView(LegState.REFUNDED, 1)])
def test_s6_what_pays_for_our_leg_is_kept_until_that_is_back_if_the_secret_may_be_out(own: LegView) -> None:
    due = INITIATING.initiator.terms.timelock
    assert "refund:participant" in wanted(INITIATING, own, LOCKED, due, Memory())
    assert "refund:participant" not in wanted(INITIATING, own, LOCKED, due)
    assert "refund:participant" in wanted(INITIATING, BACK, LOCKED, due)


def test_s5_a_stranger_is_refunded_at_once_where_the_secret_can_not_have_been_shown() -> None:
    """Ours is shown only when both legs are final, and one of them is not even there."""
    assert wanted(KNOWING, LOCKED, ABSENT_VIEW, KNOWING.initiator.terms.timelock) == {"refund:initiator"}
    assert wanted(INITIATING, ABSENT_VIEW, LOCKED, INITIATING.participant.terms.timelock) == {"refund:participant"}


def test_s6_the_initiator_gets_nothing_back_from_us_while_our_own_lock_may_still_come() -> None:
    due = PARTICIPATING.initiator.terms.timelock
    assert wanted(PARTICIPATING, LOCKED, ABSENT_VIEW, due, Memory()) == {"refund:initiator"}
    assert wanted(PARTICIPATING, LOCKED, ABSENT_VIEW, due) == set()


def test_s5_our_own_leg_is_refunded_when_it_is_due_whatever_a_backup_knows() -> None:
    assert wanted(PARTICIPATING, LOCKED, LOCKED, PARTICIPATING.participant.terms.timelock) == {"refund:participant"}


class Restoring(Story):
    """In the middle of its life swapd gets back the memory that it had some time before; what it had sent and nobody
    mined is lost from every mempool, and may come back at any time later."""

    def restore(self, memory: Memory) -> list[Tx]:
        self.world.memory = replace(memory, restored=True)
        lost = []
        for chain in self.world.chains.values():
            # a claim that is out is seen again: nodes and people who have it send it on
            gone = [tx for tx in chain.mempool if tx.by == "swapd" and tx.kind is EffectKind.LOCK]
            chain.mempool = [tx for tx in chain.mempool if tx not in gone]
            lost += gone
        return lost


def play(kind: tuple[Any, ...], skew: tuple[int, int], before: Any, between: Any, after: Any, late: int) -> World:
    story = Restoring(kind, skew)
    world = story.world
    world.poll()
    story.play(before, silence=0)
    backup = world.memory
    story.play(between, silence=0)
    lost = story.restore(backup)
    since = len(world.done)
    story.play(after, silence=late)
    for tx in lost:
        world.chains[tx.role].send(tx)
    story.play([], silence=160)
    for effect, _, _ in world.done[since:]:
        if effect.kind is EffectKind.LOCK:
            assert effect.role in backup.lock_sent, "S4: a second lock"
    return world


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(before=moves, between=moves, after=moves, late=st.integers(0, 60), skew=skews)
def test_s4_honest_side_is_whole_after_an_old_backup(kind, before, between, after, late, skew) -> None:  # type: ignore[no-untyped-def]
    world = play(kind, skew, before[:6], between[:6], after[:6], late)
    check_every_act(world)
    honest_side_kept_whole(world)


def test_s4_the_proof_can_fail_without_the_mark() -> None:
    """The same old memory, taken for the whole truth, locks again while the first lock may still come."""
    world = World(make_swap())
    backup = world.memory
    world.poll()
    chain = world.chains[Role.INITIATOR]
    chain.mempool.clear()
    world.memory = backup
    assert [effect.key for effect in world.ask().effects] == ["lock:initiator"]
    world.memory = replace(backup, restored=True)
    assert world.ask().effects == ()
