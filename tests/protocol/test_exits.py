"""Exits that other exits depend on (rules S5 and S6), one situation at a time."""

from __future__ import annotations

import pytest

from swapd.protocol.decide import Clocks, Memory, decide
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import UNKNOWN_VIEW, LegState, LegView
from swapd.protocol.terms import Role, SecretHolder, SwapTerms, Wallet
from tests.protocol.world import CONFIRMATIONS, PREIMAGE, make_swap

LOCKED = LegView(LegState.LOCKED, CONFIRMATIONS)
BACK = LegView(LegState.REFUNDED, CONFIRMATIONS)
PENDING_CLAIM = LegView(LegState.CLAIMED, 0, PREIMAGE)
PENDING_REFUND = LegView(LegState.REFUNDED, 0)
PARTICIPATING = make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)
INITIATING = make_swap()


def wanted(
    swap: SwapTerms, initiator: LegView, participant: LegView, now: int, memory: Memory | None = None
) -> set[str]:
    clocks = Clocks(now, now, now)
    return {effect.key for effect in decide(swap, initiator, participant, memory or Memory(), clocks, True).effects}


@pytest.mark.parametrize("own", [LOCKED, PENDING_REFUND, UNKNOWN_VIEW, LegView(LegState.REFUNDED, 1)])
def test_s6_what_pays_for_our_own_leg_is_not_given_back_while_that_may_be_taken(own: LegView) -> None:
    """The initiator, late, would get its money back from us and then claim our leg: only it knows the secret."""
    after = PARTICIPATING.initiator.terms.timelock + 1
    assert "refund:initiator" not in wanted(PARTICIPATING, LOCKED, own, after)


def test_s5_and_it_is_given_back_once_our_own_leg_is() -> None:
    after = PARTICIPATING.initiator.terms.timelock + 1
    assert wanted(PARTICIPATING, LOCKED, BACK, after) == {"refund:initiator"}


def test_s5_a_stranger_who_trusted_us_is_refunded_at_once_when_nobody_can_know_the_secret() -> None:
    after = INITIATING.participant.terms.timelock
    assert "refund:participant" in wanted(INITIATING, LOCKED, LOCKED, after)


@pytest.mark.parametrize("pending", [PENDING_CLAIM, PENDING_REFUND])
def test_s5_a_due_refund_of_our_own_leg_is_kept_up_against_whatever_is_only_pending(pending: LegView) -> None:
    after = PARTICIPATING.participant.terms.timelock
    assert "refund:participant" in wanted(PARTICIPATING, LOCKED, pending, after)


def test_s6_our_claim_is_kept_up_until_it_is_in_a_block() -> None:
    sent = Memory(reveal_sent=True)
    assert "claim:participant" in wanted(INITIATING, LOCKED, PENDING_CLAIM, INITIATING.reveal_by + 1, sent)


def test_s6_a_claim_in_a_block_is_left_alone() -> None:
    mined = LegView(LegState.CLAIMED, 1, PREIMAGE)
    assert "claim:participant" not in wanted(INITIATING, LOCKED, mined, INITIATING.reveal_by + 1)


def test_our_own_lock_is_kept_up_while_it_is_pending_and_nobody_elses() -> None:
    seen, absent = LegView(LegState.SEEN), LegView(LegState.ABSENT)
    now = INITIATING.created_at
    assert wanted(INITIATING, seen, absent, now, Memory(lock_sent=frozenset({Role.INITIATOR}))) == {"lock:initiator"}
    assert wanted(INITIATING, seen, absent, now) == set()


def test_s3_a_pending_lock_of_ours_is_pushed_until_it_would_come_too_late_and_no_new_one_is_sent_then() -> None:
    seen, absent = LegView(LegState.SEEN), LegView(LegState.ABSENT)
    leg, sent = INITIATING.initiator, Memory(lock_sent=frozenset({Role.INITIATOR}))
    assert leg.lock_by < leg.terms.fund_by
    late = leg.lock_by + 1
    assert wanted(INITIATING, seen, absent, late, sent) == {"lock:initiator"}
    assert wanted(INITIATING, seen, absent, leg.terms.fund_by, sent) == {"lock:initiator"}
    assert wanted(INITIATING, seen, absent, leg.terms.fund_by + 1, sent) == set()
    assert wanted(INITIATING, absent, absent, late, sent) == set(), "nobody has it: it is not begun again"
    assert wanted(INITIATING, absent, absent, late) == set()


def test_deadlines_say_how_urgent_a_refund_is() -> None:
    """Nobody can claim without the secret: then a refund may be cheap. A rival makes it urgent."""
    after = INITIATING.initiator.terms.timelock
    clocks = Clocks(after, after, after)
    (patient,) = decide(INITIATING, LOCKED, LegView(LegState.ABSENT), Memory(), clocks, True).effects
    (urgent,) = decide(PARTICIPATING, LegView(LegState.ABSENT), LOCKED, Memory(), clocks, True).effects
    assert patient.kind is urgent.kind is EffectKind.REFUND
    assert patient.deadline > INITIATING.initiator.terms.timelock
    assert urgent.deadline == PARTICIPATING.participant.terms.timelock
