"""The timelock policy: quantiles against other ways to compute them, and plans that keep every order they promise."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import (
    HOT_STARTS,
    LONGEST_TIMELOCK,
    QUANTILE,
    Arrival,
    LegTiming,
    Plan,
    TimingProfile,
    check_times,
    gamma_quantile,
    plan,
    slots_quantile,
)
from tests.protocol.world import HASHLOCK

NOW = 1_800_000_000

MARGINS = ("inclusion", "clock_ahead", "clock_behind", "funding_window", "outage")
MOMENTS = (
    "initiator_lock_by",
    "initiator_fund_by",
    "participant_lock_by",
    "participant_fund_by",
    "reveal_by",
    "participant_timelock",
    "initiator_timelock",
)

seconds = st.integers(0, 20_000)
wallets = st.sampled_from(Wallet)


@st.composite
def profiles(draw: st.DrawFn, chain: str) -> TimingProfile:
    arrival = draw(st.sampled_from(Arrival))
    return TimingProfile(
        chain=chain,
        arrival=arrival,
        block_seconds=draw(st.floats(0.1, 900)),
        missed_share=draw(st.floats(0, 0.3)) if arrival is Arrival.SLOTS else 0.0,
        inclusion=draw(st.integers(1, 10_000)),
        clock_ahead=draw(seconds),
        clock_behind=draw(seconds),
        funding_window=draw(st.integers(1, 20_000)),
        outage=draw(seconds),
    )


@st.composite
def timings(draw: st.DrawFn, chain: str) -> LegTiming:
    return LegTiming(draw(profiles(chain)), draw(st.integers(1, 12)), draw(wallets))


first_legs, second_legs = timings("a"), timings("b")


# -- quantiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "chi_square"),
    [
        (1, 13.816),
        (2, 18.467),
        (3, 22.458),
        (4, 26.124),
        (5, 29.588),
        (6, 32.909),
        (10, 45.315),
        (20, 73.402),
        (50, 149.449),
    ],
)
def test_the_gamma_quantile_is_half_of_the_chi_square_tables(blocks: int, chi_square: float) -> None:
    """n arrivals at rate 1 take half of a chi-square with 2n degrees of freedom; any statistics table, column 0.001."""
    assert gamma_quantile(blocks, 0.999) == pytest.approx(chi_square / 2, abs=0.0006)


@pytest.mark.parametrize("blocks", [1, 2, 3, 6, 17, 100])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.999, 0.99999])
def test_the_gamma_quantile_agrees_with_integrating_the_density(blocks: int, probability: float) -> None:
    def density(t: float) -> float:  # Erlang: t^(n-1) e^-t / (n-1)!
        return math.exp((blocks - 1) * math.log(t) - t - math.lgamma(blocks)) if t else float(blocks == 1)

    end, steps = gamma_quantile(blocks, probability), 20_000
    width = end / steps
    simpson = density(0) + density(end) + sum((4 if k % 2 else 2) * density(k * width) for k in range(1, steps))
    assert simpson * width / 3 == pytest.approx(probability, abs=1e-8)


@given(st.integers(1, 200), st.floats(0.5, 0.9999))
def test_more_arrivals_take_longer(blocks: int, probability: float) -> None:
    assert gamma_quantile(blocks, probability) < gamma_quantile(blocks + 1, probability)


@pytest.mark.parametrize("blocks", [1, 2, 12, 32, 64, 96])
@pytest.mark.parametrize("missed", [Fraction(0), Fraction(1, 100), Fraction(1, 20), Fraction(1, 4), Fraction(1, 2)])
def test_the_slots_quantile_is_the_fewest_slots_that_hold_the_blocks(blocks: int, missed: Fraction) -> None:
    """Against the exact binomial sum: at least `blocks` of `slots` slots are not missed."""

    def held(slots: int) -> Fraction:
        return sum(
            (math.comb(slots, k) * (1 - missed) ** k * missed ** (slots - k) for k in range(blocks, slots + 1)),
            Fraction(0),
        )

    slots = slots_quantile(blocks, float(missed), QUANTILE)
    assert held(slots) >= Fraction(QUANTILE)
    assert slots == blocks or held(slots - 1) < Fraction(QUANTILE)


def profile(arrival: Arrival, block_seconds: float, missed_share: float = 0.0) -> TimingProfile:
    return TimingProfile("a", arrival, block_seconds, missed_share, 1, 0, 0, 1, 0)


@pytest.mark.parametrize(
    ("arrival", "block_seconds", "missed_share", "blocks", "expected"),
    [
        (Arrival.POISSON, 600, 0.0, 1, 4145),
        (Arrival.POISSON, 600, 0.0, 6, 9873),
        (Arrival.SLOTS, 12, 0.0, 64, 768),
        (Arrival.SLOTS, 12, 0.05, 32, 39 * 12),
        (Arrival.FIXED, 1.5, 0.0, 3, 5),  # 4.5, rounded up
    ],
)
def test_confirming_takes_whole_seconds_rounded_up(
    arrival: Arrival, block_seconds: float, missed_share: float, blocks: int, expected: int
) -> None:
    assert profile(arrival, block_seconds, missed_share).confirm(blocks) == expected


def test_random_arrivals_are_planned_far_above_their_mean() -> None:
    """The peer that planned 1.25 times the mean was overtaken; a quantile of few blocks is several times it."""
    assert profile(Arrival.POISSON, 600).confirm(3) > 3 * 3 * 600
    assert profile(Arrival.POISSON, 600).confirm(3) > profile(Arrival.FIXED, 600).confirm(3)


@given(st.floats(0.1, 900), st.integers(1, 30 * 86_400))
def test_the_most_blocks_are_more_than_come_by_chance(block_seconds: float, within: int) -> None:
    """Against Chernoff's bound of a Poisson tail: P(N >= n) <= e^(n - mean) (mean/n)^n, for n above the mean."""
    most, mean = profile(Arrival.POISSON, block_seconds).most_blocks(within), within / block_seconds
    assert most - mean + most * math.log(mean / most) < math.log(1 - QUANTILE)


