"""A real HTTP receiver on this machine: it writes down what it gets, and behaves as badly as a test wants."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Got:
    """One request, complete. answered: with which status; None: not at all."""

    headers: dict[str, str]
    body: bytes
    answered: int | None

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


Behaviour = Callable[["Got"], Awaitable[int | None]]
"""A status to answer with, or None to break the connection off."""


async def well(_: Got) -> int | None:
    return 200


@dataclass
class Receiver:
    """got: every request, in order, answered or not."""

    behave: Behaviour = well
    tls: ssl.SSLContext | None = None
    answer_headers: tuple[str, ...] = ()
    answer_bytes: int = 0
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """At the same port as before, if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Nobody listens any more, and whoever was connected is cut off."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self._server = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook?a=b"

    @property
    def taken(self) -> list[Got]:
        """What was answered with 2xx."""
        return [each for each in self.got if each.answered is not None and 200 <= each.answered < 300]

    async def until(self, enough: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(enough)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.connections += 1
        try:
            await self._one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        at = len(self.got)
        self.got.append(Got({**headers, ":line": head[0]}, body, None))
        status = await self.behave(self.got[at])
        self.got[at] = Got(self.got[at].headers, body, status)
        if status is not None:
            lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {self.answer_bytes}", *self.answer_headers, "", ""]
            writer.write("\r\n".join(lines).encode() + b"x" * self.answer_bytes)
            await writer.drain()
            writer.close()
        async with self._changed:
            self._changed.notify_all()


def signatures(secret: bytes, got: Got) -> bool:
    """Whether one of the signatures is this secret's, as a receiver looks: written from the specification alone."""
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return any(each == f"v1,{expected}" for each in got.headers["webhook-signature"].split(" "))
