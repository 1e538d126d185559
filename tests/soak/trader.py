"""One swapd of the soak: a daemon of its own, a node for each chain that may fail it alone, and a database that others
may lock."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections.abc import Collection
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

from swapd.protocol.status import ENDED, Status
from tests.crash.daemons import Server
from tests.crash.party import Party
from tests.crash.world import World
from tests.soak.proxy import Proxy

CHAINS = ("bitcoin", "ethereum", "icp")
FINALITY = 3
"""Confirmations of a leg on Bitcoin and Ethereum: reorgs go up to one less."""

ANSWER_SECONDS = 5
STOP_SECONDS = 60.0
"""Much more than `daemon.stop_seconds`, for a machine that does other things too."""


class Trader(Party):
    """down: the harness has ended its daemon, and will start it again. mishaps: what should never happen to a daemon,
    in words."""

    def __init__(self, name: str, number: int, folder: Path, world: World, server: Server, dice: random.Random) -> None:
        super().__init__(name, number, folder, world, server, b"")
        self._dice = dice
        self._proxies = AsyncExitStack()
        self._lock: sqlite3.Connection | None = None
        self.nodes: dict[str, Proxy] = {}
        self.down = False
        self._ending = False
        self.mishaps: list[str] = []

    def overrides(self, chains: Collection[str]) -> dict[str, str]:
        tiers = f"[{{ confirmations = {FINALITY} }}]"
        return {
            **super().overrides(chains),
            **{f"SWAPD__CHAINS__{name.upper()}__TIMEOUT_SECONDS": str(ANSWER_SECONDS) for name in chains},
            "SWAPD__CHAINS__ICP__MARKETPLACES": "[]",
            "SWAPD__CHAINS__BITCOIN__ASSETS__BTC__TIERS": tiers,
            "SWAPD__CHAINS__ETHEREUM__ASSETS__ETH__TIERS": tiers,
        }

    async def begin(self) -> None:
        """Database, proxies, daemon."""
        await self.open(CHAINS, 0)
        for chain in CHAINS:
            name = f"SWAPD__CHAINS__{chain.upper()}__{'API' if chain == 'icp' else 'RPC'}_URL"
            proxy = await self._proxies.enter_async_context(Proxy(self.daemon.environment[name], self._dice))
            self.nodes[chain] = proxy
            self.daemon.environment[name] = proxy.url
        await self.daemon.start()

    async def end(self) -> None:
        self.unlock()
        await self.close()
        await self._proxies.aclose()

    # -- faults ----------------------------------------------------------------------------------------------------

    @property
    def disturbed(self) -> bool:
        """Whether nobody may expect it to keep step."""
        return self._lock is not None or any(proxy.fault for proxy in self.nodes.values())

    async def kill(self) -> None:
        self.notice()
        self.down = self._ending = True
        await self.daemon.kill()
        self._ending = False

    async def terminate(self) -> None:
        """In good order, which has a bound and ends with 0."""
        self.notice()
        self.down = self._ending = True
        if self.daemon.running:
            await self._terminate(self.daemon.pid)
        self._ending = False

    async def _terminate(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while (code := self.daemon.server.exit_code(pid)) is None:
            if time.monotonic() > deadline:
                self.mishaps.append(f"did not end within {STOP_SECONDS:g} s of SIGTERM")
                await self.daemon.kill()
                return
            await asyncio.sleep(0.005)
        self.daemon.pid = 0
        # before its event loop runs, Python's own way to die of a signal is as good
        if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            self.mishaps.append(f"ended with {code} after SIGTERM: {self.daemon.log_tail()}")

    async def revive(self) -> None:
        self.notice()
        self.down = False
        if not self.daemon.running:
            await self.daemon.start()

    def notice(self) -> bool:
        """Whether the daemon has ended by itself, which is a mishap."""
        if self._ending or not self.daemon.died():
            return False
        self.mishaps += self.daemon.mishaps
        self.daemon.mishaps.clear()
        return True

    def lock(self) -> None:
        """Somebody else holds the database's write lock. Raises sqlite3.OperationalError when it is busy just now."""
        assert self._lock is None
        connection = sqlite3.connect(self._database, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()
            raise
        self._lock = connection

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.execute("ROLLBACK")
            self._lock.close()
            self._lock = None

    async def lose_a_wei(self) -> None:
        """In no transaction."""
        node, address = self.world.anvil, self.account.at["ethereum"]
        await node.set_balance(address, int(await node.rpc("eth_getBalance", address, "latest"), 16) - 1)

    # -- looking ---------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        if self.daemon.running and not self._ending and self.daemon.slot.begun:
            with suppress(ProcessLookupError):  # it has ended this moment, which is noticed
                self.daemon.poke()

    @property
    def engaged(self) -> bool:
        """Whether one of its swaps goes on."""
        assert self._seen is not None
        with closing(self._seen.execute("SELECT DISTINCT status FROM swaps")) as found:
            return not {Status(status) for (status,) in found} <= ENDED

    def progress(self) -> object:
        """Equal as long as nothing goes on here."""
        assert self._seen is not None
        with closing(self._seen.cursor()) as cursor:
            swaps = cursor.execute("SELECT id, status FROM swaps ORDER BY id").fetchall()
            (sent,) = cursor.execute("SELECT count(*) FROM transactions").fetchone()
        return swaps, sent
