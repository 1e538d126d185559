"""Between one daemon and one of its nodes: bytes pass as they are, until a fault is set. Speaks HTTP/1.1 and looks into
nothing, so it stands before every kind of node."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Self
from urllib.parse import urlsplit

from swapd.devnet.ports import LOOPBACK

KINDS = ("refused", "slow", "cut", "lost", "silent", "429", "5xx", "nonsense")
"""refused: nobody listens. slow: answers come late. cut: they end in the middle. lost: the node is asked, and nothing
comes back. silent: the node is not asked, and nobody hangs up. nonsense: not what the protocol says."""

SHARE = 0.7
"""Of the requests that a fault falls on: what gets through makes it worse."""

LATE_SECONDS = (0.1, 1.5)
NONSENSE = (b"<html>please log in</html>", b"{}", b'{"jsonrpc": "2.0", "result": ', b"[1, 2, 3]", b"")
CHUNK = 1 << 16


class Proxy:
    """`fault`: one of KINDS, or "" for none. met: how many requests each kind has fallen on."""

    def __init__(self, target: str, dice: random.Random) -> None:
        place = urlsplit(target)
        assert place.hostname is not None
        self._target = (place.hostname, place.port or 80)
        self._dice = dice
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self.fault = ""
        self.met: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def set(self, fault: str) -> None:
        """From now on; connections that are open end."""
        self.fault = fault
        self._hang_up()
        if fault == "refused":
            self.met[fault] += 1
            self._close()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port, limit=CHUNK)
        self._port = self._server.sockets[0].getsockname()[1]

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._hang_up()

    def _hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.fault:
                await self._fail(reader, writer)
            else:
                await self._pass(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # either of them has hung up, which is what proxies are for
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection(*self._target)
        ways = [asyncio.create_task(_copy(reader, its_writer)), asyncio.create_task(_copy(its_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            its_writer.close()

    async def _fail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, and the connection ends."""
        fault = self.fault
        request = await _request(reader)
        if self._dice.random() > SHARE:
            writer.write(await self._ask(request))
            await writer.drain()
            return
        self.met[fault] += 1
        match fault:
            case "slow":
                await asyncio.sleep(self._dice.uniform(*LATE_SECONDS))
                writer.write(await self._ask(request))
            case "cut":
                answer = await self._ask(request)
                writer.write(answer[: self._dice.randrange(len(answer) or 1)])
            case "lost":
                await self._ask(request)
            case "silent":
                await reader.read()  # until somebody hangs up
            case "429":
                writer.write(_response(429, b"slow down", b"Retry-After: 1\r\n"))
            case "5xx":
                writer.write(_response(self._dice.choice((500, 502, 503, 504)), b"upstream says no"))
            case _:
                writer.write(_response(200, self._dice.choice(NONSENSE)))
        await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        """The node's whole answer."""
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Whole, and with the wish that the connection ends after it."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    size = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""]) + await reader.readexactly(size)


def _response(status: int, body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, more, len(body)) + body
