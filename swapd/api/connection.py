"""What uvicorn's connections lack: a bound on how long headers may take, and problem documents for what is no HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from swapd.api.problems import KINDS, MEDIA_TYPE


class Connection(H11Protocol):
    """One that is closed when the headers of a request take longer than `head_seconds`, or when there are too many."""

    def __init__(self, head_seconds: float, most: int, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_seconds, self._most = head_seconds, most
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Also for headers that are too large for the parser."""
        kind = KINDS["malformed"]
        told = {"type": "/problems/malformed", "title": kind.title, "status": kind.status, "detail": msg}
        body = json.dumps(told | {"instance": "", "request_id": ""}).encode()
        head = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=400, headers=head), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        """A request whose headers have begun, or a connection that says nothing at all, has to get on. One that is kept
        alive between two requests has uvicorn's own limit, and bodies are bounded in `bounds`."""
        heard, _ = self.conn.trailing_data
        if self.conn.their_state is not h11.IDLE or not (heard or self.cycle is None):
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._head_seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol(head_seconds: float, most: int) -> Callable[..., Connection]:
    """What `uvicorn.Config.http` takes."""

    class Bounded(Connection):
        def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **named: Any) -> None:
            super().__init__(head_seconds, most, config, server_state, app_state, **named)

    return Bounded
