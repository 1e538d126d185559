"""JSON-RPC to the nodes of this folder, for tests and set-up. The daemon's chain adapters have clients of their own."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from swapd.errors import Rejected, Unavailable

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # plain HTTP: nothing to load or to make for every call
_TIMEOUT_SECONDS = 60.0  # mining hundreds of blocks in one call takes seconds on a busy machine


class JsonRpc:
    """One node's JSON-RPC endpoint.

    Every call has a connection of its own: on loopback that costs a millisecond, there is nothing to close, and the
    same node can be used from one event loop after another, as fixtures do.
    """

    def __init__(self, url: str, auth: Callable[[], tuple[str, str]] | None = None) -> None:
        self.url = url
        self._auth = auth
        self._ids = itertools.count(1)

    async def call(self, method: str, *params: Any, path: str = "") -> Any:
        """The result of `method`. Raises `Rejected` with the node's words and code, `Unavailable` if it is silent."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            async with httpx.AsyncClient(
                auth=self._auth() if self._auth else None,
                timeout=_TIMEOUT_SECONDS,
                verify=_NO_TLS,
                trust_env=False,  # no proxy between us and loopback
            ) as client:
                response = await client.post(self.url + path, json=request)
        except (httpx.TransportError, OSError) as error:  # OSError: the file with the credentials is not there yet
            raise Unavailable(f"{method}: {self.url} does not answer: {error or type(error).__name__}") from error
        try:
            answer = response.json()
        except ValueError:
            raise Unavailable(f"{method}: {self.url} answered HTTP {response.status_code} without JSON") from None
        if problem := answer.get("error"):
            raise Rejected(f"{method}: {problem['message']} (code {problem['code']})")
        return answer["result"]
