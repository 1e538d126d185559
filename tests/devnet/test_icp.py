"""The replica as a node: a process with a folder, spoken to by an agent that nobody has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ic.agent import Agent, sign_request
from ic.candid import Types, encode
from ic.certificate import lookup
from ic.client import Client
from ic.identity import Identity
from ic.principal import Principal

from swapd.devnet.icp import Icp
from swapd.devnet.state import ProcessId
from swapd.errors import Rejected, Unavailable
from tests.devnet.replica.probing import State
from tests.devnet.replica.wasm import wat

# ic-py passes bytes to httpx in a way that httpx would rather not see
pytestmark = pytest.mark.filterwarnings("ignore:Use .content=:DeprecationWarning")

MANAGEMENT = "aaaaa-aa"
INSTALL = Types.Record(
    {
        "mode": Types.Variant({"install": Types.Null}),
        "canister_id": Types.Principal,
        "wasm_module": Types.Vec(Types.Nat8),
        "arg": Types.Vec(Types.Nat8),
    }
)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Icp]:
    async with Icp(tmp_path) as node:
        yield node


def agent(node: Icp, kind: str = "ed25519") -> Agent:
    return Agent(Identity(type=kind), Client(node.url))


async def update(caller: Agent, canister: str, method: str, argument: bytes, effective: str | None = None) -> Any:
    """Candid values; the agent blocks, so it gets a thread."""
    return await asyncio.to_thread(caller.update_raw, canister, method, argument, None, effective, timeout=20)


async def installed(node: Icp, caller: Agent) -> str:
    """A new `probe`, made and installed by the agent alone."""
    created = encode([{"type": Types.Record({}), "value": {}}])
    [answer] = await update(caller, MANAGEMENT, "provisional_create_canister_with_cycles", created, MANAGEMENT)
    [canister] = answer["value"].values()
    value = {"mode": {"install": None}, "canister_id": canister.bytes, "wasm_module": wat("probe"), "arg": b""}
    text: str = canister.to_str()
    await update(caller, MANAGEMENT, "install_code", encode([{"type": INSTALL, "value": value}]), text)
    return text


async def raw_update(caller: Agent, canister: str, method: str) -> bytes:
    """A call whose reply is no Candid: read from the certificate that the agent got."""
    request = {
        "request_type": "call",
        "sender": caller.identity.sender().bytes,
        "canister_id": Principal.from_str(canister).bytes,
        "method_name": method,
        "arg": b"",
        "ingress_expiry": caller.get_expiry_date(),
    }
    request_id, data = sign_request(request, caller.identity)
    await asyncio.to_thread(caller.call_endpoint, canister, request_id, data)
    while True:
        status, certificate = await asyncio.to_thread(caller.request_status_raw, canister, request_id)
        if status == "replied":
            reply: bytes = lookup([b"request_status", request_id, b"reply"], certificate)
            return reply


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
async def test_ic_pys_agent_makes_canisters_and_calls_them(node: Icp, kind: str) -> None:
    caller = agent(node, kind)
    canister = await installed(node, caller)
    assert await raw_update(caller, canister, "who") == caller.identity.sender().bytes
    with pytest.raises(Exception, match="boom"):
        await update(caller, canister, "explode", b"")


async def test_everything_is_there_after_a_restart(node: Icp) -> None:
    caller, root_key = agent(node), await node.root_key()
    canister = await installed(node, caller)
    await raw_update(caller, canister, "bump")
    await node.restart()
    assert await node.root_key() == root_key
    assert State.read(await raw_update(caller, canister, "state_by_update")).bumps == 1
    now = await node.advance(86_400)
    await node.restart()
    assert 0 <= await node.advance(0) - now < 600 * 10**9


async def test_a_killed_replica_comes_back_as_it_was_saved(node: Icp) -> None:
    caller = agent(node)
    canister = await installed(node, caller)
    await raw_update(caller, canister, "bump")
    await node.save()
    node.process.kill()
    await node.restart()
    assert State.read(await raw_update(caller, canister, "state_by_update")).bumps == 1


async def test_canisters_are_looked_at_stopped_and_drained(node: Icp) -> None:
    canister = await installed(node, agent(node))
    principal = Principal.from_str(canister).bytes
    await node.stop_canister(principal)
    assert (await node.canister(principal))["status"] == "stopped"
    await node.start_canister(principal)
    await node.add_cycles(principal, -(10**20))
    await node.settle()
    assert await node.canister(principal) | {"status": "running", "cycles": 0} == await node.canister(principal)
    with pytest.raises(Rejected, match="not found"):
        await node.stop_canister(b"\0" * 8 + b"\1\1")


async def test_the_replica_ends_with_its_node(tmp_path: Path) -> None:
    async with Icp(tmp_path) as node:
        process = ProcessId.of(node.process.pid)
    assert process
    assert not process.alive()
    with pytest.raises(Unavailable):
        await node.root_key()


async def test_rounds_take_their_time_if_they_are_told_to(tmp_path: Path) -> None:
    async with Icp(tmp_path, round_seconds=0.05, delegated="sharded") as node:
        caller = agent(node)
        assert await raw_update(caller, await installed(node, caller), "who") == caller.identity.sender().bytes
