"""What the coordinator works with: the chains it trades on, its store, its secrets and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from swapd.chains.abilities import Observed
from swapd.chains.base import HtlcChain
from swapd.chains.settings import AssetSettings
from swapd.coordinator.limits import Limits
from swapd.errors import Invalid, Unavailable
from swapd.protocol.drift import drift
from swapd.protocol.terms import Asset
from swapd.protocol.timelock import TimingProfile
from swapd.store import Store
from swapd.telemetry.telemetry import Telemetry


class Secrets(Protocol):
    """The part of the vault that the coordinator may use."""

    def preimage(self, index: int) -> bytes: ...

    def hashlock(self, index: int) -> bytes: ...


@dataclass(frozen=True)
class Market:
    """One chain, with what the settings say about trading on it."""

    chain: HtlcChain
    profile: TimingProfile
    assets: Mapping[str, AssetSettings]
    poll_seconds: float


def wall_clock() -> int:
    """Unix seconds of this machine."""
    return int(time.time())


@dataclass(frozen=True)
class House:
    """Everything the shell needs, handed around instead of globals. Tests hand in another clock.

    clock_slack: seconds by which this machine's clock and a chain's may be further apart than plans allow for.
    shown: swaps whose own secret this process has shown, or is about to show: an older copy of the database does not
    know of it. making: indexes of swaps that are being made.
    """

    markets: Mapping[str, Market]
    store: Store
    secrets: Secrets
    limits: Limits
    clock_slack: int
    clock: Callable[[], int] = field(default=wall_clock)
    shown: set[str] = field(default_factory=set)
    making: set[int] = field(default_factory=set)
    telemetry: Telemetry = field(default_factory=Telemetry)

    def __post_init__(self) -> None:
        for name, market in self.markets.items():
            if isinstance(market.chain, Observed):
                market.chain.observe(self.telemetry.of(name))

    def chain(self, name: str) -> HtlcChain:
        if name not in self.markets:
            raise Unavailable(f"{name} is not among the configured chains")
        return self.markets[name].chain

    def drift(self, name: str, time: int) -> str:
        """Why nothing new may rest on this machine's clock and the chain's, which is at `time`; "" if they fit."""
        return drift(self.markets[name].profile, self.clock(), time, self.clock_slack)

    def asset(self, field_name: str, symbol: str) -> tuple[Asset, AssetSettings]:
        """The asset of this symbol and what is allowed with it."""
        for market in self.markets.values():
            if symbol in market.assets:
                return market.chain.assets[symbol], market.assets[symbol]
        known = ", ".join(sorted(symbol for market in self.markets.values() for symbol in market.assets))
        raise Invalid(field_name, symbol, f"one of the configured assets: {known}")
