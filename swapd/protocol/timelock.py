"""How much time a swap needs: timing profiles, quantiles, the plan, and why each second is in it.

Plans stand on the 99.9 % quantile of how long blocks take, never on the mean: a peer that planned 25 % above the mean
was overtaken by one fast day of the other chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from swapd.errors import Invalid
from swapd.protocol.terms import SwapTerms, Wallet

QUANTILE = 0.999
"""One swap in a thousand may find its window too short. It is then refunded, never lost."""

LONGEST_TIMELOCK = 30 * 86_400
"""Seconds. A typing error in a time must not take somebody's money away for years."""

HOT_STARTS = 2
"""A hot leg's funding window, in inclusion margins: one until swapd starts (a restart fits in), one to be included."""

assert 0.99 < QUANTILE < 1, "a plan on less than 99 % fails every day"
assert HOT_STARTS >= 2, "with one margin, swapd would have to start at the very moment of agreement (S3)"


class Arrival(StrEnum):
    """How a chain's blocks come."""

    POISSON = "poisson"
    """At random: n blocks take a gamma-distributed time (proof of work)."""
    SLOTS = "slots"
    """One chance every `block_seconds`, some of them missed."""
    FIXED = "fixed"
    """At an even pace."""


@dataclass(frozen=True)
class TimingProfile:
    """What swapd expects of a chain. All in seconds.

    block_seconds: mean interval (or slot). missed_share: of slots, with SLOTS. inclusion: how long a well-paid
    transaction may take to get into a block in a bad hour. clock_ahead: how far the chain's clock may run ahead of true
    time, which lets a refund come early. clock_behind: how far it may lag, which lets a late claim still win.
    funding_window: offered to the owner of an external leg. outage: how long swapd or a node may be down.
    """

    chain: str
    arrival: Arrival
    block_seconds: float
    missed_share: float
    inclusion: int
    clock_ahead: int
    clock_behind: int
    funding_window: int
    outage: int

    def confirm(self, blocks: int) -> int:
        """Seconds within which `blocks` blocks come with probability `QUANTILE`, rounded up."""
        if self.arrival is Arrival.POISSON:
            return math.ceil(self.block_seconds * gamma_quantile(blocks, QUANTILE))
        if self.arrival is Arrival.SLOTS:
            return math.ceil(self.block_seconds * slots_quantile(blocks, self.missed_share, QUANTILE))
        return math.ceil(self.block_seconds * blocks)

    def most_blocks(self, seconds: int) -> int:
        """More blocks than can be expected within so many seconds: twice the mean, and a dozen."""
        return 2 * math.ceil(seconds / self.block_seconds) + 12 if seconds else 0


def gamma_quantile(shape: int, probability: float) -> float:
    """The time by which `shape` arrivals of a unit-rate Poisson process have come with this probability.

    >>> round(gamma_quantile(1, 0.999), 3)
    6.908
    """
    # P(fewer than `shape` arrivals by t) falls in t: halve the interval until it is as narrow as floats allow
    low, high = 0.0, 10.0 * shape + 50.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        late = sum(math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(shape))
        low, high = (middle, high) if late > 1 - probability else (low, middle)
    return high


def slots_quantile(blocks: int, missed_share: float, probability: float) -> int:
    """The number of slots that hold `blocks` blocks with this probability, each slot missed independently.

    >>> slots_quantile(64, 0.0, 0.999)
    64
    """
    if missed_share == 0:
        return blocks
    slots, total = blocks, 0.0
    while True:
        # negative binomial: block number `blocks` falls exactly into slot number `slots`; in logs, against underflow
        ways = math.lgamma(slots) - math.lgamma(blocks) - math.lgamma(slots - blocks + 1)
        total += math.exp(ways + blocks * math.log1p(-missed_share) + (slots - blocks) * math.log(missed_share))
        if total >= probability:
            return slots
        slots += 1


@dataclass(frozen=True)
class LegTiming:
    """What the plan needs to know of a leg."""

    profile: TimingProfile
    confirmations: int
    funded_by: Wallet

    @property
    def fund(self) -> int:
        if self.funded_by is Wallet.HOT:
            return HOT_STARTS * self.profile.inclusion
        return self.profile.funding_window

    @property
    def confirm(self) -> int:
        return self.profile.confirm(self.confirmations)

    @property
    def claim_window(self) -> int:
        """From the moment a claim is sent until no refund can win any more."""
        return self.profile.inclusion + self.confirm + self.profile.clock_ahead

    @property
    def claim_lead(self) -> int:
        """How long before its timelock the first claim is sent at the latest: from there on swapd or its node may be
        away at any moment, for as long as the profile allows."""
        return self.claim_window + self.profile.outage

    @property
    def refund_lag(self) -> int:
        """How long after its timelock a late claim of this leg can still win against the refund."""
        return self.profile.clock_behind + self.profile.inclusion + self.confirm


@dataclass(frozen=True)
class Line:
    """One line of the explanation: a duration, or with `at` the moment reached by adding up (seconds from now)."""

    name: str
    seconds: int
    why: str
    at: int | None = None


@dataclass(frozen=True)
class Plan:
    """The moments of a swap, Unix seconds, and the lines that add up to them."""

    initiator_lock_by: int
    initiator_fund_by: int
    participant_lock_by: int
    participant_fund_by: int
    reveal_by: int
    participant_timelock: int
    initiator_timelock: int
    lines: tuple[Line, ...]


