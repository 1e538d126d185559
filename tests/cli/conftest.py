"""A person at a terminal: every command of swapd in this process, on real nodes, with a folder of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest

from swapd.chains.ethereum.deploy import deploy
from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import MEDIAN_TIME_SPAN, Bitcoind
from swapd.settings import load
from swapd.vault import Network, Secret, Vault
from tests.cli.desk import CONFIG, PASSPHRASE, Desk

WIDE_MARGINS = {
    f"SWAPD__CHAINS__{chain}__TIMING__{margin}": seconds
    for chain in ("BITCOIN", "ETHEREUM")
    for margin, seconds in (("INCLUSION", "60"), ("FUNDING_WINDOW", "600"))
}
SATOSHI = 100_000_000
WEI = 10**19
OLD_SECONDS = 20
"""By so much Bitcoin's clock may be behind: less than the slack that daemons allow."""


@pytest.fixture(scope="session")
def ethereum() -> Iterator[Anvil]:
    """An Ethereum node that mines when it is told to, shared by the tests of this worker."""
    node = Anvil()
    try:
        asyncio.run(node.start())
        yield node
    finally:
        asyncio.run(node.stop())


@pytest.fixture(scope="session")
def contract(ethereum: Anvil) -> str:
    """The HTLC contract's address on it."""
    return asyncio.run(deployed(ethereum))


async def deployed(node: Anvil) -> str:
    """The address of a new HTLC contract on a node that mines when it is told to."""
    settings = load(CONFIG, {"SWAPD__CHAINS__ETHEREUM__RPC_URL": node.rpc_url}).chains["ethereum"]
    with Vault(Secret(secrets.token_bytes(32)), Network.DEVNET) as vault:
        await node.set_balance(vault.ethereum_address, WEI)
        deploying = asyncio.create_task(deploy(settings, vault, within_seconds=30))  # type: ignore[arg-type]
        while not deploying.done():
            await node.mine()
            await asyncio.sleep(0.02)
        return deploying.result().contract


@pytest.fixture
def nowhere(tmp_path: Path) -> Desk:
    """Somebody who has done nothing yet but to write down a passphrase. No node answers there."""
    return _nowhere(tmp_path)


@pytest.fixture
def poor(nowhere: Desk, bitcoind: Bitcoind, ethereum: Anvil, contract: str) -> Iterator[Desk]:
    """A desk with seed, database, nodes and contract, and no money. At its end, nothing it ever said was secret."""
    _connect(nowhere, bitcoind, ethereum, contract)
    yield nowhere
    nowhere.assert_kept_its_secrets()


@pytest.fixture
def desk(poor: Desk, bitcoind: Bitcoind, ethereum: Anvil) -> Desk:
    """A desk with money on both chains."""
    _pay(poor, bitcoind, ethereum)
    return poor


@pytest.fixture(scope="session")
def _standing(
    tmp_path_factory: pytest.TempPathFactory, bitcoind: Bitcoind, ethereum: Anvil, contract: str
) -> Iterator[Desk]:
    yield from _opened(tmp_path_factory.mktemp("standing"), bitcoind, ethereum, contract)


@pytest.fixture(scope="session")
def counterparty(
    tmp_path_factory: pytest.TempPathFactory, bitcoind: Bitcoind, ethereum: Anvil, contract: str
) -> Iterator[Desk]:
    """Another swapd on the same nodes, with a seed, wallets and a database of its own."""
    yield from _opened(tmp_path_factory.mktemp("counterparty"), bitcoind, ethereum, contract)


def _opened(folder: Path, bitcoind: Bitcoind, ethereum: Anvil, contract: str) -> Iterator[Desk]:
    desk = _nowhere(folder)
    _connect(desk, bitcoind, ethereum, contract)
    _pay(desk, bitcoind, ethereum)
    yield desk
    desk.assert_kept_its_secrets()


@pytest.fixture
def standing(_standing: Desk, bitcoind: Bitcoind, ethereum: Anvil) -> Desk:
    """A desk like `desk`, shared by the tests that leave it as it is."""
    refresh(bitcoind, ethereum)
    return _standing


def _nowhere(folder: Path) -> Desk:
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    return Desk(
        folder,
        {
            "SWAPD__DAEMON__DATA_DIR": str(folder / "data"),
            "SWAPD__VAULT__PASSPHRASE_FILE": str(passphrase),
            "SWAPD__CHAINS__BITCOIN__RPC_URL": "http://127.0.0.1:1",
            "SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE": str(folder / "no-cookie"),
            "SWAPD__CHAINS__ETHEREUM__RPC_URL": "http://127.0.0.1:1",
        },
    )


def _connect(desk: Desk, bitcoind: Bitcoind, ethereum: Anvil, contract: str) -> None:
    """With margins so wide that no test depends on how fast this machine is."""
    desk.variables |= WIDE_MARGINS | {
        "SWAPD__CHAINS__BITCOIN__WALLET": asyncio.run(bitcoind.create_wallet(f"cli-{secrets.token_hex(8)}")),
        "SWAPD__CHAINS__BITCOIN__RPC_URL": bitcoind.rpc_url,
        "SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE": str(bitcoind.cookie_file),
        "SWAPD__CHAINS__ETHEREUM__RPC_URL": ethereum.rpc_url,
        "SWAPD__CHAINS__ETHEREUM__CONTRACT": contract,
    }
    desk.run("init")


def _pay(desk: Desk, bitcoind: Bitcoind, ethereum: Anvil) -> None:
    found = desk.ask("wallet", "addresses")
    asyncio.run(bitcoind.fund(found["bitcoin"]["BTC"], SATOSHI))
    asyncio.run(ethereum.set_balance(found["ethereum"]["ETH"], WEI))
    refresh(bitcoind, ethereum)


def refresh(bitcoind: Bitcoind, ethereum: Anvil) -> None:
    """The clocks of shared nodes go again, if they stood still while other tests had no use for a block.

    Not each time: eleven blocks at once put Bitcoin's clock forward by two seconds.
    """
    if time() - asyncio.run(bitcoind.rpc("getblockchaininfo"))["mediantime"] > OLD_SECONDS:
        asyncio.run(bitcoind.mine(MEDIAN_TIME_SPAN))
    asyncio.run(ethereum.mine())
