"""An account whose transactions wait for each other: empty places below ours are filled, and strangers are noticed.

Every place that swapd takes is stored with what takes it, and that is sent again if it is lost. What can still leave a
hole is somebody else with the same key: a transaction of theirs that ours stood in line behind, and that was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from swapd.chains.abilities import Ordered
from swapd.coordinator.house import House
from swapd.errors import Rejected, Unavailable, Unknown

log = structlog.get_logger()

PATIENCE = 3
"""Looks at which a place has to be empty in a row: what only our node has not heard of yet is not voided."""

ALONE = "stop the other one, or give it a seed of its own: two of them get into each other's way"
"""What is needed then."""

SLOW = 18
"""The same for a place that something pending has which is not stored, be it our own filling, so that nothing stands
behind it: some minutes, in which what pays enough is in a block. Then it is outbid, and again after as many looks."""

MOST_FILLED = 16
"""In one look; each costs a transfer's fee."""


@dataclass
class Places:
    """notice: in words, what an operator should know of the account, "" for nothing."""

    house: House
    name: str
    notice: str = ""
    _empty: dict[int, int] = field(default_factory=dict)

    async def look(self) -> None:
        """Raises Unavailable if the chain does not say where its account stands."""
        chain = self.house.chain(self.name)
        if not isinstance(chain, Ordered):
            return
        used, taken = await chain.places()
        # read after the chain: what is stored meanwhile stands behind all that is stored now, and fills no hole
        async with self.house.store.read() as reading:
            ours, free = await reading.sequences(self.name, used), await reading.next_place(self.name, chain.account)
        self._notice(chain.account, used, free)
        holes = [place for place in range(used, max(ours, default=0)) if place not in ours][:MOST_FILLED]
        self._empty = {place: self._empty.get(place, 0) + 1 for place in holes}
        for place, looks in self._empty.items():
            if looks < PATIENCE if place >= taken else looks % SLOW:
                continue
            log.warning("account.gap_filled", chain=self.name, account=chain.account, sequence=place)
            try:
                await chain.fill(place)
            except (Unavailable, Rejected, Unknown) as error:  # tried again at the next look
                log.warning("account.gap_not_filled", chain=self.name, sequence=place, error=str(error))

    def _notice(self, account: str, used: int, free: int | None) -> None:
        strange = free is not None and used > free
        notice = (
            f"{account} has sent {used} transactions, and this swapd knows of {free}: somebody else sends with its key"
        )
        if strange and not self.notice:
            log.warning("account.used_outside", chain=self.name, account=account, sent=used, known=free)
        self.notice = notice if strange else ""
