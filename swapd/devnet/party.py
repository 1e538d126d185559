"""One swapd as a person would run it: its own folder, seed, wallets and process, spoken to by the command line."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import swapd
from swapd.chains.icp import principal
from swapd.devnet.money import Account
from swapd.devnet.process import Process
from swapd.devnet.state import DevnetState
from swapd.errors import Rejected, Unavailable
from swapd.settings import Settings, load
from swapd.store import Store
from swapd.vault import Vault
from swapd.vault.passphrase import read_passphrase

CONFIG = Path(swapd.__file__).resolve().parents[1] / "config" / "devnet.toml"
PASSPHRASE = "devnet, nothing to steal"  # noqa: S105 - play money
COMMAND_SECONDS = 60.0


class Party:
    """A swapd on a devnet. name: of its folder and of its wallet in the devnet's bitcoind."""

    def __init__(self, name: str, folder: Path, devnet: DevnetState) -> None:
        self.name = name
        self.folder = folder / name
        self.log = self.folder / "daemon.log"
        self.overrides = {
            "SWAPD__DAEMON__DATA_DIR": str(self.folder),
            "SWAPD__DAEMON__WORKER": name,
            "SWAPD__VAULT__PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "SWAPD__CHAINS__BITCOIN__WALLET": name,
            **devnet.variables(),
        }
        self._daemon: Process | None = None

    @property
    def settings(self) -> Settings:
        return load(CONFIG, self.overrides)

    def command_line(self) -> str:
        """What a person types before a command to speak to this party."""
        assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.overrides.items())
        return f"{assignments} {sys.executable} -m swapd --config {CONFIG}"

    async def init(self) -> None:
        """Make seed and database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(PASSPHRASE)
        await self._run("init")

    def account(self) -> Account:
        """Where the party's own money lies."""
        with self._vault() as vault:
            at = {
                "bitcoin": self.name,
                "ethereum": vault.ethereum_address,
                "icp": principal.text(vault.icp_principal),
            }
        return Account(self.name, at)

    async def ask(self, *words: str) -> Any:
        """A command with --json, and its answer."""
        return json.loads(await self._run(*words, "--json"))

    async def start(self) -> None:
        """Start the daemon and wait until it is running."""
        self._daemon = Process(
            [sys.executable, "-m", "swapd", "--config", str(CONFIG), "run"],
            log=self.log,
            name=f"{self.name}'s swapd",
            env=self._environment(),
        )
        earlier = self._starts()

        async def ready() -> bool:
            return self._starts() > earlier

        await self._daemon.start(ready, timeout_seconds=COMMAND_SECONDS)

    async def stop(self) -> int | None:
        """Stop the daemon in good order; its exit code, None if it did not run."""
        return await self._daemon.stop() if self._daemon else None

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        if self._daemon is None:
            raise Unavailable(f"{self.name}'s daemon was not started")
        return self._daemon.pid

    def require_running(self) -> None:
        if self._daemon is not None and not self._daemon.running:
            raise Unavailable(f"{self.name}'s daemon ended by itself:\n{self._daemon.log_tail()}")

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The party's database, opened beside its daemon, to look."""
        with self._vault() as vault:
            store = await Store.open(self.settings.database.url, vault)
            try:
                yield store
            finally:
                await store.close()

    def _vault(self) -> Vault:
        settings = self.settings
        passphrase = read_passphrase(settings.vault.passphrase_file)
        return Vault.unlock(settings.vault.key_file, passphrase, settings.daemon.network)

    async def _run(self, *words: str) -> str:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "swapd", "--config", str(CONFIG), *words),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                output, errors = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise Rejected(f"{self.name}: swapd {' '.join(words)}: {errors.decode().strip()}")
        return output.decode()

    def _environment(self) -> dict[str, str]:
        return os.environ | self.overrides

    def _starts(self) -> int:
        return self.log.read_text().count("daemon.running") if self.log.exists() else 0
