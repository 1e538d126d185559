"""Exits without a database (rule S8): claims of a secret that is out, and refunds that are due, go on in memory.

To persist before acting guards against three things that can not be taken back: a second lock, a forgotten reveal, and
a nonce that two of our own transactions want. The first two are never done here: entry is shut, and a secret that is
not known to be out is not shown. The third costs a fee at worst: of two transactions on one nonce one is mined, and
what the other was for is sent anew. A claim or a refund itself pays a fixed address, and no chain carries it out twice;
so sent and forgotten it does no harm. After the trouble the database learns what happened the way it learns
everything: from the chains.

There is little code here because nothing is done in another way than always: a second daemon, shut and without its own
clock, works on a copy in memory of what was open.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from swapd.coordinator.resting import is_at_rest
from swapd.errors import SwapdError
from swapd.protocol.status import Status
from swapd.store import Store

if TYPE_CHECKING:
    from swapd.coordinator.daemon import Daemon
    from swapd.coordinator.watch import Watcher

log = structlog.get_logger()


@dataclass
class Lifeboat:
    """daemon: the one that can not work."""

    daemon: Daemon
    _spare: Store | None = None
    _boat: Daemon | None = None

    @property
    def afloat(self) -> bool:
        """It is in use."""
        return self._boat is not None

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        return () if self._boat is None else tuple(self._boat.watchers.values())

    async def stock(self) -> bool:
        """Take what is open and not at rest on board; called while all is well, and once more when it is not, for what
        can be read. False if it could not be read: then what was on board before still is, if anything was."""
        if self.afloat:
            return False  # what it sent itself stands nowhere else
        try:
            now = self.daemon.house.clock()
            self._spare = await self.daemon.house.store.copy_open(
                self._spare,
                # of what failed a lock may come back that a reorganisation took, with its claim
                lambda row: row.status is Status.FAILED or not is_at_rest(row, now),
            )
        except SwapdError as error:
            log.warning("lifeboat.not_stocked", error=str(error))
            return False
        return True

    async def work(self) -> None:
        """Look at all chains, and carry out the exits that are due. Never raises."""
        try:
            if not self.afloat:
                await self._launch()
            if self._boat is None:
                return
            await asyncio.gather(*(watcher.look() for watcher in self._boat.watchers.values()))
            await self._boat.work()
        except SwapdError as error:
            log.error("lifeboat.trouble", error=str(error))
        except Exception:  # it is the last line: the next pass tries again
            log.exception("lifeboat.mistake")

    async def _launch(self) -> None:
        fresh = await self.stock()
        if self._spare is None:
            log.error("lifeboat.empty")
            return
        if not fresh:  # what it says was not sent may have been sent since
            await self._spare.mark_restored(0, "lifeboat")
        house = replace(self.daemon.house, store=self._spare)
        async with self._spare.write() as writing:
            await writing.remember_shown(house.shown)
        # its gate stays in the state of a start: nothing new is begun, and what was sent is let go only if it is in the
        # way of an exit
        boat = type(self.daemon)(house, self.daemon.pace, self.daemon.worker, stopping=self.daemon.stopping)
        boat.pulse = self.daemon.pulse
        for watcher in boat.watchers.values():
            watcher.resumed()
        await boat.sweep()
        self._boat = boat
        log.warning("lifeboat.afloat", trouble=self.daemon.house.store.trouble, fresh=fresh)

    def land(self) -> None:
        """The database is back."""
        if self.afloat:
            log.warning("lifeboat.landed")
        self._boat = None

    async def close(self) -> None:
        if self._spare is not None:
            await self._spare.close()
