"""What every request passes before its route, in this order: a request id, its bounds, whose key it bears, that key's
limits, its body. Plain ASGI, so that nothing of a request is read or believed before its turn.

What is found is put into the scope for the routes: swapd.caller, swapd.body, swapd.request_id, swapd.door.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import structlog
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swapd.api import keys, signing
from swapd.api.access import Allows, Caller, caller_of, marks, require_role, unauthorized
from swapd.api.bounds import Disconnected, check_head, read_body
from swapd.api.problems import Problem, explain
from swapd.api.service import Service
from swapd.store import KeyRole, KeyRow

log = structlog.get_logger()

LINGER_BYTES, LINGER_SECONDS = 1_048_576, 2.0
"""Of a body that nobody reads, and for how long: who sends more was told by its `Content-Length`, or is no friend."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_BEARER = re.compile(r"[Bb]earer +(?P<token>[\x21-\x7e]{1,200})")


@dataclass(frozen=True)
class Door:
    """A route as seen from outside. path: as the document writes it. roles: none for an open one."""

    method: str
    path: str
    pattern: re.Pattern[str]
    roles: frozenset[KeyRole]
    marks: frozenset[str]


def doors_of(routers: Iterable[APIRouter]) -> tuple[Door, ...]:
    """Raises ValueError for a route that neither names its roles nor is open: a mistake that must not start."""
    found = []
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise ValueError(f"{route!r} is no route that can be guarded")
            roles, marked = _roles(route.dependant), marks(route.endpoint)
            if bool(roles) == ("open" in marked):
                raise ValueError(f"{route.path} must name its roles, or be open, and not both")
            for method in sorted(route.methods or ()):
                found.append(Door(method, route.path, route.path_regex, roles, marked))
    return tuple(found)


def open_door(path: str) -> Door:
    return Door("GET", path, re.compile(re.escape(path) + "$"), frozenset(), frozenset({"open"}))


def _roles(dependant: Dependant) -> frozenset[KeyRole]:
    """Those that every `allows` on the way agrees to."""
    named = [each.call.roles for each in _all(dependant) if isinstance(each.call, Allows)]
    return frozenset.intersection(*named) if named else frozenset()


