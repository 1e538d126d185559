"""A boundary node between swapd and its replica: it counts what passes, and is evil when told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import cbor2
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from swapd.chains.icp import candid
from tests.chains.icp.serving import served

Answer = Callable[[dict[str, Any], bytes], tuple[int, bytes]]
"""From the request's content and the replica's own answer: HTTP status and body to give instead."""


class Proxy:
    """`calls` counts methods, with `read_state` among them. `instead[method]` replaces their answers. `kept` holds back
    requests: they are answered as if they were taken, and never get there."""

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()
        self.instead: dict[str, Answer] = {}
        self.kept: set[str] = set()
        self.seen: list[bytes] = []
        self.url = ""
        self.target = target
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)
        self._serving = served(Starlette(routes=[Route("/{path:path}", self._pass, methods=["GET", "POST"])]))

    async def __aenter__(self) -> Proxy:
        self.url = await self._serving.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> None:
        await self._serving.__aexit__(*how)
        await self._client.aclose()

    async def _pass(self, request: Request) -> Response:
        body = await request.body()
        content = _content(body)
        method = content.get("method_name") or content.get("request_type", "status")
        self.calls[method] += 1
        self.seen.append(body)
        if method in self.kept:
            return Response(status_code=202)
        answer = await self._client.request(
            request.method, self.target + request.url.path, content=body, headers={"content-type": "application/cbor"}
        )
        status, raw = answer.status_code, answer.content
        if method in self.instead:
            status, raw = self.instead[method](content, raw)
        return Response(raw, status, media_type="application/cbor")


def _content(body: bytes) -> dict[str, Any]:
    return dict(_plain(body)["content"]) if body else {}


def _plain(raw: bytes) -> Any:
    """Without the self-describing tag."""
    value = cbor2.loads(raw)
    return value.value if isinstance(value, cbor2.CBORTag) else value


def reply(type_: Any, value: object) -> Answer:
    """A reply of the canister to a query."""
    return lambda _, __: (200, cbor2.dumps({"status": "replied", "reply": {"arg": candid.encode(type_, value)}}))


def changed(type_: Any, change: Callable[[Any], Any]) -> Answer:
    """The canister's own reply to a query, changed."""

    def answer(_: dict[str, Any], raw: bytes) -> tuple[int, bytes]:
        arg = _plain(raw)["reply"]["arg"]
        return 200, cbor2.dumps(
            {"status": "replied", "reply": {"arg": candid.encode(type_, change(candid.decode(type_, arg)))}}
        )

    return answer


def status(code: int, body: bytes = b"") -> Answer:
    return lambda _, __: (code, body)


def reject(code: int, message: str) -> Answer:
    return lambda _, __: (
        200,
        cbor2.dumps({"status": "rejected", "reject_code": code, "reject_message": message, "error_code": "IC0503"}),
    )
