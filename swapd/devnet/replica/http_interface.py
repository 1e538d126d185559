"""The HTTP interface of the Internet Computer. IC interface specification, section "HTTPS interface".

`/api/v2/status`; under `/api/v2|v3|v4/canister/ID/`: `call` (v2 answers 202 at once; v3 and v4 wait for the outcome,
with its certificate), `query`, `read_state`; `/api/v2|v3/subnet/ID/read_state`. Query responses carry no signatures
of nodes: there is no node key, and clients must not trust queries anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ic.principal import Principal
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from swapd.devnet.replica.candid_reader import NotCandid
from swapd.devnet.replica.certificates import cbor
from swapd.devnet.replica.envelope import BadRequest, UserRequest, read_request
from swapd.devnet.replica.errors import RejectError
from swapd.devnet.replica.management import target_of
from swapd.devnet.replica.replica import Replica
from swapd.devnet.replica.rounds import Rounds
from swapd.devnet.replica.state import MANAGEMENT
from swapd.devnet.replica.state_tree import BadPath, Forbidden

_SYNCHRONOUS_CALL_SECONDS = 10.0
_MAX_BODY_BYTES = 4 * 2**20

Handler = Callable[[bytes, bytes], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class HttpInterface:
    """Routes for a Starlette application. Everything that takes time happens in threads."""

    def __init__(self, replica: Replica, rounds: Rounds) -> None:
        self._replica = replica
        self._rounds = rounds

    def routes(self) -> list[Route]:
        routes = [Route("/api/v2/status", self._status, methods=["GET"])]
        for version in ("v2", "v3", "v4"):
            call = self._call if version == "v2" else self._synchronous_call
            room = f"/api/{version}/canister/{{principal}}"
            for name, handler in (("call", call), ("query", self._query), ("read_state", self._read_state)):
                routes.append(Route(f"{room}/{name}", _endpoint(handler), methods=["POST"]))
            subnet = f"/api/{version}/subnet/{{principal}}/read_state"
            routes.append(Route(subnet, _endpoint(self._read_state), methods=["POST"]))
        return routes

    async def _status(self, request: Request) -> Response:
        return _cbor(
            {
                "ic_api_version": "0.18.0",
                "impl_version": "swapd-replica",
                "replica_health_status": "healthy",
                "root_key": self._replica.root_key,
            }
        )

    def _call(self, body: bytes, effective: bytes) -> Response:
        """Asynchronous: taken in, to be asked for by read_state."""
        request = self._read_call(body, effective)
        try:
            self._submit(request)
        except RejectError as e:
            return _cbor({"status": "non_replicated_rejection", **_rejection(e)})
        return Response(status_code=202)

    def _synchronous_call(self, body: bytes, effective: bytes) -> Response:
        request = self._read_call(body, effective)
        try:
            self._submit(request)
        except RejectError as e:
            return _cbor({"status": "non_replicated_rejection", **_rejection(e)})
        if self._rounds.wait_for(request.request_id, _SYNCHRONOUS_CALL_SECONDS) is None:
            return Response(status_code=202)
        path = (b"request_status", request.request_id)
        return _cbor({"status": "replied", "certificate": self._replica.certificate([path], effective)})

    def _submit(self, request: UserRequest) -> None:
        self._replica.submit(
            request.canister_id,
            request.method,
            request.argument,
            request.sender,
            request_id=request.request_id,
            expiry_ns=request.expiry_ns,
        )
        self._rounds.wake()

    def _query(self, body: bytes, effective: bytes) -> Response:
        request = read_request(body, "query", effective, self._replica.now_ns)
        _check_effective(request.canister_id, effective)
        try:
            reply = self._replica.query(request.canister_id, request.method, request.argument, request.sender)
        except RejectError as e:
            return _cbor({"status": "rejected", **_rejection(e)})
        return _cbor({"status": "replied", "reply": {"arg": reply}})

    def _read_state(self, body: bytes, effective: bytes) -> Response:
        request = read_request(body, "read_state", effective, self._replica.now_ns)
        for path in request.paths:
            if path[:1] == [b"canister"] and len(path) > 1 and path[1] != effective:
                raise BadRequest("a path is about another canister than the one that was asked")
        return _cbor({"certificate": self._replica.read_state(request.paths, effective, request.sender)})

    def _read_call(self, body: bytes, effective: bytes) -> UserRequest:
        """A call, with the canister it was sent to as it must be: the callee, or what a management call is about."""
        request = read_request(body, "call", effective, self._replica.now_ns)
        if request.canister_id != MANAGEMENT:
            _check_effective(request.canister_id, effective)
            return request
        try:
            target = target_of(request.method, request.argument)
        except NotCandid as e:
            raise BadRequest(f"arg: {e}") from e
        if target is not None:
            _check_effective(target, effective)
        return request


def _check_effective(canister_id: bytes, effective: bytes) -> None:
    if canister_id != effective:
        raise BadRequest("Effective principal id in URL does not match requested canister id")


def _rejection(error: RejectError) -> dict[str, Any]:
    code = {"error_code": str(error.error)} if error.error else {}
    return {"reject_code": int(error.code), "reject_message": error.message, **code}


def _endpoint(handler: Handler) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            principal = _principal(request.path_params["principal"])
            return await run_in_threadpool(handler, await _body(request), principal)
        except (BadRequest, BadPath) as e:
            return Response(str(e), 400)
        except Forbidden as e:
            return Response(str(e), 403)
        except _TooLarge:
            return Response("Request too large", 413)
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


class _TooLarge(Exception):
    pass


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise _TooLarge
    return bytes(body)


def _principal(text: str) -> bytes:
    try:
        principal = Principal.from_str(text)
    except (ValueError, TypeError) as e:  # ic-py raises texts, which Python turns into TypeErrors
        raise BadRequest(f"{text!r} is not a principal") from e
    return bytes(principal.bytes)


def _cbor(value: Any) -> Response:
    return Response(cbor(value), media_type="application/cbor")