def _all(dependant: Dependant) -> Iterable[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _all(each)


class Doors:
    def __init__(self, app: ASGIApp, service: Service, doors: tuple[Door, ...]) -> None:
        self._app, self._service, self._doors = app, service, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope["swapd.request_id"] = request_id
        answer = _Answer(send, receive, request_id, unread=_announces_body(Headers(scope=scope)))
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._enter(scope, receive, answer)
            except Disconnected:
                return
            except Exception as error:  # whatever it is, the caller hears no more than its request's id
                caller: Caller | None = scope.get("swapd.caller")
                problem = explain(error, ours=caller is not None and caller.of_the_house)
                if answer.status is not None:
                    raise  # half of an answer is out: the connection has to break
                await problem.answer(scope["path"], request_id)(scope, receive, answer)
            finally:
                _tell(scope, answer.status, time.monotonic() - began)
                route, until = _route(scope), answer.started or time.monotonic()
                self._service.house.telemetry.answered(scope["method"], route, answer.status, until - began)

    async def _enter(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        settings = self._service.settings.api
        check_head(scope, settings)
        door = self._door(scope["method"], scope["path"])
        scope["swapd.door"] = door
        body: bytes | None = None
        async with AsyncExitStack() as held:
            telemetry = self._service.house.telemetry
            held.enter_context(telemetry.request(scope["method"], _route(scope), scope["swapd.request_id"]))
            if not self._is_open(scope["path"]) if door is None else "open" not in door.marks:
                headers = Headers(scope=scope)
                if signing.is_signed(headers):
                    body = await read_body(scope, answer.hear, settings)
                key = await self._key(scope, headers, body or b"")
                scope["swapd.caller"] = caller = caller_of(key)
                self._service.uses.note(key.id)
                limited = door is None or "exit" not in door.marks
                if limited:
                    answer.headers = await self._service.rates.take(key.id, key.rate)
                if door is not None:
                    require_role(caller, door.roles)
                if body is None:  # before its turn: whoever sends it slowly holds up nobody
                    body = await read_body(scope, answer.hear, settings)
                if limited:
                    line = self._service.rates.stream if door and "stream" in door.marks else self._service.rates.turn
                    await held.enter_async_context(line(key.id))
            elif body is None:
                body = await read_body(scope, answer.hear, settings)
            scope["swapd.body"] = body
            if door is None and (methods := self._methods(scope["path"])):
                raise Problem("method-not-allowed", headers={"Allow": ", ".join(methods)})
            await self._app(scope, _replay(body, receive), answer)

    def _door(self, method: str, path: str) -> Door | None:
        return next((each for each in self._doors if each.method == method and each.pattern.match(path)), None)

    def _methods(self, path: str) -> list[str]:
        """All that there is for this path: Starlette would name those of the first route alone."""
        return sorted({each.method for each in self._doors if each.pattern.match(path)})

    def _is_open(self, path: str) -> bool:
        """Whether everybody may know of this path; what may be done there is another question."""
        return any("open" in each.marks and each.pattern.match(path) for each in self._doors)

    async def _key(self, scope: Scope, headers: Headers, body: bytes) -> KeyRow:
        """Whose request this is. Whatever is wrong with it, the answer is the same."""
        signed = signing.is_signed(headers)
        bearer = _BEARER.fullmatch(headers.get("authorization", ""))
        if "authorization" in headers and signed:
            raise unauthorized("send a key or a signature, not both")
        if not signed and bearer is None:
            raise unauthorized("a key is needed: Authorization: Bearer swk_...")
        address = (scope.get("client") or ("local", 0))[0]
        credential = _credential(headers, address)
        wait = self._service.lockout.wait(address, credential)
        if wait > 0:
            after = str(int(wait) + 1)
            raise Problem("too-many-requests", "too many wrong keys from here", headers={"Retry-After": after})
        key = await (self._bearer(bearer["token"]) if bearer else self._signature(scope, headers, body))
        if key is None:
            self._service.lockout.failed(address, credential)
            log.info("key.refused", address=address)
            raise unauthorized()
        self._service.lockout.succeeded(credential)
        if key.signed and not signed:
            raise unauthorized("this key signs its requests")
        return key

    async def _bearer(self, token: str) -> KeyRow | None:
        parsed = keys.TOKEN.fullmatch(token)
        if parsed is None:
            return None
        async with self._service.rates.asking:
            key = await keys.find(self._service.house.store, parsed["id"])
        return key if keys.matching(key, parsed["secret"], self._service.house.clock()) else None

    async def _signature(self, scope: Scope, headers: Headers, body: bytes) -> KeyRow | None:
        now = self._service.house.clock()
        try:
            claim = signing.read(
                scope["method"], scope.get("raw_path") or scope["path"].encode(), scope["query_string"], headers
            )
            claim.require_fits(body, now)
        except signing.BadSignature as error:
            log.info("signature.bad", reason=str(error))
            return None
        store = self._service.house.store
        async with self._service.rates.asking:
            key = await keys.find(store, claim.key_id)
        made = claim.made_with(*(each.signing for each in keys.proofs(key, now)))
        if key is None or not made or not keys.active(key, now):
            return None
        async with store.write() as writing:
            fresh = await writing.spend_nonce(key.id, claim.nonce, claim.until, now)
        if not fresh:
            log.warning("signature.replayed", key=key.name)
        return key if fresh else None


@dataclass
class _Answer:
    """Sends on, with the headers that every answer has. unread: a body is on its way that nobody will read, so the
    connection ends with this answer. status: None while nothing is out."""

    send: Send
    receive: Receive
    request_id: str
    unread: bool
    status: int | None = None
    started: float | None = None

    def __post_init__(self) -> None:
        self.headers: dict[str, str] = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.started = time.monotonic()
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            if self.unread:
                headers["Connection"] = "close"
            for name, value in self.headers.items():
                headers.setdefault(name, value)
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self.unread and last:
            await self.send({**message, "more_body": True})
            await self._let_it_arrive()
            message = {"type": "http.response.body", "body": b""}
        await self.send(message)

    async def _let_it_arrive(self) -> None:
        """A connection that is closed while bytes are on their way to it is reset, and the answer is lost with it (RFC
        9112, 9.6). So a while of the body is thrown away before."""
        left = LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self.unread and left > 0:
                    left -= len((await self.hear()).get("body", b""))

    async def hear(self) -> Message:
        """The next part of the request's body."""
        message = await self.receive()
        self.unread = self.unread and bool(message.get("more_body", False))
        return message


def _announces_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)


def _credential(headers: Headers, address: str) -> bytes:
    """What tells one caller's way of asking from another's, without keeping a secret: of a token its hash, of a
    signature the key it names, together with where it comes from."""
    shown = headers.get("authorization") or ""
    named = re.search(r'keyid="([0-9a-f]{16})"', headers.get("signature-input", ""))
    text = shown if shown else f"{named[1] if named else ''}@{address}"
    return hashlib.sha256(text.encode("latin-1", "replace")).digest()


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and after it what the server says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _route(scope: Scope) -> str:
    door: Door | None = scope.get("swapd.door")
    return door.path if door else ""


def _tell(scope: Scope, status: int | None, seconds: float) -> None:
    """One line for each request: never its query, its headers or its body."""
    door: Door | None = scope.get("swapd.door")
    caller: Caller | None = scope.get("swapd.caller")
    say = log.debug if scope["method"] in ("GET", "HEAD") else log.info
    say(
        "http.request",
        method=scope["method"],
        route=door.path if door else None,
        status=status,
        ms=round(seconds * 1000),
        caller=caller.actor if caller else None,
    )
