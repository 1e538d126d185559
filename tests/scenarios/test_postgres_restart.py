"""Two workers share one PostgreSQL, and it is restarted in the middle of their swaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import MethodType

import pytest

from swapd.coordinator.daemon import Daemon
from swapd.devnet.postgres import PostgresServer
from swapd.protocol.status import Status
from swapd.settings import Settings
from tests.scenarios.chains import Chains
from tests.scenarios.faults import remember_boat
from tests.scenarios.rig import DIRECTIONS, Rig, new_rig
from tests.scenarios.side import PACE, Side

SWAPS = 3
"""As many as the other side has coins for at once."""


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    async with PostgresServer() as made:
        yield made


@pytest.fixture
async def fleet(
    chains: Chains, server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    url, usual = await server.create_database("fleet"), Side.settings
    assert isinstance(usual, property)

    def settings(self: Side) -> Settings:
        if self.name == "house":
            self.more["SWAPD__DATABASE__URL"] = url.replace("+psycopg", "")
        found: Settings = usual.fget(self)  # type: ignore[misc]
        return found

    monkeypatch.setattr(Side, "settings", property(settings))
    async with new_rig(chains, DIRECTIONS[0], tmp_path) as rig:
        yield rig


def second_worker(side: Side) -> Daemon:
    """A second daemon on the same database, nodes and seed; from now on both work when the side looks."""
    second = Daemon(side.house, PACE, worker="second")

    async def look(self: Side) -> bool:
        async def by(daemon: Daemon) -> bool:
            woken = [await watcher.look() for watcher in daemon.watchers.values()]
            await daemon.turn()
            return any(woken)

        return any(await asyncio.gather(by(self.daemon), by(second)))

    side.look = MethodType(look, side)  # type: ignore[method-assign]
    return second


async def test_s4_postgres_restarted_under_two_workers_locks_nothing_twice_and_all_swaps_end(
    fleet: Rig, server: PostgresServer
) -> None:
    rig = fleet
    second = second_worker(rig.house)
    pairs = [(rig.house, rig.other), (rig.other, rig.house), (rig.house, rig.other)][:SWAPS]
    swaps = [await rig.agreed(*pair) for pair in pairs]
    before = server.process.pid

    async def restart() -> None:
        await server.process.stop()
        await server.start()

    for _ in range(2):
        await rig.block()
        await asyncio.gather(restart(), rig.block(2))
    assert server.process.pid != before
    for daemon in (rig.house.daemon, second):
        await remember_boat(rig, rig.house, daemon)
    for _ in range(5):
        await rig.house.look()
    assert rig.house.house.store.trouble == ""
    for terms in swaps:
        await rig.until_over(terms.swap_id, Status.COMPLETED)

    await rig.accounts_balance(locks=1)
