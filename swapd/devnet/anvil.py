"""A real Ethereum node with a chain of its own: anvil."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from swapd.devnet import fetch
from swapd.devnet.node import Node
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.process import Process
from swapd.devnet.rpc import JsonRpc
from swapd.errors import Rejected, Unavailable

CHAIN_ID = 31337


class Anvil(Node):
    """anvil; blocks come when they are asked for, or every `block_time` seconds.

        async with Anvil() as node:
            await node.set_balance(address, 10**18)
            await node.mine(1)

    `folder` is kept at the end, a temporary one (none given) is removed. `accounts` rich accounts come from anvil's
    well-known mnemonic and sign inside the node. `slots_in_an_epoch` sets how far the tags `safe` (one epoch) and
    `finalized` (two) are behind the tip; 32 as on mainnet.
    """

    name = "anvil"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        binary: str | Path | None = None,
        block_time: float | None = None,
        accounts: int = 10,
        slots_in_an_epoch: int = 32,
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(folder)
        self.rpc_port = free_port()
        self.rpc_url = f"http://{LOOPBACK}:{self.rpc_port}"
        self._binary = binary
        self._block_time = block_time
        self._accounts = accounts
        self._slots_in_an_epoch = slots_in_an_epoch
        self._options = options
        self._rpc = JsonRpc(self.rpc_url)

    # --- asking --------------------------------------------------------------------------------------------------

    async def rpc(self, method: str, *params: Any) -> Any:
        """Any RPC. Raises `Rejected` with the node's words, or `Unavailable`."""
        return await self._rpc.call(method, *params)

    async def best(self) -> tuple[int, str]:
        """Number and hash (0x hex) of the tip."""
        block = await self.rpc("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), block["hash"]

    # --- making things happen ------------------------------------------------------------------------------------

    async def mine(self, blocks: int = 1) -> None:
        """Mine blocks at once; the first takes what waits in the mempool."""
        await self.rpc("anvil_mine", hex(blocks))

    async def set_next_timestamp(self, unix_seconds: int) -> None:
        """The time of the next block; must be later than the tip's. The clock goes on from there."""
        await self.rpc("evm_setNextBlockTimestamp", unix_seconds)

    async def set_balance(self, address: str, wei: int) -> None:
        await self.rpc("anvil_setBalance", address, hex(wei))

    async def reorg(self, depth: int) -> None:
        """Replace the last `depth` blocks by as many empty ones; their transactions are dropped, not returned."""
        await self.rpc("anvil_reorg", depth, [])

    async def snapshot(self) -> str:
        """Remember the present state; the answer goes to `revert`, once."""
        identity: str = await self.rpc("evm_snapshot")
        return identity

    async def revert(self, snapshot: str) -> None:
        """Go back to a snapshot. Raises `Rejected` if it is unknown or was used."""
        if not await self.rpc("evm_revert", snapshot):
            raise Rejected(f"evm_revert: no snapshot {snapshot}")

    async def _answers(self) -> bool:
        try:
            await self.rpc("eth_chainId")
        except Unavailable:
            return False
        return True

    async def _prepare(self) -> Process:
        tool = await asyncio.to_thread(fetch.anvil, self._binary)
        return Process([*tool.command, *self._arguments()], log=self.folder / "anvil.log", name=self.name)

    def _arguments(self) -> list[str]:
        mining = ["--no-mining"] if self._block_time is None else ["--block-time", f"{self._block_time:g}"]
        return [
            "--host",
            LOOPBACK,
            "--port",
            str(self.rpc_port),
            "--chain-id",
            str(CHAIN_ID),
            "--accounts",
            str(self._accounts),
            "--slots-in-an-epoch",
            str(self._slots_in_an_epoch),
            "--state",
            str(self.folder / "state.json"),
            "--cache-path",  # of the states of older blocks: without it they go to the user's home, and stay
            str(self.folder / "states"),
            "--preserve-historical-states",  # over a restart too, as every other node does
            *mining,
            *self._options,
        ]
