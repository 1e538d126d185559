"""What to bid for a place in a block: a pure function of the market and of the time left (EIP-1559).

All figures are wei per gas. The priority fee starts at what others pay and rises in a straight line to
`urgency_factor` times that at the deadline; so does the cap on what one gas may cost, since a fee that looked absurd
yesterday is cheap when the alternative is losing the leg. Past the deadline both stay where they are.

The amount at stake plays no part: a leg may be in a token that nobody here can price, so the caps are figures in wei
that its least amount has to be worth (`minimum` of each asset).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swapd.chains.ethereum.settings import EthereumSettings

_HEADROOM = 2
"""Times the base fee: it can double within six full blocks, and what is bid above the true one is not spent."""


@dataclass(frozen=True)
class Fees:
    """max_fee: the most one gas may cost. priority: what of it goes to the proposer."""

    max_fee: int
    priority: int

    def tip(self, base_fee: int) -> int:
        """What a proposer would get at this base fee; negative: the transaction can not be included."""
        return min(self.priority, self.max_fee - base_fee)


@dataclass(frozen=True)
class Market:
    """base_fee: of the next block. priority: what got into recent blocks."""

    base_fee: int
    priority: int


@dataclass(frozen=True)
class FeePolicy:
    """See the settings of the same names."""

    priority_floor: int
    urgency_factor: int
    ramp_seconds: int
    fee_cap: int
    fee_cap_at_deadline: int
    bump_percent: int

    @classmethod
    def of(cls, settings: EthereumSettings) -> FeePolicy:
        return cls(
            settings.priority_floor,
            settings.urgency_factor,
            settings.ramp_seconds,
            settings.fee_cap,
            settings.fee_cap_at_deadline,
            settings.bump_percent,
        )

    def cap(self, left: int) -> int:
        """The most one gas may cost with `left` seconds until the deadline."""
        return self.fee_cap + self._risen(self.fee_cap_at_deadline - self.fee_cap, left)

    def first(self, market: Market, left: int) -> Fees:
        """The bid of a first attempt, and what later ones are measured by."""
        start = max(self.priority_floor, market.priority)
        priority = start + self._risen(start * (self.urgency_factor - 1), left)
        max_fee = min(_HEADROOM * market.base_fee + priority, self.cap(left))
        return Fees(max_fee, min(priority, max_fee))

    def replacement(self, market: Market, left: int, last: Fees) -> Fees | None:
        """A bid that nodes take in place of `last`; None if `last` is good enough, or the cap allows no more.

        Good enough is a tip within one step of what a first attempt would give now: so there are few replacements,
        and each is worth its while.
        """
        wanted = self.first(market, left)
        if last.tip(market.base_fee) * (100 + self.bump_percent) > wanted.priority * 100:
            return None
        better = self._above(wanted, [last])
        return better if better.max_fee <= self.cap(left) else None

    def outbid(self, market: Market, attempts: Sequence[Fees]) -> Fees:
        """A bid that replaces any of these, as if it were due: for a void, which is small and must not lose."""
        return self._above(self.first(market, 0), attempts)

    def outbid_again(self, market: Market, attempts: Sequence[Fees]) -> Fees | None:
        """The same when the last of these is a void already; None if it is good enough, or the cap allows no more.

        The cap is on what is wanted, not on the bid: what a void had to outbid may have used the cap up, and a bid that
        is too high by the steps that nodes ask for costs no more than base fee and priority.
        """
        wanted = self.first(market, 0).tip(market.base_fee)
        if wanted <= 0 or attempts[-1].tip(market.base_fee) * (100 + self.bump_percent) > wanted * 100:
            return None
        return self.outbid(market, attempts)

    def at_cap(self, bid: Fees, left: int) -> bool:
        """Whether the cap may hold this bid below what the market asks."""
        return bid.max_fee >= self.cap(left)

    def cap_yields(self, bid: Fees) -> bool:
        """Whether this is more than may be bid while the deadline is far."""
        return bid.max_fee > self.fee_cap

    def _above(self, wanted: Fees, attempts: Sequence[Fees]) -> Fees:
        for last in attempts:
            wanted = Fees(
                max(wanted.max_fee, self._bumped(last.max_fee)), max(wanted.priority, self._bumped(last.priority))
            )
        return wanted

    def _bumped(self, fee: int) -> int:
        return -(-fee * (100 + self.bump_percent) // 100)  # rounded up

    def _risen(self, by: int, left: int) -> int:
        """The part of `by` that the straight line has reached with `left` seconds to go."""
        gone = min(max(self.ramp_seconds - left, 0), self.ramp_seconds)
        return by * gone // self.ramp_seconds
