"""The node's JSON-RPC over one aiohttp session, with every way of failing sorted into the errors of `swapd/errors.py`.

What fails before the request can have reached the node is `Unavailable`. After that it is `Unavailable` for a question
and `Unknown` for a deed (rule S10). What the node itself says no to is `RpcError`, a `Rejected` with its code.
Amounts in answers are Decimal, never float.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    NonHttpUrlClientError,
    ServerDisconnectedError,
    TCPConnector,
    encode_basic_auth,
)

from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.calls import Observer, host_of, nobody
from swapd.chains.standing import NoAnswer, pause_of
from swapd.chains.words import quoted
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.vault.known import KNOWN

MISC_ERROR = -1
WARMING_UP = -28
NOT_FOUND = -5
BAD_PARAMETER = -8
WALLET_ERROR = -4
WALLET_NOT_FOUND = -18
WALLET_LOCKED = -13
WALLET_ALREADY_LOADED = -35
ALREADY_IN_CHAIN = -27
METHOD_NOT_FOUND = -32601

MOST_BYTES = 2**27
"""Of an answer. The longest that an honest node gives are lists of a full mempool, some 70 MB with the usual 300 MB of
it, and a block in hex, 8 MB."""

CONNECTIONS, KEPT_SECONDS = 8, 5
"""To one node; and for how long one is kept for the next request."""

_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
"""Not compressed: what unpacks to a thousand times its size would have to be unpacked to be measured."""

_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError, NonHttpUrlClientError)
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503
_REFUSED = {401: "wrong user or password", 403: "not allowed from here", 429: "too many requests"}


ONCE = frozenset({"lockunspent", "walletcreatefundedpsbt"})
"""What is asked of a wallet, and is not the same the second time."""

_Unclear = type[NoAnswer] | type[Unknown]
"""What it is when the node was asked and gave no answer that can be read."""


class RpcError(Rejected):
    """The node said no. code: as in Bitcoin Core's `rpc/protocol.h`. words: the node's own, fit to be shown."""

    def __init__(self, method: str, code: int, words: str) -> None:
        self.code = code
        self.words = quoted(words)
        super().__init__(f"bitcoin node, {method}: {self.words} (code {code})")


class Call(NamedTuple):
    method: str
    params: tuple[Any, ...] = ()


class Rpc:
    """wallet: name of the wallet whose methods are called. credentials: asked before each request, because the node
    writes a new cookie at every start. timeout_seconds: for one request, all in all. `calls` counts HTTP requests, for
    the bench."""

    def __init__(
        self, url: str, wallet: str, credentials: Callable[[], tuple[str, str]], timeout_seconds: float
    ) -> None:
        self._wallet = wallet
        self._wallet_path = f"/wallet/{wallet}"
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._url = url.rstrip("/")
        self._sessions: dict[bool, ClientSession] = {}
        self._ids = itertools.count(1)
        self._loading = asyncio.Lock()
        self.calls = 0
        self.observer: Observer = nobody
        self._host = host_of(url)

    async def close(self) -> None:
        while self._sessions:
            await self._sessions.popitem()[1].close()

    @property
    def has_wallet(self) -> bool:
        """False for one that only looks, and sends what others signed."""
        return bool(self._wallet)

    async def call(self, method: str, *params: Any) -> Any:
        """Ask the node."""
        answer = await self._post("/", _request(method, params, next(self._ids)), method, NoAnswer)
        return _result(method, answer, NoAnswer)

    async def deed(self, method: str, *params: Any) -> Any:
        """Have the node do something: after a timeout it is `Unknown` whether it did."""
        answer = await self._post("/", _request(method, params, next(self._ids)), method, Unknown)
        return _result(method, answer, Unknown)

    async def wallet(self, method: str, *params: Any) -> Any:
        """Ask the wallet; if the node has started without it, have it loaded first, now and at the node's next starts.
        Deeds of the wallet are not worth an `Unknown`: reserving coins can be done again."""
        try:
            return await self._ask_wallet(method, params)
        except RpcError as error:
            if error.code != WALLET_NOT_FOUND:
                raise
        await self._load_wallet()
        return await self._ask_wallet(method, params)

    async def _ask_wallet(self, method: str, params: Sequence[Any]) -> Any:
        request = _request(method, params, next(self._ids))
        return _result(method, await self._post(self._wallet_path, request, method, NoAnswer), NoAnswer)

    async def _load_wallet(self) -> None:
        async with self._loading:  # what two found missing at once is loaded once
            try:
                await self.call("loadwallet", self._wallet, True)
            except RpcError as error:
                if error.code != WALLET_ALREADY_LOADED:
                    raise

    async def batch(self, calls: Sequence[Call], *, wallet: bool = False) -> list[Any]:
        """Several questions in one request. Where the node said no there stands an `RpcError` instead of a result."""
        if not calls:
            return []
        requests = [_request(call.method, call.params, number) for number, call in enumerate(calls)]
        words = f"batch of {len(calls)} ({calls[0].method} ...)"
        answers = await self._post(self._wallet_path if wallet else "/", requests, words, NoAnswer)
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise Unavailable(f"bitcoin node, {words}: the answer is not one for each question")
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [_or_error(call.method, by_id.get(number), NoAnswer) for number, call in enumerate(calls)]

    async def _post(self, path: str, body: Any, words: str, unclear: _Unclear) -> Any:
        self.calls += 1
        with self.observer(self._host, words):
            return await self._answer(path, body, words, unclear)

    async def _answer(self, path: str, body: Any, words: str, unclear: _Unclear) -> Any:
        where = f"bitcoin node, {words}"
        kept = unclear is NoAnswer and ONCE.isdisjoint(_methods(body))
        status, pause, answer = await self._exchange(path, body, where, unclear, kept=kept)
        if refused := _REFUSED.get(status):
            words = f"{where}: {refused} (HTTP {status})"
            raise NoAnswer(words, overloaded=status == _TOO_MANY_REQUESTS, pause=pause)
        if answer is not _NOT_JSON:
            # RPC errors come with HTTP 500 or 404 and a JSON body, so the status alone says little
            return answer
        words = f"{where}: HTTP {status} without whole JSON"
        if unclear is NoAnswer and status == _SERVICE_UNAVAILABLE:
            # bitcoind's own words are "Work queue depth exceeded"
            raise NoAnswer(words, overloaded=True, pause=pause)
        raise unclear(words)

    async def _exchange(
        self, path: str, body: Any, where: str, unclear: _Unclear, *, kept: bool
    ) -> tuple[int, float | None, Any]:
        """Status, the pause that was asked for, and the answer, `_NOT_JSON` if it is none.

        Credentials, and what was answered, which may repeat them, are in no error: neither in its cause, since
        aiohttp's carry the request and json's the text, nor in a local variable of the calls it comes through (S9).
        """
        content = json.dumps(body).encode()
        headers = {"Authorization": self._auth(where)}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if kept:
                    try:
                        return await self._said(self._connections(kept=True), path, content, headers)
                    except ClientConnectorError:
                        raise
                    except (ServerDisconnectedError, ClientOSError):
                        pass  # gone since it was last used, most likely: asked once more below
                return await self._said(self._connections(kept=False), path, content, headers)
        except _TooLong as error:
            raise unclear(f"{where}: {error}") from None
        except _NOT_SENT as error:
            raise NoAnswer(f"{where}: cannot connect ({type(error).__name__})") from None
        except TimeoutError:
            raise unclear(f"{where}: no answer within {self._timeout_seconds:g} s") from None
        except (ClientError, OSError) as error:
            raise unclear(f"{where}: the connection broke ({type(error).__name__})") from None

    async def _said(
        self, session: ClientSession, path: str, content: bytes, headers: dict[str, str]
    ) -> tuple[int, float | None, Any]:
        async with session.post(self._url + path, data=content, headers=headers, allow_redirects=False) as response:
            pause = pause_of(response.headers.get("Retry-After"))
            return response.status, pause, _json(await _bounded(response))

    def _connections(self, *, kept: bool) -> ClientSession:
        """For questions one that is kept may serve; if it is gone when it is needed they are asked again. A deed
        gets one of its own, and what is asked `ONCE` too: nobody would know what has arrived (S10)."""
        if kept not in self._sessions:  # not before there is a loop to bind it to
            # bitcoind closes what is idle for half a minute
            alive = {"keepalive_timeout": KEPT_SECONDS} if kept else {"force_close": True}
            self._sessions[kept] = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS, **alive),
                timeout=ClientTimeout(total=None),  # one for all of a request stands around it
                headers=_HEADERS,
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
            )
        return self._sessions[kept]

    def _auth(self, where: str) -> str:
        try:
            user, password = self._credentials()
        except OSError as error:
            raise NoAnswer(f"{where}: cannot read its credentials from {error.filename}: {error.strerror}") from error
        KNOWN.add(password.encode())
        return encode_basic_auth(user, password, "utf-8")


_NOT_JSON = object()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError:
        return _NOT_JSON


class _TooLong(Exception):
    """Nobody needs such an answer."""


async def _bounded(response: ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MOST_BYTES:
            raise _TooLong(f"the answer has more than {MOST_BYTES} bytes")
    return bytes(content)


def credentials(settings: BitcoinSettings) -> tuple[str, str]:
    """User and password as their files have them now."""
    if settings.rpc_cookie_file:
        return credentials_in(settings.rpc_cookie_file)
    if settings.rpc_password_file is None:
        raise Invalid("chains.bitcoin.rpc_password_file", None, "a file with the password of rpc_user")
    return settings.rpc_user, settings.rpc_password_file.read_text().strip()


def credentials_in(file: Path) -> tuple[str, str]:
    """User and password of a cookie file, or of any file with `user:password` on one line, as it has them now."""
    user, _, password = file.read_text().strip().partition(":")
    return user, password


def _request(method: str, params: Sequence[Any], number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _methods(body: Any) -> list[str]:
    return [each["method"] for each in (body if isinstance(body, list) else [body])]


def _result(method: str, answer: Any, unclear: _Unclear) -> Any:
    outcome = _or_error(method, answer, unclear)
    if isinstance(outcome, RpcError):
        raise outcome
    return outcome


def _or_error(method: str, answer: Any, unclear: _Unclear) -> Any:
    """The result, or the `RpcError` in its place; a node that is starting is `Unavailable`."""
    if not isinstance(answer, dict) or ("result" not in answer and not answer.get("error")):
        raise unclear(f"bitcoin node, {method}: the answer is not JSON-RPC")
    error = answer.get("error")
    if not error:
        return answer["result"]
    if not isinstance(error, dict):
        raise unclear(f"bitcoin node, {method}: the answer is not JSON-RPC")
    code, words = int(error.get("code", 0)), str(error.get("message", ""))
    if code == WARMING_UP:
        raise NoAnswer(f"bitcoin node, {method}: it is starting: {quoted(words)}")
    if code == MISC_ERROR and "pruned" in words.lower():
        raise Unavailable(
            f"bitcoin node, {method}: it has thrown away a block that is needed ({quoted(words)}): have it keep more "
            "(`prune` in bitcoin.conf), or name a node that keeps all of them in more_rpc_urls"
        )
    return RpcError(method, code, words)
