"""Real nodes for all tests. Each fixture's node is a free-port, temporary-folder child that dies with the test process.

- `bitcoind` is shared by the tests of a worker: keep to a wallet of your own (`wallet`), look at differences, and do
  not move its clock or take blocks back.
- `own_bitcoind` and `anvil` are new for each test: do with them what you like.
- `postgres` is shared by a worker; `postgres_url` is a database of the test's own in it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from swapd.devnet.node import Node
from swapd.devnet.postgres import PostgresServer
from tests.tables import compare_once


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests recorded as their summary, after everything else."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == "summary" and report.when == "call":
                    terminalreporter.write_line(str(line))


def pytest_configure() -> None:
    compare_once()


def pytest_collection_finish() -> None:
    """What all tests share is not looked through again and again for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def bitcoind() -> Iterator[Bitcoind]:
    """A regtest node with 111 blocks up to now and a rich miner, shared by the tests of this worker."""
    node = Bitcoind()  # nodes are not tied to an event loop: start and stop may run in loops of their own
    asyncio.run(_start(node))
    yield node
    asyncio.run(node.stop())


@pytest.fixture
async def own_bitcoind() -> AsyncIterator[Bitcoind]:
    """A regtest node like `bitcoind`, of this test alone."""
    async with Bitcoind(zmq=True) as node:
        await node.history()
        yield node


@pytest.fixture
async def wallet(bitcoind: Bitcoind) -> str:
    """The name of an empty wallet of this test alone, on the shared `bitcoind`."""
    return await bitcoind.create_wallet(f"test-{secrets.token_hex(8)}")


@pytest.fixture
async def anvil() -> AsyncIterator[Anvil]:
    """An Ethereum node that mines when the test says so."""
    async with Anvil() as node:
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, shared by the tests of this worker."""
    server = PostgresServer()
    asyncio.run(_start(server))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> str:
    """The SQLAlchemy URL of an empty database of this test alone."""
    return await postgres.create_database(f"test_{secrets.token_hex(8)}")


async def _start(node: Node) -> None:
    try:
        await node.start()
        if isinstance(node, Bitcoind):
            await node.history()
    except BaseException:
        await node.stop()
        raise


@pytest.fixture
def quiet_after() -> Iterator[None]:
    """The logging of this process as it was before."""
    root, hook, settings = logging.getLogger(), sys.excepthook, structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**settings)
