"""When blocks come, and what a chain's clock says at each of them. Drawn from the profile's own distribution.

Heights count from 0. `clock(h)` is what an adapter reports while h is the tip: the latest timelock that a refund sent
now is sure to meet. `spendable(h)` is the latest timelock whose refund block h itself may hold: a chain that compares
with the block's own timestamp lets somebody else be a block earlier than our adapter would be.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from swapd.protocol.timelock import Arrival, TimingProfile

MEDIAN_OF = 11
"""Timestamps whose median is Bitcoin's clock (BIP 113)."""


class Blocks(Protocol):
    def height(self, now: float) -> int:
        """Of the tip at this moment."""

    def time(self, height: int) -> float: ...

    def clock(self, height: int) -> int: ...

    def spendable(self, height: int) -> int: ...

    def first_at(self, clock: int) -> int:
        """The first height whose `clock` is at least this."""


@dataclass
class ListedBlocks:
    """Blocks one by one. clocks[h] is `clock(h)`. lags: a refund must meet the clock of the block before its own."""

    lags: bool
    times: list[float] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)

    def height(self, now: float) -> int:
        return bisect_right(self.times, now) - 1

    def time(self, height: int) -> float:
        return self.times[height]

    def clock(self, height: int) -> int:
        return self.clocks[height]

    def spendable(self, height: int) -> int:
        return self.clocks[height - 1 if self.lags else height]

    def first_at(self, clock: int) -> int:
        return bisect_left(self.clocks, clock)


@dataclass(frozen=True)
class EvenBlocks:
    """A block every `seconds` from `start` on, without end."""

    start: int
    seconds: float

    def height(self, now: float) -> int:
        return int((now - self.start) // self.seconds)

    def time(self, height: int) -> float:
        return self.start + height * self.seconds

    def clock(self, height: int) -> int:
        return int(self.time(height))

    def spendable(self, height: int) -> int:
        return self.clock(height)

    def first_at(self, clock: int) -> int:
        return max(0, -int((self.start - clock) // self.seconds))


def draw(profile: TimingProfile, rng: Random, start: int, seconds: int) -> Blocks:
    """The blocks of a chain from `start` on for at least so many seconds."""
    if profile.arrival is Arrival.FIXED:
        return EvenBlocks(start, profile.block_seconds)
    if profile.arrival is Arrival.SLOTS:
        return _slots(profile, rng, start, seconds)
    return _poisson(profile, rng, start, seconds)


def _slots(profile: TimingProfile, rng: Random, start: int, seconds: int) -> ListedBlocks:
    length, share, roll = profile.block_seconds, profile.missed_share, rng.random
    slots = range(int(seconds / length) + 1)
    times = [start + slot * length for slot in slots if slot == 0 or roll() >= share]
    return ListedBlocks(False, times, [int(t) for t in times])


def _poisson(profile: TimingProfile, rng: Random, start: int, seconds: int) -> ListedBlocks:
    rate = 1 / profile.block_seconds
    now = float(start)
    times: list[float] = []
    while now < start + seconds:
        times.append(now)
        now += rng.expovariate(rate)
    # honest miners stamp their blocks some seconds late, or minutes wrong
    return ListedBlocks(True, times, medians([int(t + rng.triangular(-300, 300, -10)) for t in times]))


def medians(stamps: list[int]) -> list[int]:
    """For each block the latest timelock that a block after it may refund: one less than the median of the last eleven
    timestamps, because a lock time must lie strictly below the median time past."""
    window: list[int] = []
    valid: list[int] = []  # the timestamps as they could stand in blocks: above the median of those before
    clocks = []
    past = stamps[0] - 1
    for place, stamp in enumerate(stamps):
        valid.append(max(stamp, past + 1))
        insort(window, valid[-1])
        if place >= MEDIAN_OF:
            del window[bisect_left(window, valid[place - MEDIAN_OF])]
        past = window[len(window) // 2]
        clocks.append(past - 1)
    return clocks
