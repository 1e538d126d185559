"""The functions that a canister imports from `ic0`. IC interface specification, section "System API"."""

from __future__ import annotations

from swapd.devnet.replica.ic0.base import FUNCTIONS, Owner
from swapd.devnet.replica.ic0.calls import CallApi
from swapd.devnet.replica.ic0.cycles import CyclesApi
from swapd.devnet.replica.ic0.messages import MessageApi
from swapd.devnet.replica.ic0.stable import StableApi
from swapd.devnet.replica.ic0.system import SystemStateApi
from swapd.devnet.replica.instance import HostFunction


class SystemApi(MessageApi, CallApi, CyclesApi, StableApi, SystemStateApi):
    """All of it, for one canister."""

    def function(self, name: str) -> HostFunction | None:
        """The host's side of an import, None if there is no such function."""
        if name not in FUNCTIONS:
            return None
        found: HostFunction = getattr(self, name)
        return found


__all__ = ["Owner", "SystemApi"]
