"""One swapd: its seed and money, which stay, and its database and daemon, which are new for each run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Collection
from contextlib import AsyncExitStack, closing
from pathlib import Path

from swapd.chains.icp import principal
from swapd.cli.context import open_house
from swapd.coordinator.house import House
from swapd.devnet.money import Account
from swapd.devnet.party import CONFIG, PASSPHRASE
from swapd.settings import Settings, load
from swapd.store import Store
from swapd.vault import Vault, keyfile
from swapd.vault.secret import Secret
from tests.crash.daemons import Daemon, Server
from tests.crash.points import points
from tests.crash.world import World
from tests.scenarios.side import TIMING

COINS = 4
SATOSHI, WEI, E8S = 400_000_000, 10_000 * 10**18, 100_000 * 10**8
"""Enough for thousands of runs, each of which only moves some of it to the other party of its table."""

POLL_SECONDS, TICK_SECONDS, SWEEP_SECONDS = 5, 2, 20
"""A daemon is poked after each block, so its own turns are rare: the same point is then hit as often in each run."""


class Party:
    """market: principal of the marketplace whose requests it takes, and nobody else but who sits with it."""

    def __init__(self, name: str, number: int, folder: Path, world: World, server: Server, market: bytes) -> None:
        self.name = name
        self.folder = folder / name
        self.world = world
        self.daemon = Daemon(server, world.page, number, self.folder / "daemon.log", points())
        self.market = market
        self.account: Account
        self.house: House
        self.lookers = 0
        """Of the daemon: chains, and boards on them."""
        self._open: AsyncExitStack | None = None
        self._seen: sqlite3.Connection | None = None

    def overrides(self, chains: Collection[str]) -> dict[str, str]:
        timing = {
            f"SWAPD__CHAINS__{c}__TIMING__{k}": str(v)
            for c in ("BITCOIN", "ETHEREUM", "ICP")
            for k, v in TIMING.items()
        }
        return {
            **timing,
            **self.world.canisters.variables(),
            **{f"SWAPD__CHAINS__{name.upper()}__POLL_SECONDS": str(POLL_SECONDS) for name in chains},
            **{f"SWAPD__CHAINS__{name.upper()}__TIMEOUT_SECONDS": "30" for name in chains},
            **{
                f"SWAPD__CHAINS__{name}__ENABLED": str(name.lower() in chains).lower()
                for name in ("BITCOIN", "ETHEREUM", "ICP")
            },
            "SWAPD__CHAINS__ICP__CERTIFICATE_AGE": "120",
            "SWAPD__CHAINS__ICP__REQUEST_SECONDS": "240",
            "SWAPD__CHAINS__ICP__MARKETPLACES": f'["{principal.text(self.market)}"]',
            "SWAPD__DAEMON__DATA_DIR": str(self.folder),
            "SWAPD__DAEMON__WORKER": self.name,
            "SWAPD__DAEMON__LEASE_SECONDS": "120",
            "SWAPD__DAEMON__TICK_SECONDS": str(TICK_SECONDS),
            "SWAPD__DAEMON__SWEEP_SECONDS": str(SWEEP_SECONDS),
            "SWAPD__VAULT__PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "SWAPD__CHAINS__BITCOIN__WALLET": self.name,
            "SWAPD__CHAINS__BITCOIN__RPC_URL": self.world.bitcoind.rpc_url,
            "SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE": str(self.world.bitcoind.cookie_file),
            "SWAPD__CHAINS__BITCOIN__FEE__RUSH_SECONDS": str(TIMING["INCLUSION"]),
            "SWAPD__CHAINS__ETHEREUM__RPC_URL": self.world.anvil.rpc_url,
            "SWAPD__CHAINS__ETHEREUM__CONTRACT": self.world.contract,
            "SWAPD__CHAINS__ETHEREUM__RAMP_SECONDS": str(TIMING["INCLUSION"]),
        }

    def settings(self, chains: Collection[str]) -> Settings:
        return load(CONFIG, self.overrides(chains))

    async def found(self, empty: Path) -> list[str]:
        """Seed, an empty database to copy for each run, and money; but for the bitcoin, to be paid to these addresses.

        empty: a database of nobody's.
        """
        settings = self.settings(("bitcoin", "ethereum", "icp"))
        self.folder.mkdir(mode=0o700)
        passphrase = self.folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(PASSPHRASE)
        keyfile.create(settings.vault.key_file, keyfile.new_seed(), Secret(PASSPHRASE.encode()), devnet=True)
        shutil.copy(empty, self._database)
        with Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network) as vault:
            store = await Store.open(settings.database.url, vault)
            async with store.write("operator") as writing:
                await writing.bind("seed", vault.fingerprint)
                await writing.bind("network", settings.daemon.network.value)
            await store.close()
            at = {
                "bitcoin": self.name,
                "ethereum": vault.ethereum_address,
                "icp": principal.text(vault.icp_principal),
            }
        self.account = Account(self.name, at)
        self._database.rename(self.folder / "empty.db")
        await self.world.anvil.set_balance(at["ethereum"], WEI)
        await self.world.canisters.mint("ICP", at["icp"], E8S)
        node = self.world.bitcoind
        await node.create_wallet(self.name)
        return [await node.rpc("getnewaddress", "", "bech32", wallet=self.name) for _ in range(COINS)]

    @property
    def _database(self) -> Path:
        return self.folder / "swapd.db"

    # -- a run -----------------------------------------------------------------------------------------------------

    async def open(self, chains: Collection[str], boards: int) -> None:
        """A new database, and the owner's look at it, beside the daemon."""
        for file in self.folder.glob("swapd.db*"):
            file.unlink()
        shutil.copy(self.folder / "empty.db", self._database)
        self.daemon.environment = self.overrides(chains)
        self.lookers = len(chains) + boards
        self._open = AsyncExitStack()
        self.house = await self._open.enter_async_context(open_house(self.settings(chains)))
        for market in self.house.markets.values():
            await market.chain.start()
        self._seen = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)

    async def close(self) -> None:
        await self.daemon.kill()
        if self._seen is not None:
            self._seen.close()
            self._seen = None
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    def idle(self) -> bool:
        """Whether the daemon has seen the last block on every chain, and has done all that follows from it."""
        if not self.daemon.running:
            return True
        slot = self.daemon.slot
        if not slot.begun or slot.looks(self.lookers) <= self.world.moved_at or self._seen is None:
            return False
        with closing(self._seen.execute(_BUSY, (int(time.time()),))) as found:
            return found.fetchone() is None

    def going_on(self) -> str:
        """What it is busy with, for people."""
        slot = self.daemon.slot
        assert self._seen is not None
        rows = self._seen.execute("SELECT status, note, reason, next_due_at, leased_by FROM swaps").fetchall()
        effects = self._seen.execute("SELECT key, state, error FROM effects").fetchall()
        return f"{self.name} (begun: {slot.begun}, died: {slot.died}): {rows} {effects}"


_BUSY = "SELECT 1 FROM swaps WHERE next_due_at <= ? OR leased_by IS NOT NULL"
