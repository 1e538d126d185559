"""One JSON-RPC endpoint: a bound on every wait, no retry behind anybody's back, and errors of four kinds."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from aiohttp import ClientConnectorError, ClientError, ClientResponseError, ClientTimeout
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from swapd.chains.standing import NoAnswer, pause_of
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
        self._timeout = timeout_seconds
        self._provider = AsyncHTTPProvider(
            url,
            request_kwargs={"timeout": ClientTimeout(total=timeout_seconds)},
            exception_retry_configuration=None,
        )

    async def close(self) -> None:
        await self._provider.disconnect()

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
        try:
            async with asyncio.timeout(self._timeout):
                answer = cast(object, await self._provider.make_request(cast(RPCEndpoint, method), list(params)))
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


def _refusal(method: str, error: object) -> tuple[Refusal, bool]:
    """A JSON-RPC error, and whether a later try may go better."""
    fields = error if isinstance(error, dict) else {}
    code, data = fields.get("code"), fields.get("data")
    words = _LONG_HEX.sub("…", str(fields.get("message", "no reason given")))[:300]
    transient = code in _TRANSIENT_CODES or any(each in words.lower() for each in _TRANSIENT_WORDS)
    return Refusal(f"{method}: {words} (code {code})", _returned(data)), transient and code != _REVERTED


_REVERTED = 3

_LONG_HEX = re.compile("[0-9a-fA-F]{64,}")
"""Some nodes repeat what they were asked; in a claim's calldata that is the secret (rule S9)."""


def _returned(data: object) -> bytes | None:
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None
