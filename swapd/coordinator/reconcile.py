"""One swap, once: look at both chains, decide, write it down, carry it out."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from swapd.coordinator.execute import Executor, Job
from swapd.coordinator.gate import Gate
from swapd.coordinator.house import House
from swapd.coordinator.look import look
from swapd.protocol.status import Status
from swapd.protocol.story import next_step
from swapd.store import Lease, SwapRow

log = structlog.get_logger()

RETRY_SECONDS = 3
"""After which a swap in trouble (a node away, a transaction refused, entry shut) is looked at again in any case."""

WATCH_AFTER = 90 * 86_400
"""Seconds after its longer timelock for which an ended swap is still watched: late money comes within days if it comes
(rule S12), and every watched leg costs a little at each look. After that, `swapd swap refund` looks once more."""


@dataclass(frozen=True)
class Reconciler:
    """Level-triggered: it may be called at any time, any number of times, by any worker that holds the swap's lease."""

    house: House
    gate: Gate
    executor: Executor

    async def reconcile(self, lease: Lease) -> None:
        unread = await self._unread(lease.swap_id)
        async with self.house.store.read() as reading:
            row = await reading.swap(lease.swap_id)
        entry_open = self.gate.open_for(row)
        seen = await look(self.house, row, unread)
        decision = seen.decide(row, entry_open)
        status = decision.status or row.status
        note = next_step(row.terms, seen.views, status, decision)
        async with self.house.store.write() as writing:
            await writing.record_decision(
                row,
                lease.fence,
                decision,
                seen.views,
                note=note,
                reason="; ".join(seen.trouble) or self.gate.reason(row),
                watched=self._worth_watching(row, status),
            )
        if status is not row.status or decision.effects:
            log.info("swap.decided", swap=row.id, status=status.value, effects=[e.key for e in decision.effects])
        async with self.house.store.read() as reading:
            row = await reading.swap(lease.swap_id)
        troubled = await self.executor.carry_out(Job(row, lease, decision, entry_open, self.gate.starting))
        waits = not entry_open and not status.ended
        if troubled or seen.trouble or waits:
            async with self.house.store.write() as writing:
                await writing.wake_by(row.id, self.house.clock() + RETRY_SECONDS)

    async def _unread(self, swap_id: str) -> list[str]:
        """Chains on which the swap's past is not known. A swap that is new to this process is looked for at once."""
        async with self.house.store.read() as reading:
            terms = (await reading.swap(swap_id)).terms
        watchers = [self.gate.watchers[n] for leg in terms.legs if (n := leg.terms.chain) in self.gate.watchers]
        for watcher in watchers:
            if not watcher.knows(swap_id):
                await watcher.look()
        return [watcher.name for watcher in watchers if not watcher.knows(swap_id)]

    def _worth_watching(self, row: SwapRow, status: Status) -> bool:
        return not status.ended or self.house.clock() < row.terms.initiator.terms.timelock + WATCH_AFTER
