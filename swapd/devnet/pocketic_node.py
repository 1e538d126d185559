"""PocketIC as a node of a devnet, where `POCKET_IC_BIN` names its program; else our own replica."""

from __future__ import annotations

import asyncio
from pathlib import Path

from swapd.devnet import pocketic
from swapd.devnet.icp import Icp
from swapd.devnet.node import Node
from swapd.devnet.pocketic import PocketIc
from swapd.devnet.process import Process
from swapd.errors import Unavailable


class PocketIcNode(Node):
    """See `Icp`. It keeps nothing: each start is a new Internet Computer, at a new URL."""

    name = "pocketic"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._network: PocketIc | None = None
        self._url = ""

    async def start(self) -> None:
        """Start the server and have it serve. Raises `Unavailable` if it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # in this thread, because the kernel ends the server with the thread that started it (see `launch`)
        self._network = PocketIc()
        self._url = await asyncio.to_thread(self._network.make_live)

    async def stop(self) -> None:
        if self._network:
            await asyncio.to_thread(self._network.close)
        await super().stop()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @property
    def url(self) -> str:
        if not self._url:
            raise Unavailable("PocketIC was not started")
        return self._url

    @property
    def network(self) -> PocketIc:
        if self._network is None:
            raise Unavailable("PocketIC was not started")
        return self._network

    @property
    def process(self) -> Process:
        return self.network.process

    async def root_key(self) -> bytes:
        return await asyncio.to_thread(lambda: self.network.root_key)

    async def create_canister(self, controller: bytes) -> bytes:
        """Over the server's own interface: over HTTP it has to be told on which of its subnets."""
        return await asyncio.to_thread(self.network.create_canister, controller)

    async def advance(self, seconds: float) -> None:
        """Move time and let due timers fire."""
        await asyncio.to_thread(self.network.advance, seconds)

    async def save(self) -> None:
        """Nothing is kept."""

    async def _prepare(self) -> Process:
        return self.process

    async def _answers(self) -> bool:
        return True


def icp_node(folder: Path | None = None) -> Icp | PocketIcNode:
    """The Internet Computer of this machine."""
    return Icp(folder) if pocketic.program() is None else PocketIcNode(folder)
