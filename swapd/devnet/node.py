"""What all nodes have in common: a folder, one process, start, stop, restart."""

from __future__ import annotations

import asyncio
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from swapd.devnet.process import Process


class Node(ABC):
    """A server with a folder of its own, on loopback and a free port.

    `folder` is kept at the end; a temporary one (none given) is removed. Use `async with`, or `start` and `stop`.
    """

    name: str

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix=f"swapd-{self.name}-")
        self.folder = folder.absolute() if folder else Path(self._temporary.name)  # type: ignore[union-attr]
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises `Unavailable` with the end of its log if it does not, or if its program can be neither found nor fetched.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = await self._prepare()
        await self._process.start(self._answers)

    async def stop(self) -> None:
        """Stop the server in an orderly way, by force after a bound."""
        try:
            if self._process:
                await self._process.stop()
        finally:
            if self._temporary:
                await asyncio.to_thread(self._temporary.cleanup)

    async def restart(self) -> None:
        """Stop and start again: same folder, same ports."""
        await self.process.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def process(self) -> Process:
        """The server's process, for its pid and its log."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @abstractmethod
    async def _prepare(self) -> Process:
        """The process to start, with everything it needs laid out in `folder`."""

    @abstractmethod
    async def _answers(self) -> bool:
        """Whether the server does its work by now."""
