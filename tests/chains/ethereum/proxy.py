"""A real HTTP server between swapd and its node, be it Ethereum's or Bitcoin's, which counts the calls and misbehaves
when told to: several of them before one node are several nodes, each with its own faults."""

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


KEY = "/v3/key-of-the-operator"
"""As providers put into their URLs: nothing that swapd says may hold it."""


class Proxy:
    """`calls` counts methods. `instead[method]` replaces its answers, `always` those of all methods. dead: connections
    are cut before anything is said. seconds: how late every answer is."""

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()
        self.instead: dict[str, Answer] = {}
        self.always: Answer | None = None
        self.dead = False
        self.seconds = 0.0
        self.url = ""
        self._target = target
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}{KEY}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if self.dead:
                return
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            request = json.loads(await reader.readexactly(length))
            path = head.split(b" ")[1].decode().removeprefix(KEY)
            lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
            headers = {name: value for name, _, value in lines if name.lower() == "authorization"}
            response = await self._answer(request, path, headers)
            if response is None:
                await reader.read()  # until the caller hangs up
            else:
                writer.write(response)
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, request: Any, path: str, headers: dict[str, str]) -> bytes | None:
        asked = request if isinstance(request, list) else [request]
        self.calls.update(each["method"] for each in asked)
        await asyncio.sleep(self.seconds)
        got = await self._client.post(self._target + path, json=request, headers=headers)
        answers = got.json() if isinstance(request, list) else [got.json()]
        told = [self._told(each, answer) for each, answer in zip(asked, answers, strict=True)]
        whole = next((each for each in told if each is None or isinstance(each, bytes)), ...)
        if whole is not ...:
            return whole
        return http(got.status_code, json.dumps(told if isinstance(request, list) else told[0]).encode())

    def _told(self, asked: dict[str, Any], answer: Any) -> Any:
        instead = self.always or self.instead.get(asked["method"])
        return answer if instead is None else instead(asked["params"], answer)


def http(status: int, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        more,
        len(body),
        body,
    )


def cut(_: object, answer: Any) -> bytes:
    """The connection ends in the middle of the answer."""
    whole = http(200, json.dumps(answer).encode())
    return whole[:-5]


def error(code: int, message: str) -> Answer:
    """A JSON-RPC error."""
    return lambda _, answer: {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": code, "message": message}}


def result(value: Any) -> Answer:
    return lambda _, answer: {"jsonrpc": "2.0", "id": answer["id"], "result": value}


def status(code: int, more: bytes = b"") -> Answer:
    """more: header lines, each with its end."""
    return lambda *_: http(code, b"upstream says no", more)


def changed(change: Callable[[Any], Any]) -> Answer:
    """The node's own result, changed."""
    return lambda _, answer: answer | {"result": change(answer["result"])}


def garbage(*_: object) -> bytes:
    return http(200, b"<html>please log in</html>")


def silence(*_: object) -> None:
    return None


def hang_up(*_: object) -> bytes:
    return b""
