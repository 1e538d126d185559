"""The HTTP interface: what clients of the Internet Computer send and get."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
import uvicorn
from ic.candid import Types, encode
from ic.principal import Principal
from starlette.applications import Starlette

from swapd.chains.icp import certificate as client
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.replica import Limits, Replica, http_interface
from swapd.devnet.replica.server import application
from tests.devnet.replica.probing import ALICE, Probe
from tests.devnet.replica.users import SECOND, User, call_content, request_id
from tests.devnet.replica.wasm import wat

MANAGEMENT = b""
ID = Types.Record({"canister_id": Types.Principal})


@dataclass
class Door:
    probe: Probe
    http: httpx.Client
    user: User

    @property
    def replica(self) -> Replica:
        return self.probe.replica

    def post(self, place: str, body: bytes, canister_id: bytes | None = None) -> Any:
        target = Principal(self.probe.id if canister_id is None else canister_id).to_str()
        return self.http.post(f"/api/{place.replace('/', f'/canister/{target}/')}", content=body)

    def content(self, **changes: Any) -> dict[str, Any]:
        return call_content(self.probe.id, self.user.principal, self.replica.now_ns, **changes)

    def read(self, paths: list[list[bytes]], user: User | None = None, version: str = "v2") -> Any:
        reader = user or self.user
        content = {
            "request_type": "read_state",
            "sender": reader.principal,
            "paths": paths,
            "ingress_expiry": self.replica.now_ns + 60 * SECOND,
        }
        return self.post(f"{version}/read_state", reader.envelope(content))

    def seen(self, raw: bytes) -> client.Certificate:
        return client.verify(
            raw,
            root_key=self.replica.root_key,
            canister_id=self.probe.id,
            now_ns=self.replica.now_ns,
            max_age_ns=60 * SECOND,
            max_ahead_ns=0,
        )

    def status(self, request: bytes) -> bytes | None:
        answer = self.read([[b"request_status", request]])
        assert answer.status_code == 200
        certificate = cbor2.loads(answer.content)["certificate"]
        return self.seen(certificate).value([b"request_status", request, b"status"])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    replica = Replica(limits=Limits(instructions_per_message=10**9))
    probe = Probe(replica)
    with served(application(replica, tmp_path)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        yield Door(probe, http, User.of("ed25519"))


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """An application as a real server, in a thread. Its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_status_tells_the_root_key(door: Door) -> None:
    status = cbor2.loads(door.http.get("/api/v2/status").content)
    assert (status["root_key"], status["replica_health_status"]) == (door.replica.root_key, "healthy")


def test_an_asynchronous_call_is_taken_in_and_asked_for_later(door: Door) -> None:
    content = door.content()
    answer = door.post("v2/call", door.user.envelope(content))
    assert (answer.status_code, answer.content) == (202, b"")
    for _ in range(1000):
        if door.status(request_id(content)) == b"replied":
            break
    assert door.status(request_id(content)) == b"replied"


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_a_synchronous_call_answers_with_its_certificate(door: Door, version: str) -> None:
    content = door.content()
    answer = door.post(f"{version}/call", door.user.envelope(content))
    assert answer.headers["content-type"] == "application/cbor"
    assert answer.content.startswith(b"\xd9\xd9\xf7"), "self-described CBOR, as from the real replica"
    body = cbor2.loads(answer.content)
    assert body["status"] == "replied"
    place = [b"request_status", request_id(content)]
    assert door.seen(body["certificate"]).value([*place, b"reply"]) == door.user.principal


def test_the_same_request_runs_once_however_often_it_comes(door: Door) -> None:
    body = door.user.envelope(door.content(method_name="bump"))
    for version in ("v2", "v3", "v2", "v3"):
        assert door.post(f"{version}/call", body).status_code in (200, 202)
    assert door.probe.state().bumps == 1
    door.post("v3/call", door.user.envelope(door.content(method_name="bump", nonce=b"2")))
    assert door.probe.state().bumps == 2


