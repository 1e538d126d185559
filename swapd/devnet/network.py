"""A whole network on this machine: Bitcoin, Ethereum and the Internet Computer in one folder, and time goes on."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from swapd.devnet.anvil import CHAIN_ID, Anvil
from swapd.devnet.bitcoind import MATURITY, MEDIAN_TIME_SPAN, Bitcoind
from swapd.devnet.icp_world import IcpWorld
from swapd.devnet.money import Account
from swapd.devnet.node import Node
from swapd.devnet.pocketic_node import icp_node
from swapd.devnet.state import BitcoinState, DevnetState, EthereumState, IcpState, ProcessId
from swapd.errors import Rejected, SwapdError, Unavailable


class Devnet:
    """All nodes, miners and canisters, for as long as this process lives.

        async with Devnet(folder) as devnet:
            devnet.bitcoind, devnet.anvil, devnet.icp, devnet.world, devnet.state

    `block_seconds` is the time between blocks on Bitcoin and Ethereum (anvil: whole seconds, at least one). The folder
    keeps the chains: the next devnet in it goes on from there. An epoch is one slot: finality on Ethereum takes two
    blocks. `world` has the canisters.
    """

    def __init__(
        self,
        folder: Path,
        *,
        block_seconds: float = 1.0,
        bitcoind_binary: str | Path | None = None,
        anvil_binary: str | Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.block_seconds = block_seconds
        self.bitcoind = Bitcoind(self.folder / "bitcoin", binary=bitcoind_binary, zmq=True)
        self.anvil = Anvil(
            self.folder / "ethereum", binary=anvil_binary, block_time=max(1, round(block_seconds)), slots_in_an_epoch=1
        )
        self.icp = icp_node(self.folder / "icp")
        self._world: IcpWorld | None = None
        self._miner: asyncio.Task[None] | None = None
        self._lock: IO[str] | None = None

    async def start(self) -> None:
        """Start everything and write `devnet.json`.

        Raises `Rejected` if a devnet runs in this folder, `Unavailable` if a node does not start; then nothing is left.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(self._start_bitcoin())
                starting.create_task(self.anvil.start())
                starting.create_task(self._start_icp())
        except BaseExceptionGroup as group:
            await self.stop()
            raise _first(group) from None
        except BaseException:
            await self.stop()
            raise
        self._miner = asyncio.create_task(self._mine_bitcoin(), name="bitcoin miner")
        self.state.write(self.folder)

    async def stop(self) -> None:
        """Stop miner and nodes; harmless if they are stopped."""
        if self._miner:
            self._miner.cancel()
            await asyncio.wait([self._miner])
        if self._world:
            await self._world.close()
            self._world = None
        await asyncio.gather(*(node.stop() for node in self.nodes))
        if self._lock:
            DevnetState.file(self.folder).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    async def failure(self) -> Unavailable:
        """Wait until one of the nodes ends by itself, and say which. Never returns while all is well."""
        while True:
            for node in self.nodes:
                if not node.process.running:
                    return Unavailable(
                        f"{node.name} ended with exit code {node.process.exit_code}. Its log ({node.process.log}) "
                        f"ends with:\n{node.process.log_tail()}"
                    )
            await asyncio.sleep(self.block_seconds)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def fund(self, account: Account, amounts: Mapping[str, int], *, coins: int = 1) -> None:
        """Give so much of each symbol (BTC, ETH, tokens of `world`), smallest units.

        Bitcoin comes in so many `coins`, to a wallet that is made if it is not there. Ether is set to the amount.
        """
        for symbol, amount in amounts.items():
            match symbol:
                case "BTC":
                    await self._fund_bitcoin(account.at["bitcoin"], amount, coins)
                case "ETH":
                    await self.anvil.set_balance(account.at["ethereum"], amount)
                case _:
                    await self.world.mint(symbol, account.at["icp"], amount)

    async def _fund_bitcoin(self, wallet: str, amount: int, coins: int) -> None:
        with contextlib.suppress(Rejected):  # it is there
            await self.bitcoind.create_wallet(wallet)
        for coin in range(coins):
            address = await self.bitcoind.rpc("getnewaddress", "", "bech32", wallet=wallet)
            share = amount // coins + (amount % coins if coin == 0 else 0)
            await self.bitcoind.fund(address, share, confirm=coin == coins - 1)

    @property
    def world(self) -> IcpWorld:
        """The canisters."""
        if self._world is None:
            raise RuntimeError("the devnet was not started")
        return self._world

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.bitcoind, self.anvil, self.icp

    @property
    def state(self) -> DevnetState:
        """Who runs and how to talk to it; what `devnet.json` holds."""
        return DevnetState(
            supervisor=_identify(os.getpid()),
            bitcoin=BitcoinState(
                process=_identify(self.bitcoind.process.pid),
                rpc_url=self.bitcoind.rpc_url,
                cookie_file=str(self.bitcoind.cookie_file),
                zmq_url=self.bitcoind.zmq_url,
                log=str(self.bitcoind.process.log),
            ),
            ethereum=EthereumState(
                process=_identify(self.anvil.process.pid),
                rpc_url=self.anvil.rpc_url,
                chain_id=CHAIN_ID,
                log=str(self.anvil.process.log),
            ),
            icp=IcpState(
                process=_identify(self.icp.process.pid),
                api_url=self.icp.url,
                canister=self.world.places.canister,
                root_key=self.world.root_key.hex(),
                variables=self.world.variables(),
                log=str(self.icp.process.log),
            ),
            block_seconds=self.block_seconds,
        )

    async def _start_bitcoin(self) -> None:
        await self.bitcoind.start()
        height, _ = await self.bitcoind.best()
        # A new chain needs rewards to spend; an old one only needs its clock, which stood still, to catch up.
        await self.bitcoind.history(MATURITY + MEDIAN_TIME_SPAN if height == 0 else MEDIAN_TIME_SPAN)

    async def _start_icp(self) -> None:
        await self.icp.start()
        self._world = await IcpWorld.on(self.icp, self.folder / "icp" / "canisters.json")

    async def _mine_bitcoin(self) -> None:
        """A block every `block_seconds`, by the clock and not by adding up pauses."""
        due = time.monotonic()
        while True:
            due = max(due + self.block_seconds, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            with contextlib.suppress(Unavailable, Rejected):  # restarting, or gone: `failure` is there to tell
                await self.bitcoind.mine()

    def _locked(self) -> IO[str]:
        """The folder's lock, held by whoever runs a devnet in it; the kernel lets go of it when we die."""
        lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise Rejected(f"a devnet runs in {self.folder} already") from None
        return lock


def _identify(pid: int) -> ProcessId:
    identity = ProcessId.of(pid)
    if identity is None:
        raise Unavailable(f"process {pid} has ended")
    return identity


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show: ours if there is one."""
    ours = group.subgroup(SwapdError)
    error: BaseException = ours or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
