"""The stages, each new for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from tests.chains.bitcoin.conftest import _world as bitcoin_world
from tests.chains.ethereum.world import new_world as ethereum_world
from tests.chains.icp.world import new_world as icp_world
from tests.suite.fakes import FakeStage
from tests.suite.reals import BitcoinStage, EthereumStage, IcpStage
from tests.suite.stage import Stage

STAGES = ("fake bitcoin", "fake ethereum", "fake icp", "bitcoin", "ethereum", "icp")


@pytest.fixture(params=STAGES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    kind: str = request.param
    if kind.startswith("fake"):
        yield FakeStage.of(kind)
        return
    async with AsyncExitStack() as stack:
        if kind == "bitcoin":
            node = await stack.enter_async_context(Bitcoind(zmq=True))
            await node.history()
            world = await bitcoin_world(node, await node.create_wallet("swapd"))
            stack.push_async_callback(world.chain.close)
            yield BitcoinStage(world)
        elif kind == "ethereum":
            anvil = await stack.enter_async_context(Anvil())
            yield EthereumStage(await stack.enter_async_context(ethereum_world(anvil)))
        else:
            yield IcpStage(await stack.enter_async_context(icp_world(tmp_path)))