def test_what_a_canister_does_not_take_is_rejected_at_the_door(door: Door) -> None:
    for version in ("v2", "v3"):
        answer = door.post(f"{version}/call", door.user.envelope(door.content(method_name="forbidden")))
        body = cbor2.loads(answer.content)
        assert answer.status_code == 200
        assert (body["status"], body["reject_code"], body["error_code"]) == ("non_replicated_rejection", 4, "IC0406")


def test_a_message_that_waited_too_long_is_not_run(door: Door) -> None:
    replica = door.replica
    with replica.lock:
        replica.submit(door.probe.id, "bump", b"", ALICE, request_id=b"\1" * 32, expiry_ns=replica.now_ns + 1)
        replica.clock.advance(1)
        replica.settle()
    outcome = replica.outcome(b"\1" * 32)
    assert outcome
    assert "timed out waiting to start executing" in str(outcome.rejection)
    assert door.probe.state().bumps == 0


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_query_is_answered(door: Door, version: str) -> None:
    body = door.user.envelope(door.content(request_type="query", method_name="certificate", nonce=None))
    answer = cbor2.loads(door.post(f"{version}/query", body).content)
    assert answer["status"] == "replied"
    assert door.seen(answer["reply"]["arg"]).time_ns <= door.replica.now_ns


def test_a_query_that_fails_says_so(door: Door) -> None:
    body = door.user.envelope(door.content(request_type="query", method_name="nothing"))
    answer = cbor2.loads(door.post("v2/query", body).content)
    assert (answer["status"], answer["reject_code"], answer["error_code"]) == ("rejected", 5, "IC0536")


def test_read_state_is_for_the_sender_alone(door: Door) -> None:
    content = door.content()
    door.post("v3/call", door.user.envelope(content))
    answer = door.read([[b"request_status", request_id(content)]], User.of("p256"))
    assert answer.status_code == 403
    assert door.read([[b"nothing"]]).status_code == 400
    assert door.read([[b"canister", b"\0" * 8 + b"\1\1", b"module_hash"]]).status_code == 400
    assert door.read([[b"time"]], version="v3").status_code == 200


def test_a_request_must_be_sent_where_it_belongs(door: Door) -> None:
    elsewhere = b"\0" * 8 + b"\1\1"
    for place, kind in (("v2/call", "call"), ("v3/call", "call"), ("v2/query", "query")):
        answer = door.post(place, door.user.envelope(door.content(request_type=kind)), elsewhere)
        assert (answer.status_code, "Effective principal" in answer.text) == (400, True)
    argument = encode([{"type": ID, "value": {"canister_id": door.probe.id}}])
    stop = door.content(canister_id=MANAGEMENT, method_name="stop_canister", arg=argument)
    assert door.post("v2/call", door.user.envelope(stop), elsewhere).status_code == 400


def test_garbage_is_a_bad_request(door: Door) -> None:
    garbage = [b"", b"junk", b"\xff" * 100, cbor2.dumps([1]), cbor2.dumps({"content": 1}), b"\x81" * 9999]
    for place in ("v2/call", "v3/call", "v4/call", "v2/query", "v2/read_state"):
        assert [door.post(place, body).status_code for body in garbage] == [400] * len(garbage)


def test_what_is_too_large_or_nowhere_is_refused(door: Door) -> None:
    assert door.post("v2/call", b"\0" * (5 * 2**20)).status_code == 413
    assert door.http.post("/api/v2/canister/not-a-principal/call", content=b"x").status_code == 400
    assert door.http.post("/api/v9/canister/aaaaa-aa/call", content=b"x").status_code == 404
    assert door.http.get("/api/v2/canister/aaaaa-aa/call").status_code == 405


def test_garbage_in_a_management_call_is_a_bad_request(door: Door) -> None:
    for method in ("install_code", "stop_canister"):
        content = door.content(canister_id=MANAGEMENT, method_name=method, arg=b"junk")
        assert door.post("v3/call", door.user.envelope(content)).status_code == 400


