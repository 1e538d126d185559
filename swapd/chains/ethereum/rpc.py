"""One JSON-RPC endpoint: a bound on every wait, no retry behind anybody's back, and errors of four kinds."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)

from swapd.chains.calls import Observer, host_of, nobody
from swapd.chains.standing import NoAnswer, pause_of
from swapd.chains.words import quoted
from swapd.errors import Rejected, Unavailable, Unknown

_TRANSIENT_CODES = frozenset({-32001, -32002, -32005, -32603})
"""EIP-1474: resource not found, resource unavailable, limit exceeded; JSON-RPC 2.0: internal error."""

_TRANSIENT_WORDS = (
    "unknown block",
    "header not found",
    "missing trie node",
    "timed out",
    "timeout",
    "rate limit",
    "canonical",
)
"""Clients say these under -32000, the code for everything: the block asked about is not there, or not any more."""

MOST_BYTES = 2**26
"""Of an answer. A block with all its transactions has some 8 MB in hex; of events, which anybody can make, a shorter
range is asked for instead."""

_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
"""Not compressed: what unpacks to a thousand times its size would have to be unpacked to be measured."""

_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503


class Refusal(Rejected):
    """A JSON-RPC error. data: what a reverted call returned, if that is what it is about."""

    def __init__(self, words: str, data: bytes | None) -> None:
        super().__init__(words)
        self.data = data


class _Unanswered(Exception):
    """No JSON-RPC answer. sent: the request may have reached the node. overloaded, pause: as in `NoAnswer`."""

    def __init__(self, why: str, *, sent: bool, overloaded: bool = False, pause: float | None = None) -> None:
        super().__init__(why)
        self.sent = sent
        self.overloaded = overloaded
        self.pause = pause

    def told(self, words: str) -> NoAnswer:
        return NoAnswer(words, overloaded=self.overloaded, pause=self.pause)


class Rpc:
    """Calls to one URL. Neither it nor what was sent appears in an error: one may hold a key, the other a secret."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        self._ids = itertools.count(1)
        self._session: ClientSession | None = None
        self.observer: Observer = nobody
        self._host = host_of(url)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, *params: object) -> Any:
        """The result of a call that changes nothing.

        Raises Unavailable if there is no answer, or one that a later try may mend; Refusal with the node's words else.
        """
        try:
            answer = await self._ask(method, params)
        except _Unanswered as error:
            raise error.told(f"the Ethereum node did not answer {method}: {error}") from None
        if "error" not in answer:
            return answer["result"]
        refusal, transient = _refusal(method, answer["error"])
        if transient:
            raise Unavailable(str(refusal))
        raise refusal

    async def send(self, raw: bytes) -> str:
        """Hand signed bytes to the network; returns the node's word for their hash.

        Raises Unknown if they may have gone out all the same, Unavailable if they surely did not, Refusal with the
        node's words if it took them for something it does not want: or has already, so look the hash up (rule S10).
        """
        method = "eth_sendRawTransaction"
        try:
            answer = await self._ask(method, ("0x" + raw.hex(),))
        except _Unanswered as error:
            if error.sent:
                raise Unknown(f"{method} was not answered ({error}): the transaction may be on its way") from None
            raise error.told(f"the Ethereum node could not be reached: {error}") from None
        if "error" in answer:
            refusal, transient = _refusal(method, answer["error"])
            if transient:
                raise Unknown(f"{refusal}: the transaction may be on its way")
            raise refusal
        return str(answer["result"])

    async def _ask(self, method: str, params: tuple[object, ...]) -> dict[str, Any]:
        with self.observer(self._host, method):
            return await self._answer(method, params)

    async def _answer(self, method: str, params: tuple[object, ...]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(method, params)
        except TimeoutError:
            raise _Unanswered(f"no answer within {self._timeout:g} s", sent=True) from None
        except ClientConnectorError as error:
            raise _Unanswered(f"no connection: {type(error.os_error).__name__}", sent=False) from None
        except ClientResponseError as error:
            raise _Unanswered(
                f"HTTP {error.status}",
                sent=error.status != _TOO_MANY_REQUESTS,
                overloaded=error.status in (_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE),
                pause=pause_of(error.headers.get("Retry-After") if error.headers else None),
            ) from None
        except (ClientError, OSError) as error:
            raise _Unanswered(type(error).__name__, sent=True) from None
        except ValueError:
            raise _Unanswered("the answer is not JSON", sent=True) from None
        if not isinstance(answer, dict) or ("result" in answer) == (answer.get("error") is not None):
            raise _Unanswered("the answer is not of JSON-RPC", sent=True)
        if answer.get("error") is None:
            answer.pop("error", None)
        return answer

    async def _post(self, method: str, params: tuple[object, ...]) -> Any:
        if self._session is None:  # not before there is a loop to bind it to
            # a connection that is kept may be gone when it is needed, and then nobody knows what has arrived (S10)
            connector = TCPConnector(force_close=True)
            timeout = ClientTimeout(total=self._timeout)
            self._session = ClientSession(connector=connector, timeout=timeout, headers=_HEADERS)
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        async with self._session.post(self._url, data=json.dumps(body).encode()) as response:
            response.raise_for_status()
            return json.loads(await _bounded(response))


async def _bounded(response: ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MOST_BYTES:
            raise _Unanswered(f"the answer has more than {MOST_BYTES} bytes", sent=True)
    return bytes(content)


def _refusal(method: str, error: object) -> tuple[Refusal, bool]:
    """A JSON-RPC error, and whether a later try may go better."""
    fields = error if isinstance(error, dict) else {}
    code, data = fields.get("code"), fields.get("data")
    words = quoted(str(fields.get("message", "no reason given")))
    transient = code in _TRANSIENT_CODES or any(each in words.lower() for each in _TRANSIENT_WORDS)
    return Refusal(f"{method}: {words} (code {code})", _returned(data)), transient and code != _REVERTED


_REVERTED = 3


def _returned(data: object) -> bytes | None:
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None
