"""A chain's timing settings, as the timelock policy wants them."""

from __future__ import annotations

from swapd.chains.settings import TimingSettings
from swapd.protocol.timelock import Arrival, TimingProfile


def timing_profile(name: str, timing: TimingSettings) -> TimingProfile:
    """What swapd expects of the chain `name`, all in seconds."""
    return TimingProfile(
        chain=name,
        arrival=Arrival(timing.arrival),
        block_seconds=timing.block_seconds,
        missed_share=timing.missed_share,
        inclusion=timing.inclusion,
        clock_ahead=timing.clock_ahead,
        clock_behind=timing.clock_behind,
        funding_window=timing.funding_window,
        outage=timing.outage,
    )
