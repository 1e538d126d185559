"""Real nodes under one clock that nobody moves but the test: minutes pass when it says so, and cost nothing.

Two nodes, and the Internet Computer's replica for those who ask for it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

import pytest

from swapd.chains.ethereum.htlc import Htlc
from swapd.devnet.anvil import CHAIN_ID, Anvil
from swapd.devnet.bitcoind import Bitcoind
from swapd.devnet.icp import Icp
from swapd.devnet.icp_tokens import Tokens
from swapd.devnet.icp_world import TOKENS, IcpWorld
from swapd.devnet.money import Bitcoins, Coin, Ether
from swapd.devnet.node import Node
from swapd.devnet.pocketic_node import PocketIcNode, icp_node
from swapd.vault import Network, Vault
from swapd.vault.secret import Secret
from tests.chains.ethereum.world import deployed

BLOCK_SECONDS = 60
"""Between two blocks, on both chains; the timing profiles of `side.py` say the same."""

MEDIAN_BLOCKS = 7
"""Bitcoin's clock is the median of eleven timestamps: so many blocks of a new time move it there."""

KEYS = 20
"""That a wallet of the node makes ahead, of each kind. With the usual 1000, making or loading one takes a second."""


@dataclass
class Chains:
    """now: Unix seconds, and only ever later. The clock of all nodes and of every swapd here.

    icp: once `start_icp` was called. Its clock goes on by itself from where it was set: it may be some seconds ahead of
    `now`, and never behind. icp_ahead: nanoseconds that it is ahead of this machine's.
    """

    bitcoind: Bitcoind = field(default_factory=lambda: Bitcoind(options=(f"-keypool={KEYS}",)))
    anvil: Anvil = field(default_factory=Anvil)
    icp: Icp | PocketIcNode | None = None
    contract: str = ""
    now: int = 0
    icp_ahead: int = 0
    _world: IcpWorld | None = None

    async def start(self) -> None:
        await asyncio.gather(self.bitcoind.start(), self.anvil.start())
        await self.bitcoind.history()
        with Vault(Secret(secrets.token_bytes(32)), Network.DEVNET) as deployer:
            await self.anvil.set_balance(deployer.ethereum_address, 10**18)
            self.contract, _ = await deployed(self.anvil, deployer)
        self.now = await self._ethereum_time() + BLOCK_SECONDS
        await self.blocks()

    async def start_icp(self) -> None:
        """And install the canisters. Harmless if it runs."""
        if self.icp is None:
            self.icp = icp_node()
            await self.icp.start()
            self._world = await IcpWorld.on(self.icp, self.icp.folder / "canisters.json")
            await self._world.close()
        await self._icp_time()

    async def restart_icp(self) -> None:
        """A new process goes on with what the old one left on disk."""
        assert self.icp is not None, "start_icp first"
        if isinstance(self.icp, PocketIcNode):
            pytest.skip("PocketIC leaves nothing on disk")
        before = self.icp.process.pid
        await self.icp.restart()
        assert self.icp.process.pid != before
        await self._icp_time()

    def world(self) -> IcpWorld:
        """With a connection of its own; whoever asks closes it."""
        assert self._world is not None, "start_icp first"
        return self._world.again(self.icp_now)

    async def stop(self) -> None:
        nodes: list[Node] = [self.bitcoind, self.anvil]
        await asyncio.gather(*(node.stop() for node in [*nodes, *([self.icp] if self.icp else [])]))

    # -- money -----------------------------------------------------------------------------------------------------

    def coins(self, world: IcpWorld | None) -> list[Coin]:
        """To be counted; tokens too if there is a world in which they are."""
        found: list[Coin] = [Bitcoins(self.bitcoind), Ether(self.anvil, self.contract)]
        return found if world is None else [*found, *map(world.token, TOKENS)]

    async def locks(self, coin: Coin, first: int, last: int) -> list[str]:
        """The names (address, lock id) that were funded in these blocks, each as often as it was."""
        if isinstance(coin, Tokens):
            return await coin.locks(first, last)
        return await (self._bitcoin_outputs if isinstance(coin, Bitcoins) else self._ethereum_locks)(first, last)

    async def _bitcoin_outputs(self, first: int, last: int) -> list[str]:
        found = []
        for height in range(first, last + 1):
            block = await self.bitcoind.rpc("getblock", await self.bitcoind.rpc("getblockhash", height), 2)
            found += [o["scriptPubKey"].get("address", "") for tx in block["tx"] for o in tx["vout"]]
        return found

    async def _ethereum_locks(self, first: int, last: int) -> list[str]:
        asked = {
            "address": self.contract,
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [Htlc(CHAIN_ID, self.contract).locked_topic],
        }
        return [log["topics"][1] for log in await self.anvil.rpc("eth_getLogs", asked)]

    # -- time and blocks -------------------------------------------------------------------------------------------

    async def bitcoin_block(self) -> None:
        await self.bitcoind.set_time(self.now)
        await self.bitcoind.mine()

    async def ethereum_block(self) -> None:
        self.now = max(self.now, await self._ethereum_time() + 1)
        await self.anvil.set_next_timestamp(self.now)
        await self.anvil.mine()

    async def blocks(self, count: int = 1) -> None:
        """One on each chain, a minute later."""
        for _ in range(count):
            self.now += BLOCK_SECONDS
            await asyncio.gather(self.bitcoin_block(), self.ethereum_block(), self._icp_time())

    async def time_is(self, unix_seconds: int) -> None:
        """Now, and by the clocks of both chains: what is due at this moment can be refunded by the next block."""
        assert unix_seconds >= self.now, "time does not go back"
        self.now = unix_seconds
        await self.ethereum_block()
        for _ in range(MEDIAN_BLOCKS):
            self.now += 1
            await self.bitcoin_block()
        await self._icp_time()

    async def _icp_time(self) -> None:
        """Not behind the others."""
        if self.icp is not None:
            behind = self.now * 10**9 - (time.time_ns() + self.icp_ahead)
            if behind > 0:
                await self.icp.advance(behind / 10**9)
                self.icp_ahead += behind

    def icp_now(self) -> int:
        """Nanoseconds since 1970, by the replica's clock."""
        return time.time_ns() + self.icp_ahead

    async def _ethereum_time(self) -> int:
        return int((await self.anvil.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
