"""A door beside the IC's interface, for tests and devnet: time, saving, stopping. JSON, on loopback only.

POST with a JSON object to `/_/advance` {seconds}, `/_/settle` {}, `/_/save` {}, `/_/stop_canister` {canister_id},
`/_/start_canister` {canister_id}, `/_/canister` {canister_id}, `/_/add_cycles` {canister_id, amount}. 400 says what
was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from ic.principal import Principal
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swapd.devnet.replica.errors import RejectError
from swapd.devnet.replica.replica import Replica

_LOOPBACK = ("127.0.0.1", "::1")


class _Wrong(Exception):
    pass


class Admin:
    """`folder` is where `/_/save` saves to."""

    def __init__(self, replica: Replica, folder: Path) -> None:
        self._replica = replica
        self._folder = folder
        self._acts: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "advance": self._advance,
            "settle": self._settle,
            "save": self._save,
            "stop_canister": self._stop,
            "start_canister": self._start,
            "canister": self._canister,
            "add_cycles": self._add_cycles,
        }

    def routes(self) -> list[Route]:
        return [Route("/_/{act}", self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return JSONResponse({"error": "on loopback only"}, 403)
        act = self._acts.get(request.path_params["act"])
        if act is None:
            return JSONResponse({"error": f"expected one of {', '.join(self._acts)}"}, 404)
        try:
            # A web page can not send this content type to another site without being asked first.
            if request.headers.get("content-type", "").split(";")[0] != "application/json":
                raise _Wrong("expected the content type application/json")
            wanted = await request.json()
            if not isinstance(wanted, dict):
                raise _Wrong("expected a JSON object")
            return JSONResponse(await run_in_threadpool(act, wanted))
        except (JSONDecodeError, UnicodeDecodeError, RecursionError) as e:
            return JSONResponse({"error": f"not JSON: {type(e).__name__}"}, 400)
        except (_Wrong, RejectError) as e:
            return JSONResponse({"error": str(e)}, 400)

    def _advance(self, wanted: dict[str, Any]) -> dict[str, Any]:
        seconds = wanted.get("seconds")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds <= _MAX_SECONDS:
            raise _Wrong(f"seconds: expected a number from 0 to {_MAX_SECONDS}")
        self._replica.advance(seconds)
        return {"now_ns": self._replica.now_ns}

    def _settle(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self._replica.settle()
        return {"now_ns": self._replica.now_ns}

    def _save(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self._replica.save(self._folder)
        return {}

    def _stop(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self._replica.stop(_id(wanted))
        return self._canister(wanted)

    def _start(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self._replica.start(_id(wanted))
        return self._canister(wanted)

    def _add_cycles(self, wanted: dict[str, Any]) -> dict[str, Any]:
        amount = wanted.get("amount")
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise _Wrong("amount: expected a whole number of cycles")
        self._replica.add_cycles(_id(wanted), amount)
        return self._canister(wanted)

    def _canister(self, wanted: dict[str, Any]) -> dict[str, Any]:
        canister = self._replica.canister(_id(wanted))
        return {
            "status": canister.status,
            "cycles": canister.cycles,
            "memory_bytes": canister.memory_bytes,
            "module_hash": canister.module.hash.hex() if canister.module else None,
            "instructions_used": canister.instructions_used,
            "logs": [text for _, text in canister.logs],
        }


_MAX_SECONDS = 100 * 366 * 86_400


def _id(wanted: dict[str, Any]) -> bytes:
    text = wanted.get("canister_id")
    try:
        return bytes(Principal.from_str(text).bytes)
    except (ValueError, TypeError, AttributeError) as e:
        raise _Wrong("canister_id: expected a principal in text") from e
