"""A real HTTP server between swapd and its node, which counts the calls and misbehaves when told to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from swapd.devnet.ports import LOOPBACK

Answer = Callable[[list[Any], dict[str, Any]], Any]
"""From parameters and the node's own answer: the JSON to give instead, or bytes for a whole HTTP response, or None for
no answer at all until the caller gives up."""


class Proxy:
    """`calls` counts methods. `instead[method]` replaces its answers."""

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()
        self.instead: dict[str, Answer] = {}
        self.url = ""
        self._target = target
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/v3/key-of-the-operator"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            request = json.loads(await reader.readexactly(length))
            response = await self._answer(request)
            if response is None:
                await reader.read()  # until the caller hangs up
            else:
                writer.write(response)
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> bytes | None:
        method = request["method"]
        self.calls[method] += 1
        answer = (await self._client.post(self._target, json=request)).json()
        if method in self.instead:
            answer = self.instead[method](request["params"], answer)
        return answer if answer is None or isinstance(answer, bytes) else http(200, json.dumps(answer).encode())


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def error(code: int, message: str) -> Answer:
    """A JSON-RPC error."""
    return lambda _, answer: {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": code, "message": message}}


def result(value: Any) -> Answer:
    return lambda _, answer: {"jsonrpc": "2.0", "id": answer["id"], "result": value}


def status(code: int) -> Answer:
    return lambda *_: http(code, b"upstream says no")


def garbage(*_: object) -> bytes:
    return http(200, b"<html>please log in</html>")


def silence(*_: object) -> None:
    return None


def hang_up(*_: object) -> bytes:
    return b""