def test_a_synchronous_call_waits_for_so_long_and_no_longer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_interface, "_SYNCHRONOUS_CALL_SECONDS", 0.05)
    body = door.user.envelope(door.content(method_name="forever"))
    assert door.post("v3/call", body).status_code == 202
    assert door.http.get("/api/v2/status").status_code == 200, "it is the replica that is busy, not the server"
    monkeypatch.undo()
    assert door.post("v3/call", body).status_code == 200


async def test_the_admin_door_is_on_loopback_only(tmp_path: Path) -> None:
    app = application(Replica(), tmp_path)
    for host, expected in (("10.0.0.1", 403), ("127.0.0.1", 200)):
        transport = httpx.ASGITransport(app, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
            assert (await http.post("/_/settle", json={})).status_code == expected


def test_the_admin_door_moves_time_and_stops_canisters(door: Door) -> None:
    before, canister = door.replica.now_ns, {"canister_id": Principal(door.probe.id).to_str()}
    assert door.http.post("/_/advance", json={"seconds": 3600}).json()["now_ns"] >= before + 3600 * SECOND
    assert door.http.post("/_/stop_canister", json=canister).json()["status"] == "stopped"
    assert door.http.post("/_/start_canister", json=canister).json()["status"] == "running"
    cycles = door.http.post("/_/canister", json=canister).json()["cycles"]
    assert door.http.post("/_/add_cycles", json={**canister, "amount": 5}).json()["cycles"] == cycles + 5


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("advance", b"junk"),
        ("advance", b"[]"),
        ("advance", b"{}"),
        ("advance", b'{"seconds": -1}'),
        ("advance", b'{"seconds": 1e400}'),
        ("advance", b'{"seconds": NaN}'),
        ("add_cycles", b'{"canister_id": "aaaaa-aa", "amount": 1}'),
        ("canister", b'{"canister_id": 5}'),
        ("canister", b'{"canister_id": "junk"}'),
    ],
)
def test_the_admin_door_says_what_is_wrong(door: Door, act: str, body: bytes) -> None:
    answer = door.http.post(f"/_/{act}", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, "error" in answer.json()) == (400, True)


def test_a_web_page_can_not_use_the_admin_door(door: Door) -> None:
    assert door.http.post("/_/settle", content=b"{}", headers={"content-type": "text/plain"}).status_code == 400
    assert door.http.post("/_/nothing", json={}).status_code == 404


def test_canisters_are_made_and_installed_over_http(door: Door) -> None:
    def manage(method: str, argument: bytes, target: bytes) -> bytes:
        content = door.content(canister_id=MANAGEMENT, method_name=method, arg=argument, nonce=method.encode()[:32])
        body = cbor2.loads(door.post("v3/call", door.user.envelope(content), target).content)
        seen = client.verify(
            body["certificate"],
            root_key=door.replica.root_key,
            canister_id=door.probe.id,
            now_ns=door.replica.now_ns,
            max_age_ns=60 * SECOND,
            max_ahead_ns=0,
        )
        place = [b"request_status", request_id(content)]
        reply = seen.value([*place, b"reply"])
        assert reply is not None, seen.value([*place, b"reject_message"])
        return reply

    created = manage("provisional_create_canister_with_cycles", encode([{"type": Types.Record({}), "value": {}}]), b"")
    new = created[-10:]
    assert door.replica.canister(new).settings.controllers == [door.user.principal]
    install = Types.Record(
        {
            "mode": Types.Variant({"install": Types.Null}),
            "canister_id": Types.Principal,
            "wasm_module": Types.Vec(Types.Nat8),
            "arg": Types.Vec(Types.Nat8),
        }
    )
    value = {"mode": {"install": None}, "canister_id": new, "wasm_module": wat("probe"), "arg": b""}
    manage("install_code", encode([{"type": install, "value": value}]), new)
    assert door.replica.canister(new).module