def test_no_block_comes_in_no_time() -> None:
    assert profile(Arrival.POISSON, 600).most_blocks(0) == 0


# -- the plan ----------------------------------------------------------------------------------------------------------


@given(first_legs, second_legs)
def test_the_lines_of_the_explanation_add_up(first: LegTiming, second: LegTiming) -> None:
    times = plan(NOW, first, second)
    reached = {"reveal_by": times.reveal_by, "T_p": times.participant_timelock, "T_i": times.initiator_timelock}
    total, marks = 0, {}
    for line in times.lines:
        total += line.seconds
        if line.at is not None:
            assert (line.at, line.seconds) == (total, 0), line
            marks[line.name] = NOW + line.at
    assert marks == reached
    assert all(line.seconds >= 0 and line.why for line in times.lines)


@given(first_legs, second_legs)
def test_the_timelocks_are_those_of_the_formula(first: LegTiming, second: LegTiming) -> None:
    """Written down a second time, as the protocol states them."""
    i, p = first.profile, second.profile
    confirm_i, confirm_p = i.confirm(first.confirmations), p.confirm(second.confirmations)
    claim_window_i = i.inclusion + confirm_i + i.clock_ahead
    claim_window_p = p.inclusion + confirm_p + p.clock_ahead
    t_p = NOW + first.fund + confirm_i + second.fund + confirm_p + claim_window_p + p.outage
    t_i = t_p + p.clock_behind + p.inclusion + confirm_p + claim_window_i + i.outage
    times = plan(NOW, first, second)
    assert (times.participant_timelock, times.initiator_timelock) == (t_p, t_i)
    assert times.participant_timelock - times.reveal_by == claim_window_p + p.outage


@given(first_legs, second_legs)
def test_s3_every_moment_of_a_plan_comes_after_what_it_waits_for(first: LegTiming, second: LegTiming) -> None:
    times = plan(NOW, first, second)
    assert NOW <= times.initiator_lock_by <= times.initiator_fund_by
    assert times.initiator_fund_by + first.confirm <= times.participant_lock_by <= times.participant_fund_by
    assert times.participant_fund_by + second.confirm <= times.reveal_by < times.participant_timelock
    assert times.participant_timelock < times.initiator_timelock


