"""How the house stands, in figures for `/metrics`: one short reading of the database, and one look into each wallet.

What is asked again within `FRESH_SECONDS` gets the same answer, and whoever asks meanwhile waits for it: to watch swapd
costs the same however many watch. What could not be found out in time is left out, and the rest is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from swapd.chains.abilities import Observed
from swapd.coordinator.limits import exposure
from swapd.errors import SwapdError
from swapd.protocol.outlook import outlook
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import Found
from swapd.store.figures import BookFigures
from swapd.store.reading import promised
from swapd.telemetry.facts import Figures

if TYPE_CHECKING:
    from swapd.coordinator.daemon import Daemon

log = structlog.get_logger()

FRESH_SECONDS = 5.0
"""Several who scrape at the same rhythm, or one that is impatient, cause one reading."""

WALLET_SECONDS = 60.0
"""For which a balance is told without asking the node again: it is for an alert that is an hour ahead of trouble."""

PATIENCE_SECONDS = 5.0
"""For the database, and for each wallet: half of the time after which Prometheus gives a scrape up."""

MORE_OPEN = 1_000
"""Beyond what settings allow to be open, for a limit that was lowered since."""

_GOING = [status for status in Status if not status.ended]

_Table = dict[tuple[str, ...], float]


@dataclass
class Observatory:
    """daemon: the one that is watched."""

    daemon: Daemon
    now: Callable[[], float] = time.monotonic
    _figures: Figures = field(default_factory=dict)
    _read_at: float | None = None
    _balances: dict[str, tuple[float, Mapping[str, int]]] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    """Conditions that held once: they are told as 0 when they are over."""
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Figures:
        """Never raises for what it can leave out."""
        async with self._one_at_a_time:
            if self._read_at is None or self.now() - self._read_at >= FRESH_SECONDS:
                await self._look()
                self._read_at = self.now()
            return {**self._figures, "swapd_loop_age_seconds": {(): self.daemon.pulse.age}}

    async def _look(self) -> None:
        wallets = asyncio.gather(*(self._wallet(name) for name in self.daemon.house.markets))
        books = await self._books()
        await wallets
        self._figures = {**books, **self._standing(), "swapd_hot_balance": self._wallets()}

    # -- the database

    async def _books(self) -> dict[str, _Table]:
        house = self.daemon.house
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), house.store.read() as reading:
                figures = await reading.figures(house.clock())
                # not all that is watched: what has ended is, for months, and has nothing at stake
                found = await reading.swaps(status=_GOING, limit=house.limits.open_swaps + MORE_OPEN)
        except (SwapdError, TimeoutError) as error:
            log.warning("figures.not_read", error=str(error) or f"no answer within {PATIENCE_SECONDS:g} s")
            return {}
        return {**self._counts(figures), **self._stakes(found)}

    def _counts(self, figures: BookFigures) -> dict[str, _Table]:
        now = self.daemon.house.clock()
        waiting, held = figures.deliveries["waiting"], figures.deliveries["held"]
        depths = {
            "due": figures.due,
            "effects": sum(figures.effects.values()),
            "requests": figures.requests,
            "webhooks": waiting + held,
        }
        return {
            "swapd_swaps": _by(figures.swaps),
            "swapd_swaps_frozen": {(): figures.frozen},
            "swapd_disputes_open": {(): figures.disputes},
            "swapd_nearest_deadline_seconds": _by({kind: at - now for kind, at in figures.deadlines.items()}),
            "swapd_unsent_deadline_seconds": _by({kind: at - now for kind, at in figures.unsent.items()}),
            "swapd_effects_open": {(kind, state): float(n) for (kind, state), n in figures.effects.items()},
            "swapd_fees_paid_total": _by(figures.fees_paid),
            "swapd_leases": {(): figures.leases},
            "swapd_queue_depth": _by(depths),
            "swapd_webhook_dead_letters": {(): figures.deliveries["dead"]},
            "swapd_chain_height": _by({n: h for n, h in figures.heights.items() if n in self.daemon.house.markets}),
        }

    def _stakes(self, found: Found) -> dict[str, _Table]:
        house = self.daemon.house
        now = house.clock()
        assets = {symbol: asset for market in house.markets.values() for symbol, asset in market.assets.items()}
        ahead = [
            deadline.at - now
            for row in found.swaps
            for deadline in outlook(row.terms, {role: row.legs[role].view for role in Role}, row.status)
            if deadline.at > now
        ]
        zeros = dict.fromkeys(assets, 0)
        return {
            "swapd_damaged_rows": {(): len(found.damaged)},
            "swapd_exposure": _by({**zeros, **exposure(found.swaps)}),
            "swapd_exposure_max": _by({s: a.exposure_max for s, a in assets.items() if a.exposure_max is not None}),
            "swapd_hot_promised": _by({**zeros, **promised(found.swaps, now)}),
            "swapd_next_deadline_seconds": {(): min(ahead)} if ahead else {},
        }

    # -- wallets

    async def _wallet(self, name: str) -> None:
        asked_at = self._balances.get(name, (None, {}))[0]
        if asked_at is not None and self.now() - asked_at < WALLET_SECONDS:
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self._balances[name] = (self.now(), await self.daemon.house.chain(name).balances())
        except (SwapdError, TimeoutError):
            self._balances.pop(name, None)  # that the chain is away is told by other figures
        except Exception:  # a mistake of ours with one chain must not hide the others
            log.exception("figures.mistake", chain=name)
            self._balances.pop(name, None)

    def _wallets(self) -> _Table:
        return {
            (chain, symbol): float(amount)
            for chain, (_, balances) in self._balances.items()
            for symbol, amount in balances.items()
        }

    # -- this process

    def _standing(self) -> dict[str, _Table]:
        daemon = self.daemon
        watchers = daemon.watchers
        held = {
            (name, condition): number
            for name, market in daemon.house.markets.items()
            if isinstance(market.chain, Observed)
            for condition, number in market.chain.holding.items()
        }
        self._seen |= held.keys()
        return {
            "swapd_chain_up": _by({name: not watcher.doubt for name, watcher in watchers.items()}),
            "swapd_chain_clock_drift_seconds": _by({n: w.lag for n, w in watchers.items() if w.lag is not None}),
            "swapd_chain_clock_beyond_margins": _by({name: watcher.drifts for name, watcher in watchers.items()}),
            "swapd_conditions": {labels: held.get(labels, 0) for labels in sorted(self._seen)},
            "swapd_store_trouble": {(): bool(daemon.house.store.trouble)},
            "swapd_lifeboat_afloat": {(): daemon.lifeboat.afloat},
            "swapd_entry_open": {(): not daemon.gate.closed},
            "swapd_starting": {(): daemon.gate.starting},
        }


def _by(figures: Mapping[str, float]) -> _Table:
    return {(label,): float(value) for label, value in figures.items()}
