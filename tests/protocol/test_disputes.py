"""A dispute stops what goes forward and nothing that goes back, whoever holds the secret (rules S2, S5, S6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.errors import Invalid
from swapd.protocol.decide import Clocks, Decision, Memory, decide, may_consent, may_force
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SecretHolder, SwapTerms, Wallet
from tests.protocol.world import CONFIRMATIONS, PREIMAGE, START, make_swap

LOCKED = LegView(LegState.LOCKED, CONFIRMATIONS)
BACK = LegView(LegState.REFUNDED, CONFIRMATIONS)
CLAIMED = LegView(LegState.CLAIMED, CONFIRMATIONS, preimage=PREIMAGE)
ALMOST_BACK = LegView(LegState.REFUNDED, CONFIRMATIONS - 1)
INITIATING = make_swap()
PARTICIPATING = make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)

FROZEN = Memory(frozen=True)
FORCED = Memory(forced=True)
SENT = frozenset({Role.INITIATOR})


def decided(swap: SwapTerms, initiator: LegView, participant: LegView, memory: Memory, now: int = START) -> Decision:
    return decide(swap, initiator, participant, memory, Clocks(now, now, now), True)


def wanted(swap: SwapTerms, initiator: LegView, participant: LegView, memory: Memory, now: int = START) -> set[str]:
    return {effect.key for effect in decided(swap, initiator, participant, memory, now).effects}


def consents(swap: SwapTerms, role: Role, initiator: LegView, participant: LegView, memory: Memory) -> bool:
    views = {Role.INITIATOR: initiator, Role.PARTICIPANT: participant}
    try:
        may_consent(swap, role, views, memory, Clocks(START, START, START))
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("memory", [FROZEN, FORCED])
@pytest.mark.parametrize(
    ("swap", "initiator", "participant"),
    [
        (INITIATING, ABSENT_VIEW, ABSENT_VIEW),
        (INITIATING, LOCKED, LOCKED),
        (PARTICIPATING, LOCKED, ABSENT_VIEW),
    ],
)
def test_s2_nothing_goes_forward(swap: SwapTerms, initiator: LegView, participant: LegView, memory: Memory) -> None:
    assert wanted(swap, initiator, participant, Memory()) != set(), "without a dispute something would"
    assert wanted(swap, initiator, participant, memory) == set()


def test_a_lock_that_is_not_in_a_block_yet_is_not_kept_up() -> None:
    seen, sent = LegView(LegState.SEEN), Memory(lock_sent=SENT)
    assert wanted(INITIATING, seen, ABSENT_VIEW, sent) == {"lock:initiator"}
    assert wanted(INITIATING, seen, ABSENT_VIEW, replace(sent, frozen=True)) == set()


@pytest.mark.parametrize("memory", [FROZEN, FORCED])
def test_s5_what_is_due_goes_back(memory: Memory) -> None:
    late = INITIATING.initiator.terms.timelock
    assert wanted(INITIATING, LOCKED, LOCKED, memory, late) == {"refund:initiator", "refund:participant"}


@pytest.mark.parametrize("memory", [FROZEN, FORCED])
def test_s6_a_secret_that_is_out_is_used(memory: Memory) -> None:
    assert "claim:initiator" in wanted(PARTICIPATING, LOCKED, CLAIMED, memory)
    assert "claim:participant" in wanted(INITIATING, LOCKED, LOCKED, replace(memory, reveal_sent=True))


def test_frozen_is_no_end_and_forced_is_one() -> None:
    assert decided(INITIATING, LOCKED, LOCKED, FROZEN).status is Status.PARTICIPANT_LOCKED
    assert decided(INITIATING, LOCKED, LOCKED, FORCED).status is Status.REFUNDING
    assert decided(INITIATING, ABSENT_VIEW, ABSENT_VIEW, FORCED).status is Status.CANCELLED
    assert decided(INITIATING, BACK, BACK, FORCED).status is Status.REFUNDED


def test_with_the_receivers_consent_a_leg_goes_back_before_its_timelock() -> None:
    agreed = replace(FORCED, consented=frozenset({Role.INITIATOR}))
    assert wanted(INITIATING, LOCKED, BACK, agreed) == {"refund:initiator"}
    assert wanted(INITIATING, LOCKED, LOCKED, replace(agreed, consented=frozenset(Role))) == {
        "refund:initiator",
        "refund:participant",
    }


def test_a_consent_alone_decides_nothing() -> None:
    """Somebody has to want it: a dispute handler."""
    assert "refund:initiator" not in wanted(INITIATING, LOCKED, BACK, Memory(consented=frozenset({Role.INITIATOR})))


def test_s6_a_consent_is_worth_nothing_once_the_secret_is_out() -> None:
    agreed = replace(FORCED, consented=frozenset(Role))
    assert wanted(INITIATING, LOCKED, LOCKED, replace(agreed, reveal_sent=True)) == {"claim:participant"}
    assert "refund:initiator" not in wanted(PARTICIPATING, LOCKED, CLAIMED, agreed)


def test_s6_who_holds_the_secret_gives_the_other_leg_back_first() -> None:
    assert consents(INITIATING, Role.PARTICIPANT, LOCKED, LOCKED, FORCED)


@pytest.mark.parametrize("own", [LOCKED, ALMOST_BACK, LegView(LegState.UNKNOWN), LegView(LegState.SEEN)])
def test_s6_who_does_not_hold_it_gives_nothing_back_before_its_own_leg_is_back(own: LegView) -> None:
    """The initiator may show the secret at any moment, and take our leg with it."""
    assert not consents(PARTICIPATING, Role.INITIATOR, LOCKED, own, FORCED)
    assert consents(PARTICIPATING, Role.INITIATOR, LOCKED, BACK, FORCED)


def test_s6_a_lock_that_was_sent_and_is_not_seen_may_still_come() -> None:
    sent = replace(FORCED, lock_sent=frozenset({Role.PARTICIPANT}))
    assert consents(PARTICIPATING, Role.INITIATOR, LOCKED, ABSENT_VIEW, FORCED)
    assert not consents(PARTICIPATING, Role.INITIATOR, LOCKED, ABSENT_VIEW, sent)


def test_what_was_given_back_is_not_taken_when_our_own_leg_is_back() -> None:
    agreed = replace(FORCED, consented=frozenset({Role.INITIATOR}), preimage=PREIMAGE)
    assert wanted(PARTICIPATING, LOCKED, BACK, agreed) == set()
    assert "claim:initiator" in wanted(PARTICIPATING, LOCKED, LOCKED, agreed), "ours is not back: this is what pays it"


def test_nobody_consents_for_somebody_else_or_without_a_decision() -> None:
    assert not consents(INITIATING, Role.INITIATOR, LOCKED, LOCKED, FORCED)
    assert not consents(INITIATING, Role.PARTICIPANT, LOCKED, LOCKED, Memory())


@pytest.mark.parametrize("memory", [Memory(reveal_sent=True), Memory(preimage=PREIMAGE)])
def test_s6_a_refund_is_not_forced_when_the_secret_is_out(memory: Memory) -> None:
    views = {Role.INITIATOR: LOCKED, Role.PARTICIPANT: LOCKED}
    may_force(INITIATING, views, Memory(), Clocks(START, START, START))
    with pytest.raises(Invalid, match="S6"):
        may_force(INITIATING, views, memory, Clocks(START, START, START))


def test_after_a_resume_it_goes_on_if_there_is_time() -> None:
    assert wanted(INITIATING, LOCKED, LOCKED, Memory()) == {"claim:participant"}
    assert wanted(INITIATING, LOCKED, LOCKED, Memory(), INITIATING.reveal_by + 1) == set()
