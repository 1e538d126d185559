"""What every daemon does once at its start, done before it is forked: most of a second of a processor's time each."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tempfile
import threading
from pathlib import Path

import swapd.cli.main
import swapd.coordinator.daemon
import swapd.coordinator.requests
from swapd.cli.context import open_house
from swapd.devnet.party import CONFIG, PASSPHRASE
from swapd.settings import load
from swapd.store import Store
from swapd.vault import Vault, keyfile
from swapd.vault.secret import Secret
from tests.tables import compare_once

DAEMON = (swapd.cli.main, swapd.coordinator.daemon, swapd.coordinator.requests)
"""Imported for those who come after."""


def warm_up() -> None:
    """Import and compile what is used at a start. Leaves no thread and no file behind."""
    spare_certificates()
    compare_once()
    gc.unfreeze = lambda: None  # what a daemon inherits is not its own to look through: to touch a page is to copy it
    with tempfile.TemporaryDirectory(prefix="swapd-crash-warm-") as folder:
        asyncio.run(_open_once(Path(folder)))
    assert threading.active_count() == 1, "a fork would copy half of this process"


def spare_certificates() -> None:
    """All nodes are on this machine and speak plain HTTP, so reading the world's root certificates, a tenth of a second
    for each client, serves nobody."""
    ssl.SSLContext.load_verify_locations = lambda *_, **__: None  # type: ignore[method-assign]


async def _open_once(folder: Path) -> None:
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    settings = load(CONFIG, {"SWAPD__DAEMON__DATA_DIR": str(folder), "SWAPD__VAULT__PASSPHRASE_FILE": str(passphrase)})
    keyfile.create(settings.vault.key_file, keyfile.new_seed(), Secret(PASSPHRASE.encode()), devnet=True)
    await Store.upgrade(settings.database.url)
    with Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network) as vault:
        store = await Store.open(settings.database.url, vault)
        async with store.write("operator") as writing:
            await writing.bind("seed", vault.fingerprint)
            await writing.bind("network", settings.daemon.network.value)
        await store.close()
    async with open_house(settings) as house:
        async with house.store.write() as writing:
            await writing.open_swaps()
        async with house.store.read() as reading:
            await reading.unfinished()
