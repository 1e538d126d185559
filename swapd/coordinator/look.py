"""Looking at a swap: both legs and both clocks, read from the chains now. A chain that does not answer is UNKNOWN."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from swapd.chains.base import ChainClock
from swapd.coordinator.house import House
from swapd.errors import Rejected, SwapdError
from swapd.protocol.decide import Clocks, Decision, decide
from swapd.protocol.observation import UNKNOWN_VIEW, LegView
from swapd.protocol.terms import Role
from swapd.store import SwapRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Look:
    """What both chains show of a swap at one moment. trouble: why a leg is UNKNOWN, or in doubt, in words."""

    views: dict[Role, LegView]
    clocks: Clocks
    trouble: tuple[str, ...] = ()

    def decide(self, row: SwapRow, entry_open: bool) -> Decision:
        initiator, participant = self.views[Role.INITIATOR], self.views[Role.PARTICIPANT]
        return decide(row.terms, initiator, participant, row.memory, self.clocks, entry_open)


async def look(house: House, row: SwapRow, unread: Collection[str] = ()) -> Look:
    """Never raises for a chain in trouble: the other one's exits go on (rule S8). unread: chains on which this swap was
    not looked for yet, so that not to see anything there would say nothing."""
    sides = await asyncio.gather(*(_side(house, row, role, unread) for role in Role))
    clocks = {role: clock.time if clock else None for role, (_, clock, _) in zip(Role, sides, strict=True)}
    return Look(
        views={role: view for role, (view, _, _) in zip(Role, sides, strict=True)},
        clocks=Clocks(house.clock(), clocks[Role.INITIATOR], clocks[Role.PARTICIPANT]),
        trouble=tuple(why for _, _, why in sides if why),
    )


async def _side(
    house: House, row: SwapRow, role: Role, unread: Collection[str]
) -> tuple[LegView, ChainClock | None, str]:
    name = row.terms.leg(role).terms.chain
    if name in unread:
        return UNKNOWN_VIEW, None, f"{name}: its blocks since the swap was made are not read yet"
    try:
        chain = house.chain(name)
        if chain.fingerprint(row.terms.leg(role).terms) != row.legs[role].fingerprint:
            raise Rejected("configured for another contract or network than when the swap was made")
        view, clock = await chain.view(row.watched_leg(role)), await chain.clock()
        return view, clock, f"{name}: {view.doubt}" if view.doubt else ""
    except SwapdError as error:
        return UNKNOWN_VIEW, None, f"{name}: {error}"
    except Exception as error:  # a mistake of ours about one chain must not stop the other's exits
        log.exception("look.mistake", swap=row.id, chain=name)
        return UNKNOWN_VIEW, None, f"{name}: {type(error).__name__}, a mistake of swapd's own"
