"""A whole network on this machine: a Bitcoin and an Ethereum node in one folder, with a block every second."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from swapd.devnet.anvil import CHAIN_ID, Anvil
from swapd.devnet.bitcoind import MATURITY, MEDIAN_TIME_SPAN, Bitcoind
from swapd.devnet.state import BitcoinState, DevnetState, EthereumState, ProcessId
from swapd.errors import Rejected, SwapdError, Unavailable


class Devnet:
    """Both nodes with their miners, for as long as this process lives.

        async with Devnet(folder) as devnet:
            devnet.bitcoind, devnet.anvil, devnet.state

    `block_seconds` is the time between blocks on both chains (anvil: whole seconds, at least one). The folder keeps the
    chains: the next devnet in it goes on from there. An epoch is one slot: finality on Ethereum takes two blocks.
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
        await asyncio.gather(self.bitcoind.stop(), self.anvil.stop())
        if self._lock:
            DevnetState.file(self.folder).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    async def failure(self) -> Unavailable:
        """Wait until one of the nodes ends by itself, and say which. Never returns while all is well."""
        while True:
            for node in (self.bitcoind, self.anvil):
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
            block_seconds=self.block_seconds,
        )

    async def _start_bitcoin(self) -> None:
        await self.bitcoind.start()
        height, _ = await self.bitcoind.best()
        # A new chain needs rewards to spend; an old one only needs its clock, which stood still, to catch up.
        await self.bitcoind.history(MATURITY + MEDIAN_TIME_SPAN if height == 0 else MEDIAN_TIME_SPAN)

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
