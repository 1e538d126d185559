"""A loopback HTTP proxy in front of a node that writes down every JSON-RPC call that goes through it, and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from swapd.devnet.ports import LOOPBACK

BROADCASTS = ("sendrawtransaction", "eth_sendRawTransaction")
LARGEST_HEAD = 64 * 1024


@dataclass
class Request:
    """One HTTP request. at, answered: `time.monotonic()`. methods: one, or those of a batch. raw: hex digits of the
    transaction that it broadcasts."""

    at: float
    methods: tuple[str, ...]
    raw: str = ""
    answered: float = float("inf")


@dataclass
class Proxy:
    """target: the node's URL. Bytes go through unchanged, on a connection of the caller's own, kept as long as his."""

    target: str
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, limit=LARGEST_HEAD)
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()

    def broadcast_of(self, raw: bytes) -> Request:
        """The first request that handed this transaction to the node."""
        return next(request for request in self.requests if request.raw == raw.hex())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(self.target)
        answers, node = await asyncio.open_connection(there.hostname, there.port)
        mine: list[Request] = []
        back = asyncio.create_task(self._back(answers, writer, mine))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                mine.append(_noted(body))
                self.requests.append(mine[-1])
                node.write(head + body)
                await node.drain()
        back.cancel()
        node.close()
        writer.close()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: list[Request]) -> None:
        """Callers here wait for an answer before they ask again on the same connection."""
        while data := await answers.read(1 << 16):
            mine[-1].answered = min(mine[-1].answered, time.monotonic())
            writer.write(data)
            await writer.drain()
        writer.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def _noted(body: bytes) -> Request:
    asked = json.loads(body)
    calls = asked if isinstance(asked, list) else [asked]
    raw = next((str(call["params"][0]) for call in calls if call["method"] in BROADCASTS), "")
    return Request(time.monotonic(), tuple(call["method"] for call in calls), raw.removeprefix("0x"))
