"""What a transaction should pay: pure functions of the time left, the market and what was sent before.

The rate follows the node's estimate for the number of blocks left. Over the last `rush_seconds` before the deadline
it grows, as a function of time alone, to `rush_multiple` times that estimate, and stays there. What a transaction may
cost is capped, by `cap_rate` and at a share of the amount; for a claim or refund, where a missed deadline costs
everything, both caps yield over the same time until only dust is left. Replacements keep to BIP 125. Rates are sat/vB,
fees satoshi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from swapd.chains.bitcoin.settings import FeeSettings

LONGEST_TARGET = 144
"""Blocks. A day: nobody gains from waiting longer to save the last satoshi."""


@dataclass(frozen=True)
class Market:
    """What the node says now. estimate: for the blocks that are left. minimum: what the mempool takes. increment: by
    how much a replacement must outbid (BIP 125, rule 4)."""

    estimate: int
    minimum: int
    increment: int


@dataclass(frozen=True)
class Rival:
    """What a replacement must outbid: fee (of all that would be evicted) and the rate of the one it conflicts with."""

    fee: int
    rate: int


@dataclass(frozen=True)
class Purse:
    """What may be spent: amount and vsize of the transaction; keep: what must be left of the amount (dust).

    yields: whether the cap gives way near the deadline.
    """

    amount: int
    vsize: int
    keep: int
    yields: bool


def target(seconds_left: int, block_seconds: float) -> int:
    """Blocks to ask an estimate for: half of those expected until the deadline, because blocks are late too."""
    return max(1, min(LONGEST_TARGET, int(seconds_left / block_seconds / 2)))


def pressure(settings: FeeSettings, seconds_left: int) -> float:
    """0 while the deadline is far, 1 when it is there."""
    return min(1.0, max(0.0, 1 - seconds_left / settings.rush_seconds))


def wanted_rate(settings: FeeSettings, market: Market, seconds_left: int, *, yields: bool) -> int:
    """yields: as in `Purse`: `cap_rate` gives way, and at the deadline only what may be spent is a bound."""
    near = pressure(settings, seconds_left)
    growth: float = settings.rush_multiple**near
    rate = ceil(max(market.estimate, market.minimum, settings.floor_rate) * growth)
    above = max(0, rate - settings.cap_rate)
    return max(market.minimum, rate - above + (int(above * near) if yields else 0))


def ceiling(settings: FeeSettings, market: Market, purse: Purse, seconds_left: int) -> int:
    """The most it may cost. Never below what the network asks at least: a cap must not be what loses the money."""
    share = settings.cap_share * purse.amount
    everything = max(0, purse.amount - purse.keep)
    if purse.yields:
        share += max(0.0, everything - share) * pressure(settings, seconds_left)
    return min(everything, max(int(share), market.minimum * purse.vsize))


def good_enough(settings: FeeSettings, market: Market, last_rate: int, seconds_left: int, *, yields: bool) -> bool:
    """Whether what was sent last may stay: the mempool keeps it, and its rate is within a step of the right one."""
    wanted = wanted_rate(settings, market, seconds_left, yields=yields)
    return last_rate >= market.minimum and wanted < last_rate * (1 + settings.step)


def least_fee(market: Market, vsize: int, rivals: Sequence[Rival]) -> int:
    """What the mempool takes at the least for a transaction of this size that outbids all rivals."""
    needed = market.minimum * vsize
    for rival in rivals:
        # BIP 125 rules 3 and 4, and Bitcoin Core's own: the rate must rise too
        needed = max(needed, rival.fee + market.increment * vsize, (rival.rate + 1) * vsize)
    return needed


def next_fee(
    settings: FeeSettings, market: Market, purse: Purse, rivals: Sequence[Rival], seconds_left: int
) -> int | None:
    """The fee for a new transaction that outbids all rivals. None: the ceiling is below what that takes."""
    needed = least_fee(market, purse.vsize, rivals)
    highest = ceiling(settings, market, purse, seconds_left)
    if needed > highest:
        return None
    return min(highest, max(needed, wanted_rate(settings, market, seconds_left, yields=purse.yields) * purse.vsize))


def void_fee(
    settings: FeeSettings,
    market: Market,
    purse: Purse,
    ours: Sequence[Rival],
    rivals: Sequence[Rival],
    seconds_left: int,
) -> int | None:
    """The fee that takes back a transaction of our own. ours: its attempts, each alone. rivals: with all that hangs on
    them in the mempool.

    The ceiling is on what is wanted. Our own attempts are outbid even where they have used it up; what somebody else
    hung on them is not. None: that takes more than the ceiling.
    """
    own = least_fee(market, purse.vsize, ours)
    everything = max(0, purse.amount - purse.keep)
    highest = min(everything, max(ceiling(settings, market, purse, seconds_left), own))
    needed = max(own, least_fee(market, purse.vsize, rivals))
    if needed > highest:
        return None
    return min(highest, max(needed, wanted_rate(settings, market, seconds_left, yields=purse.yields) * purse.vsize))


def leaving_fee(market: Market, vsize: int, whole_fee: int, whole_vsize: int) -> int:
    """The least that a member of a batch pays alone to take its place."""
    return least_fee(market, vsize, [Rival(whole_fee, -(-whole_fee // whole_vsize))])


def above_share(settings: FeeSettings, purse: Purse, fee: int) -> bool:
    """Whether this is more than the share of the amount that may be paid while the deadline is far."""
    return fee > settings.cap_share * purse.amount


def held_back(settings: FeeSettings, market: Market, purse: Purse, fee: int, seconds_left: int) -> bool:
    """Whether the ceiling, or `cap_rate`, keeps this fee below what the market and the time left ask for."""
    growth: float = settings.rush_multiple ** pressure(settings, seconds_left)
    return fee < ceil(max(market.estimate, market.minimum, settings.floor_rate) * growth) * purse.vsize