@given(first_legs, second_legs)
def test_s3_swapd_has_one_inclusion_margin_to_start_and_one_to_be_included(first: LegTiming, second: LegTiming) -> None:
    times = plan(NOW, replace(first, funded_by=Wallet.HOT), replace(second, funded_by=Wallet.HOT))
    start = NOW
    for lock_by, fund_by, leg in (
        (times.initiator_lock_by, times.initiator_fund_by, first),
        (times.participant_lock_by, times.participant_fund_by, second),
    ):
        assert lock_by == start + (HOT_STARTS - 1) * leg.profile.inclusion
        assert fund_by == lock_by + leg.profile.inclusion
        start = fund_by + leg.confirm


@given(first_legs, second_legs)
def test_the_owner_of_an_external_leg_has_the_funding_window(first: LegTiming, second: LegTiming) -> None:
    times = plan(NOW, replace(first, funded_by=Wallet.EXTERNAL), replace(second, funded_by=Wallet.EXTERNAL))
    assert times.initiator_lock_by == times.initiator_fund_by == NOW + first.profile.funding_window
    final = times.initiator_fund_by + first.confirm
    assert times.participant_lock_by == times.participant_fund_by == final + second.profile.funding_window


@given(first_legs, second_legs, st.sampled_from(["confirmations", *MARGINS]), st.booleans(), st.integers(1, 50))
def test_no_larger_margin_makes_any_moment_earlier(
    first: LegTiming, second: LegTiming, margin: str, of_first: bool, more: int
) -> None:
    def grown(leg: LegTiming) -> LegTiming:
        if margin == "confirmations":
            return replace(leg, confirmations=leg.confirmations + more)
        return replace(leg, profile=replace(leg.profile, **{margin: getattr(leg.profile, margin) + more}))

    before = plan(NOW, first, second)
    after = plan(NOW, grown(first), second) if of_first else plan(NOW, first, grown(second))
    for moment in MOMENTS:
        assert getattr(after, moment) >= getattr(before, moment), moment


# -- terms from outside ------------------------------------------------------------------------------------------------


def terms_of(times: Plan, first: LegTiming, second: LegTiming) -> SwapTerms:
    """A swap with exactly these times."""

    def leg(role: Role, timing: LegTiming, timelock: int, fund_by: int, lock_by: int) -> Leg:
        chain = timing.profile.chain
        terms = LegTerms(Asset(chain, chain, 8), 1000, HASHLOCK, "sender", "receiver", timelock, fund_by)
        by, to = timing.funded_by, Wallet.EXTERNAL
        return Leg(role, terms, by, to, "pay", "back", True, True, True, timing.confirmations, lock_by)

    return SwapTerms(
        swap_id_of(HASHLOCK),
        0,
        SecretHolder.REMOTE,
        leg(Role.INITIATOR, first, times.initiator_timelock, times.initiator_fund_by, times.initiator_lock_by),
        leg(
            Role.PARTICIPANT,
            second,
            times.participant_timelock,
            times.participant_fund_by,
            times.participant_lock_by,
        ),
        times.reveal_by,
        NOW,
    )


def with_leg(terms: SwapTerms, role: Role, **changes: Any) -> SwapTerms:
    """The swap with other times of one leg; `lock_by` moves with `fund_by`."""
    leg = terms.leg(role)
    moved = changes.get("fund_by", leg.terms.fund_by) - leg.terms.fund_by
    changed: dict[str, Any] = {
        role.value: replace(leg, terms=replace(leg.terms, **changes), lock_by=leg.lock_by + moved)
    }
    return replace(terms, **changed)


@settings(max_examples=200)
@given(first_legs, second_legs)
def test_terms_with_the_times_of_the_plan_are_accepted(first: LegTiming, second: LegTiming) -> None:
    check_times(terms_of(plan(NOW, first, second), first, second), first.profile, second.profile, NOW)


