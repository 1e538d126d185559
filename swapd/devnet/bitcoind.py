"""A real Bitcoin node on regtest."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from swapd.devnet import fetch
from swapd.devnet.node import Node
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.process import Process
from swapd.devnet.rpc import JsonRpc
from swapd.errors import Rejected, Unavailable

MATURITY = 100  # blocks on top of a coinbase before it can be spent (consensus rule)
MEDIAN_TIME_SPAN = 11  # blocks whose median timestamp is Bitcoin's clock (BIP 113)
_SATOSHI_PER_BTC = 100_000_000
_MINER = "miner"


class Bitcoind(Node):
    """bitcoind with a folder of its own; blocks come only when they are asked for.

        async with Bitcoind() as node:
            await node.create_wallet("alice")
            await node.fund(await node.rpc("getnewaddress", wallet="alice"), 100_000)

    `folder` is kept at the end, a temporary one (none given) is removed. `zmq` publishes `rawtx`, `rawblock`
    and `sequence` at `zmq_url`. The wallet "miner" gets all block rewards and pays for `fund`.
    """

    name = "bitcoind"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        binary: str | Path | None = None,
        zmq: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(folder)
        self.rpc_port = free_port()
        self.rpc_url = f"http://{LOOPBACK}:{self.rpc_port}"
        self.zmq_url = f"tcp://{LOOPBACK}:{free_port()}" if zmq else None
        self.cookie_file = self.folder / "regtest" / ".cookie"
        self._binary = binary
        self._options = options
        self._rpc = JsonRpc(self.rpc_url, lambda: self.auth)
        self._mock_time = 0
        self._miner_address: str | None = None

    @property
    def auth(self) -> tuple[str, str]:
        """User and password from the node's cookie file, as they are now."""
        user, password = self.cookie_file.read_text().split(":", 1)
        return user, password

    # --- asking --------------------------------------------------------------------------------------------------

    async def rpc(self, method: str, *params: Any, wallet: str | None = None) -> Any:
        """Any RPC, of the node or of one of its wallets. Raises `Rejected` with the node's words, or `Unavailable`."""
        return await self._rpc.call(method, *params, path=f"/wallet/{wallet}" if wallet else "")

    async def best(self) -> tuple[int, str]:
        """Height and hash (display hex) of the tip."""
        info = await self.rpc("getblockchaininfo")
        return info["blocks"], info["bestblockhash"]

    # --- making things happen ------------------------------------------------------------------------------------

    async def create_wallet(self, name: str) -> str:
        """A new descriptor wallet, loaded again after a restart; returns its name."""
        await self.rpc("createwallet", name, False, False, "", False, True, True)
        return name

    async def mine(self, blocks: int = 1, address: str | None = None) -> list[str]:
        """Mine blocks at once, rewards to `address` or the miner; returns their hashes, the tip last."""
        hashes: list[str] = await self.rpc("generatetoaddress", blocks, address or await self._miner())
        return hashes

    async def fund(self, address: str, satoshi: int, *, confirm: bool = True) -> str:
        """Pay `satoshi` from the miner to `address`, mined into a block unless told otherwise; returns the txid.

        Mines the blocks it needs for spendable rewards the first time.
        """
        miner = await self._miner()
        balance = (await self.rpc("getbalances", wallet=_MINER))["mine"]["trusted"]
        if to_satoshi(balance) < satoshi + _SATOSHI_PER_BTC:  # 1 BTC is more than any fee here
            await self.mine(MATURITY + 1, miner)
        txid: str = await self.rpc("sendtoaddress", address, to_btc(satoshi), wallet=_MINER)
        if confirm:
            await self.mine(1, miner)
        return txid

    async def set_time(self, unix_seconds: int) -> None:
        """Let the node believe in this time (0: the real one). Blocks mined then carry it; it survives `restart`."""
        await self.rpc("setmocktime", unix_seconds)
        self._mock_time = unix_seconds

    async def invalidate(self, block_hash: str) -> None:
        """Reorganise away from this block and all after it; their transactions go back to the mempool."""
        await self.rpc("invalidateblock", block_hash)

    async def reconsider(self, block_hash: str) -> None:
        """Take an `invalidate` back; the chain with most work is the tip again."""
        await self.rpc("reconsiderblock", block_hash)

    async def history(self, blocks: int = MATURITY + MEDIAN_TIME_SPAN) -> None:
        """Mine a past that ends now, so that rewards are spendable and median-time-past is seconds behind real time.

        Blocks mined in one go would carry timestamps of the future instead: each must be later than the median of the
        eleven before it. So most are mined in one go some time ago, and the last eleven one second apart.
        """
        now = int(time.time())
        if blocks > MEDIAN_TIME_SPAN:
            await self.set_time(now - MEDIAN_TIME_SPAN - blocks)  # one go moves the median by a second every six blocks
            await self.mine(blocks - MEDIAN_TIME_SPAN)
        for seconds_ago in reversed(range(MEDIAN_TIME_SPAN)):
            await self.set_time(now - seconds_ago)
            await self.mine(1)
        await self.set_time(0)

    async def _miner(self) -> str:
        if self._miner_address is None:
            try:
                await self.create_wallet(_MINER)
            except Rejected:  # it is there: this folder was used before
                await self.rpc("getwalletinfo", wallet=_MINER)
            address: str = await self.rpc("getnewaddress", wallet=_MINER)
            self._miner_address = address
        return self._miner_address

    async def _answers(self) -> bool:
        try:
            await self.rpc("getblockchaininfo")
        except (Unavailable, Rejected):  # rejected with "loading block index" while it warms up
            return False
        return True

    async def _prepare(self) -> Process:
        tool = await asyncio.to_thread(fetch.bitcoind, self._binary)
        return Process([*tool.command, *self._arguments()], log=self.folder / "bitcoind.log", name=self.name)

    def _arguments(self) -> list[str]:
        zmq = [f"-zmqpub{topic}={self.zmq_url}" for topic in ("rawtx", "rawblock", "sequence")] if self.zmq_url else []
        return [
            f"-datadir={self.folder}",
            "-regtest",
            "-server",
            f"-rpcport={self.rpc_port}",
            f"-rpcbind={LOOPBACK}",
            f"-rpcallowip={LOOPBACK}",
            "-listen=0",
            "-dnsseed=0",
            "-fixedseeds=0",
            "-txindex=0",
            "-fallbackfee=0.00001",  # no history to estimate from on regtest
            "-dbcache=16",
            f"-mocktime={self._mock_time}",
            *zmq,
            *self._options,
        ]


def to_satoshi(btc: float | str) -> int:
    """An amount as the node's JSON gives it (BTC, at most 8 decimals) in satoshi."""
    return int((Decimal(str(btc)) * _SATOSHI_PER_BTC).to_integral_exact())


def to_btc(satoshi: int) -> str:
    """An amount in satoshi as the node takes it: a string, because a float may lose a satoshi."""
    return f"{Decimal(satoshi) / _SATOSHI_PER_BTC:.8f}"