def plan(now: int, initiator: LegTiming, participant: LegTiming) -> Plan:
    """The shortest timelocks that leave every step its margin, from `now` (Unix seconds)."""
    i, p = initiator.profile, participant.profile
    steps: list[Line] = []
    total = 0

    def add(name: str, seconds: int, why: str) -> int:
        nonlocal total
        total += seconds
        steps.append(Line(name, seconds, why))
        return now + total

    def mark(name: str, why: str) -> None:
        steps.append(Line(name, 0, why, at=total))

    initiator_fund_by = add(f"fund {i.chain}", initiator.fund, _fund_reason(initiator))
    add(f"confirm {i.chain}", initiator.confirm, _confirm_reason(initiator))
    participant_fund_by = add(f"fund {p.chain}", participant.fund, _fund_reason(participant))
    reveal_by = add(f"confirm {p.chain}", participant.confirm, _confirm_reason(participant))
    mark("reveal_by", "after this the secret is not shown any more; both legs are refunded (S2)")
    add(f"clock {p.chain} ahead", p.clock_ahead, f"{p.chain}'s clock may run ahead and allow the refund early")
    add(f"claim {p.chain}", p.inclusion, "a well-paid claim gets into a block, in a bad hour")
    add(f"claim final {p.chain}", participant.confirm, _confirm_reason(participant))
    participant_timelock = add(f"outage {p.chain}", p.outage, _AWAY)
    mark("T_p", f"timelock of the participant leg on {p.chain}")
    add(f"clock {p.chain} behind", p.clock_behind, f"{p.chain}'s clock may lag: a late claim can still win")
    add(f"late claim {p.chain}", p.inclusion, "and needs this long to get into a block")
    add(f"late claim final {p.chain}", participant.confirm, "and to be final; only then is the secret no news")
    add(f"claim {i.chain}", i.inclusion, "the other leg's claim gets into a block, in a bad hour")
    add(f"claim final {i.chain}", initiator.confirm, _confirm_reason(initiator))
    add(f"clock {i.chain} ahead", i.clock_ahead, f"{i.chain}'s clock may run ahead and allow the refund early")
    initiator_timelock = add(f"outage {i.chain}", i.outage, _AWAY)
    mark("T_i", f"timelock of the initiator leg on {i.chain}")
    return Plan(
        initiator_lock_by=initiator_fund_by - (i.inclusion if initiator.funded_by is Wallet.HOT else 0),
        initiator_fund_by=initiator_fund_by,
        participant_lock_by=participant_fund_by - (p.inclusion if participant.funded_by is Wallet.HOT else 0),
        participant_fund_by=participant_fund_by,
        reveal_by=reveal_by,
        participant_timelock=participant_timelock,
        initiator_timelock=initiator_timelock,
        lines=tuple(steps),
    )


def check_times(terms: SwapTerms, initiator: TimingProfile, participant: TimingProfile, now: int) -> None:
    """Refuse (Invalid) terms made by somebody else whose times leave less than the plan needs."""
    first, second = terms.initiator, terms.participant
    i = LegTiming(initiator, first.confirmations, first.funded_by)
    p = LegTiming(participant, second.confirmations, second.funded_by)
    longest = now + LONGEST_TIMELOCK

    def later(field: str, value: int, least: int, why: str) -> None:
        if value < least:
            raise Invalid(field, value, f"at least {least} ({why})")

    later("participant.fund_by", second.lock_by, now, "the participant leg must still be fundable")
    later(
        "participant.fund_by",
        second.terms.fund_by,
        first.terms.fund_by + i.confirm + (p.profile.inclusion if second.funded_by is Wallet.HOT else 0),
        "the initiator leg must be final before the participant leg is funded",
    )
    later(
        "participant.timelock",
        second.terms.timelock,
        second.terms.fund_by + p.confirm + p.claim_lead,
        "the participant leg must become final and be claimed before its timelock",
    )
    later(
        "initiator.timelock",
        first.terms.timelock,
        second.terms.timelock + p.refund_lag + i.claim_lead,
        "a secret shown at the last moment must leave time to claim the initiator leg",
    )
    if first.terms.timelock > longest:
        raise Invalid("initiator.timelock", first.terms.timelock, f"at most {longest}, {LONGEST_TIMELOCK} s from now")
    if terms.reveal_by > second.terms.timelock - p.claim_lead:
        raise Invalid("reveal_by", terms.reveal_by, f"at most {second.terms.timelock - p.claim_lead}")


_AWAY = "swapd or its node may be down this long and still claim in time"


def _fund_reason(leg: LegTiming) -> str:
    if leg.funded_by is Wallet.HOT:
        return "one inclusion margin until swapd starts, one to get into a block"
    return "the window offered to the owner of the external wallet"


def _confirm_reason(leg: LegTiming) -> str:
    blocks = f"{leg.confirmations} block{'s' if leg.confirmations > 1 else ''}"
    if leg.profile.arrival is Arrival.FIXED:
        return f"{blocks} of {leg.profile.block_seconds:g} s"
    return f"{QUANTILE:.1%} of the time {blocks} take no longer"
