"""Whether new money may go in. Everything that stops swapd stops here, and none of it stops an exit (rule S8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from swapd.coordinator.watch import Watcher
from swapd.store import SwapRow


@dataclass
class Gate:
    """halted: by the operator's configuration. starting: until everything open has been looked at once. store: what is
    wrong with the database, "" while nothing is."""

    watchers: Mapping[str, Watcher]
    halted: bool
    starting: bool = True
    store: Callable[[], str] = str

    @property
    def closed(self) -> str:
        """Why nothing new is begun at all, "" if it is."""
        if self.halted:
            return "halted by configuration"
        if trouble := self.store():
            return f"store: {trouble}"
        return "starting: what is open is looked at first" if self.starting else ""

    def reason(self, row: SwapRow) -> str:
        """Why nothing new is begun for this swap, "" if nothing stands in its way."""
        return self.for_chains([leg.terms.chain for leg in row.terms.legs])

    def for_chains(self, chains: Iterable[str]) -> str:
        """The same for a swap on these chains."""
        if self.closed:
            return self.closed
        return "; ".join(f"{chain}: {why}" for chain in chains if (why := self._trouble(chain)))

    def _trouble(self, chain: str) -> str:
        watcher = self.watchers.get(chain)
        return watcher.doubt if watcher else "not configured"
