"""Whether this machine's clock and a chain's are as near to each other as every plan takes for granted.

Nothing is decided by this machine's clock where a chain's decides; but plans are made with it, and a plan whose margins
do not hold is none. So beyond the margins nothing new begins, and exits go on (rule S8).
"""

from __future__ import annotations

from swapd.protocol.timelock import TimingProfile


def drift(profile: TimingProfile, now: int, time: int, slack: int) -> str:
    """Why nothing new may rest on these two clocks, "" if they fit.

    now: this machine's, time: the chain's own clock (`ChainClock.time`), Unix seconds. slack: seconds allowed on top of
    the profile's margins.
    """
    ahead = time - now
    if ahead > profile.clock_ahead + slack:
        return (
            f"this machine's clock is {ahead} s behind {profile.chain}'s, and plans allow for {profile.clock_ahead} s: "
            "set it (NTP)"
        )
    if -ahead > profile.clock_behind + slack:
        return (
            f"{profile.chain}'s clock is {-ahead} s behind this machine's, and plans allow for {profile.clock_behind} "
            "s: no blocks come, or the node does not hear of them, or this machine's clock is wrong (NTP)"
        )
    return ""
