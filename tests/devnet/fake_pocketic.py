"""A server that speaks PocketIC's REST as the package `pocket-ic` expects it, with our replica inside.

No PocketIC server can be had from a package registry. This one shows that the package's client and our wrapper around
it fit together; that the real server answers like this is known from its sources only.
"""

from __future__ import annotations

import argparse
import base64
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
from ic.principal import Principal
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.replica import ManualClock, RejectError, Replica
from swapd.devnet.replica.clock import OffsetClock
from swapd.devnet.replica.server import application

SUBNETS = {kind: Principal(kind.encode() * 5).to_str() for kind in ("NNS", "Application")}


class Fake:
    def __init__(self, folder: Path) -> None:
        self.replica = Replica(clock=ManualClock())
        self.folder = folder

    def answer(self, place: str, body: Any) -> Any:
        replica = self.replica
        match place:
            case "read/topology":
                return {"subnet_configs": {text: {"subnet_kind": kind} for kind, text in SUBNETS.items()}}
            case "read/pub_key":
                assert _bytes(body["subnet_id"]) == b"NNS" * 5
                return list(replica.root_key)
            case "read/get_time":
                return {"nanos_since_epoch": replica.now_ns}
            case "update/set_time":
                replica.clock.advance((body["nanos_since_epoch"] - replica.now_ns) / 10**9)
            case "update/tick":
                replica.step()
            case "read/get_cycles":
                return {"cycles": replica.canister(_bytes(body["canister_id"])).cycles}
            case "update/add_cycles":
                return {"cycles": replica.add_cycles(_bytes(body["canister_id"]), body["amount"])}
            case "update/submit_ingress_message":
                return _result(lambda: self._submit(body))
            case "read/ingress_status":
                outcome = replica.outcome(_bytes(body["raw_message_id"]["message_id"]))
                return outcome and _result(lambda: _text(outcome.unwrap()))
            case "read/query":
                call = (_bytes(body["canister_id"]), body["method"], _bytes(body["payload"]), _bytes(body["sender"]))
                return _result(lambda: _text(replica.query(*call)))
            case "auto_progress":
                assert body == {"artificial_delay_ms": None}
                replica.state.clock = OffsetClock()
            case _:
                raise AssertionError(place)
        return None

    def gateway(self, body: Any) -> dict[str, Any]:
        assert body["forward_to"] == {"PocketIcInstance": 0}
        port = free_port()
        config = uvicorn.Config(application(self.replica, self.folder), host=LOOPBACK, port=port, log_level="warning")
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            threading.Event().wait(0.01)
        return {"Created": {"instance_id": 0, "port": port}}

    def _submit(self, body: Any) -> dict[str, Any]:
        call = (_bytes(body["canister_id"]), body["method"], _bytes(body["payload"]), _bytes(body["sender"]))
        return {"effective_principal": body["effective_principal"], "message_id": _text(self.replica.submit(*call))}


def _result(act: Any) -> dict[str, Any]:
    try:
        return {"Ok": act()}
    except RejectError as e:
        error = _camel(e.error.name) if e.error else None
        return {"Err": {"reject_code": _camel(e.code.name), "reject_message": e.message, "error_code": error}}


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--ttl", type=int)
    port_file = parser.parse_args().port_file
    fake = Fake(port_file.parent)

    async def made(request: Request) -> Response:
        wanted = await request.json()
        assert wanted["subnet_config_set"]["nns"]
        return JSONResponse({"Created": {"instance_id": 0, "topology": {}}}, 201)

    async def answer(request: Request) -> Response:
        body = await request.json() if request.method == "POST" else None
        return JSONResponse(await run_in_threadpool(fake.answer, request.path_params["place"], body))

    async def gateway(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(fake.gateway, await request.json()), 201)

    app = Starlette(
        routes=[
            Route("/instances", made, methods=["POST"]),
            Route("/instances/0/{place:path}", answer, methods=["GET", "POST"]),
            Route("/http_gateway", gateway, methods=["POST"]),
        ]
    )
    with socket.create_server((LOOPBACK, 0)) as listening:
        port_file.write_text(f"{listening.getsockname()[1]}\n")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