@pytest.mark.parametrize("role", Role)
@given(first=first_legs, second=second_legs)
def test_one_second_less_before_a_timelock_is_refused(role: Role, first: LegTiming, second: LegTiming) -> None:
    terms = terms_of(plan(NOW, first, second), first, second)
    value = terms.leg(role).terms.timelock - 1
    assume(value > (terms.reveal_by if role is Role.PARTICIPANT else terms.participant.terms.timelock))
    with pytest.raises(Invalid) as caught:
        check_times(with_leg(terms, role, timelock=value), first.profile, second.profile, NOW)
    assert (caught.value.field, caught.value.value) == (f"{role.value}.timelock", value)
    assert f"at least {value + 1} (" in caught.value.expected


@given(first=first_legs, second=second_legs)
def test_s1_a_participant_leg_due_before_the_initiator_leg_can_be_final_is_refused(
    first: LegTiming, second: LegTiming
) -> None:
    terms = terms_of(plan(NOW, first, second), first, second)
    to_include = second.profile.inclusion if second.funded_by is Wallet.HOT else 0
    least = terms.initiator.terms.fund_by + first.confirm + to_include
    check_times(with_leg(terms, Role.PARTICIPANT, fund_by=least), first.profile, second.profile, NOW)
    with pytest.raises(Invalid) as caught:
        check_times(with_leg(terms, Role.PARTICIPANT, fund_by=least - 1), first.profile, second.profile, NOW)
    assert (caught.value.field, caught.value.value) == ("participant.fund_by", least - 1)


@given(first=first_legs, second=second_legs)
def test_s2_a_secret_shown_one_second_too_late_is_refused(first: LegTiming, second: LegTiming) -> None:
    terms = terms_of(plan(NOW, first, second), first, second)
    assume(terms.reveal_by + 1 < terms.participant.terms.timelock)
    with pytest.raises(Invalid) as caught:
        check_times(replace(terms, reveal_by=terms.reveal_by + 1), first.profile, second.profile, NOW)
    assert (caught.value.field, caught.value.value) == ("reveal_by", terms.reveal_by + 1)
    assert caught.value.expected == f"at most {terms.reveal_by}"


@given(first=first_legs, second=second_legs)
def test_a_swap_whose_second_leg_had_to_be_funded_a_second_ago_is_refused(first: LegTiming, second: LegTiming) -> None:
    """The first leg's time may be over: it may be locked already, and if it is not, nothing follows."""
    terms = terms_of(plan(NOW, first, second), first, second)
    due = terms.participant.lock_by
    check_times(terms, first.profile, second.profile, due)
    with pytest.raises(Invalid) as caught:
        check_times(terms, first.profile, second.profile, due + 1)
    assert (caught.value.field, caught.value.value) == ("participant.fund_by", due)


def test_a_timelock_of_more_than_thirty_days_is_refused() -> None:
    first = LegTiming(replace(profile(Arrival.FIXED, 1), chain="a"), 1, Wallet.HOT)
    second = LegTiming(replace(profile(Arrival.FIXED, 1), chain="b"), 1, Wallet.HOT)
    terms = terms_of(plan(NOW, first, second), first, second)
    longest = NOW + LONGEST_TIMELOCK
    check_times(with_leg(terms, Role.INITIATOR, timelock=longest), first.profile, second.profile, NOW)
    with pytest.raises(Invalid) as caught:
        check_times(with_leg(terms, Role.INITIATOR, timelock=longest + 1), first.profile, second.profile, NOW)
    assert (caught.value.field, caught.value.value) == ("initiator.timelock", longest + 1)


@given(first_legs, second_legs, st.integers(0, 10_000))
def test_more_time_than_the_plan_needs_is_welcome(first: LegTiming, second: LegTiming, more: int) -> None:
    terms = terms_of(plan(NOW, first, second), first, second)
    terms = with_leg(terms, Role.INITIATOR, timelock=terms.initiator.terms.timelock + more)
    check_times(terms, first.profile, second.profile, NOW)
