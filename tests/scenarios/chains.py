"""Two real nodes under one clock that nobody moves but the test: minutes pass when it says so, and cost nothing."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
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
    """now: Unix seconds, and only ever later. The clock of both nodes and of every swapd here."""

    bitcoind: Bitcoind = field(default_factory=lambda: Bitcoind(options=(f"-keypool={KEYS}",)))
    anvil: Anvil = field(default_factory=Anvil)
    contract: str = ""
    now: int = 0

    async def start(self) -> None:
        await asyncio.gather(self.bitcoind.start(), self.anvil.start())
        await self.bitcoind.history()
        with Vault(Secret(secrets.token_bytes(32)), Network.DEVNET) as deployer:
            await self.anvil.set_balance(deployer.ethereum_address, 10**18)
            self.contract, _ = await deployed(self.anvil, deployer)
        self.now = await self._ethereum_time() + BLOCK_SECONDS
        await self.blocks()

    async def stop(self) -> None:
        await asyncio.gather(self.bitcoind.stop(), self.anvil.stop())

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
            await asyncio.gather(self.bitcoin_block(), self.ethereum_block())

    async def time_is(self, unix_seconds: int) -> None:
        """Now, and by the clocks of both chains: what is due at this moment can be refunded by the next block."""
        assert unix_seconds >= self.now, "time does not go back"
        self.now = unix_seconds
        await self.ethereum_block()
        for _ in range(MEDIAN_BLOCKS):
            self.now += 1
            await self.bitcoin_block()

    async def _ethereum_time(self) -> int:
        return int((await self.anvil.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
