"""One swap, once: look at both chains, decide, write it down, carry it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from swapd.coordinator.approvals import missing
from swapd.coordinator.disputes import FROZEN, give_back
from swapd.coordinator.execute import RETRY_SECONDS, Executor, Job
from swapd.coordinator.gate import Gate
from swapd.coordinator.house import House
from swapd.coordinator.look import Look, look
from swapd.crashpoint import crashpoint
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.story import next_step
from swapd.protocol.terms import Role
from swapd.store import Lease, SwapRow

log = structlog.get_logger()

WATCH_AFTER = 90 * 86_400
"""Seconds after its longer timelock for which an ended swap is still watched: late money comes within days if it comes
(rule S12), and every watched leg costs a little at each look. What is locked is watched for ever; for what comes later
still, `swapd swap refund` looks once more."""

FORGETFUL = (
    "it came out of a backup, or was found again by the seed: what swapd had not funded by then it never funds, and "
    "claims and refunds go on"
)

UNANSWERED = "the answer to its request does not stand on the chain yet"
"""Why a swap that somebody asked for on a chain is not begun. Whatever else answers, or a swapd that lost its database
and took the request for new, the chain keeps one answer: so of one request one swap is funded."""


class Keeper(Protocol):
    """Who keeps a copy of how each swap stands, outside of the database: for a second machine, should this one burn.
    trouble: by swap, why its copy could not be written."""

    @property
    def trouble(self) -> Mapping[str, str]: ...

    async def keep(self, row: SwapRow) -> None:
        """Never raises, and never takes long: it is asked after everything that is due was sent."""


@dataclass(frozen=True)
class Reconciler:
    """Level-triggered: it may be called at any time, any number of times, by any worker that holds the swap's lease."""

    house: House
    gate: Gate
    executor: Executor
    keeper: Keeper | None = None

    async def reconcile(self, lease: Lease) -> None:
        unread = await self._unread(lease.swap_id)
        async with self.house.store.read() as reading:
            row = await reading.swap(lease.swap_id)
            closed = self.gate.reason(row) or (UNANSWERED if await reading.unanswered(row.id) else "")
        waits = missing(self.house, row)
        entry_open = not (closed or waits)
        seen = await look(self.house, row, unread)
        decision = seen.decide(row, entry_open)
        status = decision.status or row.status
        if seen.trouble or (closed and not status.ended):
            again = self.house.clock() + RETRY_SECONDS
            decision = replace(decision, next_due_at=min(again, decision.next_due_at or again))
        note = next_step(row.terms, seen.views, status, decision)
        crashpoint("reconcile.decided")
        async with self.house.store.write() as writing:
            await writing.record_decision(
                row,
                lease.fence,
                decision,
                seen.views,
                note=note,
                reason="; ".join(seen.trouble) or closed or ("" if status.ended else _stands(row) or waits),
                watched=self._worth_watching(row, status, seen),
            )
        crashpoint("reconcile.recorded")
        if status is not row.status or decision.effects:
            log.info("swap.decided", swap=row.id, status=status.value, effects=[e.key for e in decision.effects])
        async with self.house.store.read() as reading:
            row = await reading.swap(lease.swap_id)
        pause = await self.executor.carry_out(
            Job(row, lease, decision, entry_open, self.gate.starting, seen.clocks.latest)
        )
        await give_back(self.house, row, seen)
        if pause:
            async with self.house.store.write() as writing:
                await writing.wake_by(row.id, self.house.clock() + pause)
        if self.keeper is not None:
            await self.keeper.keep(row)

    async def _unread(self, swap_id: str) -> list[str]:
        """Chains on which the swap's past is not known. A swap that is new to this process is looked for at once."""
        async with self.house.store.read() as reading:
            row = await reading.swap(swap_id)
        watchers = [self.gate.watchers[n] for leg in row.terms.legs if (n := leg.terms.chain) in self.gate.watchers]
        # where a view needs no sighting, exits must not wait for a scan: it may be long, or fail on somebody's account
        needed = [watcher for watcher in watchers if not self.house.chain(watcher.name).sees_all]
        for watcher in needed:
            await watcher.meet(row)
        return [watcher.name for watcher in needed if not watcher.knows(swap_id)]

    def _worth_watching(self, row: SwapRow, status: Status, seen: Look) -> bool:
        here = (LegState.UNKNOWN, LegState.SEEN, LegState.LOCKED)
        if not status.ended or any(view.state in here or view.strays for view in seen.views.values()):
            return True
        # by the chains' clocks where they can be asked: ours may be ahead
        clocks = [clock for role in Role if (clock := seen.clocks.of(role)) is not None]
        now = min(clocks, default=self.house.clock())
        return now < row.terms.initiator.terms.timelock + WATCH_AFTER


def _stands(row: SwapRow) -> str:
    """For people, who may wonder why a leg is not funded."""
    if row.frozen_at is not None:
        return FROZEN
    return FORGETFUL if row.memory.restored else ""
