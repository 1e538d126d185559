"""One chain, watched from the tower: what happened to the legs there. A chain in trouble stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from swapd.chains.base import ChainClock, Cursor, HtlcChain, Sighting, WatchedLeg
from swapd.errors import Rejected, SwapdError
from swapd.protocol.observation import UNKNOWN_VIEW, LegView
from swapd.protocol.terms import Leg

log = structlog.get_logger()

LONGEST = 120.0
"""Seconds for one look at all legs. What is left then is read at the next one."""

MOST_SCANS = 100
"""In one look: what is left then is read at the next one."""


@dataclass
class Post:
    """chain: as its adapter has it, with a vault that holds none of swapd's keys. trouble: why the last look failed, ""
    if it did not. Nothing is stored: after a start every leg is looked for from its birth."""

    name: str
    chain: HtlcChain
    trouble: str = "not looked at yet"
    _started: bool = False
    _cursor: Cursor | None = None
    _met: set[Leg] = field(default_factory=set)
    _seen: dict[tuple[str, str], dict[Sighting, None]] = field(default_factory=dict)

    async def look(self, legs: Sequence[WatchedLeg]) -> None:
        """Never raises."""
        trouble = ""
        try:
            async with asyncio.timeout(LONGEST):
                await self._look(legs)
        except TimeoutError:
            trouble = f"a look took longer than {LONGEST:g} s"
        except SwapdError as error:
            trouble = str(error)
        except Exception as error:  # a mistake of ours about one chain must not stop the others
            log.exception("watchtower.mistake", chain=self.name)
            trouble = f"{type(error).__name__}, a mistake of swapd's own"
        if trouble and trouble != self.trouble:
            log.warning("chain.unhealthy", chain=self.name, reason=trouble)
        elif self.trouble and not trouble:
            log.info("chain.healthy", chain=self.name)
        self.trouble = trouble

    async def _look(self, legs: Sequence[WatchedLeg]) -> None:
        if not self._started:
            await self.chain.start()
            self._started = True
        if self._cursor is None:
            # before the rescan: what comes between the two is seen twice, and not missed
            self._cursor = (await self.chain.scan(None, [])).cursor
        strangers = [leg for leg in legs if leg.leg not in self._met]
        if strangers:
            self._keep(await self.chain.rescan(strangers))
            self._met.update(leg.leg for leg in strangers)
        for _ in range(MOST_SCANS):
            scan = await self.chain.scan(self._cursor, [self.told(leg) for leg in legs])
            self._keep(scan.sightings)
            at_tip, self._cursor = scan.cursor.hash == self._cursor.hash, scan.cursor
            if at_tip:
                break
        self._keep(await self.chain.mempool([self.told(leg) for leg in legs]))
        if strangers:  # the spend of a lock that was met right now
            self._keep(await self.chain.mempool([self.told(leg) for leg in strangers]))

    def _keep(self, sightings: Iterable[Sighting]) -> None:
        for sighting in sightings:
            self._seen.setdefault((sighting.swap_id, sighting.role), {})[sighting] = None

    def told(self, leg: WatchedLeg) -> WatchedLeg:
        """The leg with everything that was seen of it."""
        return replace(leg, sightings=tuple(self._seen.get((leg.swap_id, leg.leg.role.value), ())))

    def forget(self, swap_id: str) -> None:
        """It is not watched any more; should it come back, it is looked for from its birth."""
        self._met = {leg for leg in self._met if leg.terms.hashlock.hex()[: len(swap_id)] != swap_id}
        for key in [key for key in self._seen if key[0] == swap_id]:
            del self._seen[key]

    async def view(self, leg: WatchedLeg, fingerprint: str) -> tuple[LegView, ChainClock | None, str]:
        """The leg and the chain's clock, now; UNKNOWN and why, where that can not be said. Never raises."""
        try:
            async with asyncio.timeout(LONGEST):
                if self.chain.fingerprint(leg.leg.terms) != fingerprint:
                    raise Rejected("configured for another contract or network than when the swap was made")
                if not self._started or not (self.chain.sees_all or leg.leg in self._met):
                    raise Rejected(self.trouble or "its blocks since the swap was made are not read yet")
                view, clock = await self.chain.view(self.told(leg)), await self.chain.clock()
                return view, clock, f"{self.name}: {view.doubt}" if view.doubt else ""
        except TimeoutError:
            return UNKNOWN_VIEW, None, f"{self.name}: no answer within {LONGEST:g} s"
        except SwapdError as error:
            return UNKNOWN_VIEW, None, f"{self.name}: {error}"
        except Exception as error:  # likewise
            log.exception("watchtower.mistake", chain=self.name, swap=leg.swap_id)
            return UNKNOWN_VIEW, None, f"{self.name}: {type(error).__name__}, a mistake of swapd's own"
