"""HTTP to one boundary node: a bound on every wait and every answer, and nothing retried behind anybody's back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx

from swapd.chains.calls import Observer, host_of, nobody
from swapd.chains.words import quoted

MOST_BYTES = 2**20 * 5 // 2
"""Of an answer. A canister's reply has at most 2 MiB, and a certificate can hold one (IC interface specification)."""

_CBOR = {"content-type": "application/cbor", "accept-encoding": "identity"}
"""Not compressed: what unpacks to a thousand times its size would have to be unpacked to be measured."""

OVERLOADED = 429

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Unanswered(Exception):
    """There is no answer. sent: what was to be sent may have arrived. Never leaves this package."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes = field(repr=False)

    @property
    def words(self) -> str:
        """For people: the status, and what the other side wrote about it."""
        return f"HTTP {self.status}: {quoted(self.content.decode(errors='replace'))}"


class _Unwell(Exception):
    """What the node says of itself, for whoever observes it: the caller gets the answer as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.overloaded = answer.status == OVERLOADED


class Transport:
    """url: of the API, without the path. timeout: seconds for one request, all in all."""

    def __init__(self, url: str, timeout: float) -> None:
        self._timeout = timeout
        self.observer: Observer = nobody
        self._host = host_of(url)
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=timeout,
            headers=_CBOR,
            follow_redirects=False,  # a configured URL is where requests go, and nowhere else
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Answer:
        return await self._send("GET", path, b"")

    async def post(self, path: str, body: bytes) -> Answer:
        return await self._send("POST", path, body)

    async def _send(self, verb: str, path: str, body: bytes) -> Answer:
        """Raises Unanswered."""
        try:
            with self.observer(self._host, path.rpartition("/")[2]):
                answer = await self._answer(verb, path, body)
                if answer.status >= 500 or answer.status == OVERLOADED:
                    raise _Unwell(answer)
        except _Unwell as unwell:
            return unwell.answer
        return answer

    async def _answer(self, verb: str, path: str, body: bytes) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                async with self._client.stream(verb, path, content=body) as response:
                    return Answer(response.status_code, await _bounded(response))
        except _NOT_SENT as error:
            raise Unanswered(f"no connection ({type(error).__name__})", sent=False) from None
        except (TimeoutError, httpx.TimeoutException):
            raise Unanswered(f"no answer within {self._timeout:g} s", sent=True) from None
        except httpx.HTTPError as error:
            raise Unanswered(f"the connection broke ({type(error).__name__})", sent=True) from None


async def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise Unanswered(f"the answer has more than {MOST_BYTES} bytes", sent=True)
    return bytes(content)
