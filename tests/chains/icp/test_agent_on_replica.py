"""The agent on a real network: our replica as a process, without and with both forms of delegation."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import wasmtime

from swapd.chains.icp import candid
from swapd.chains.icp.agent import Agent, Expired, NotSeen, RejectedCall, Replied, fetch_insecure_root_key
from swapd.chains.icp.candid import types as t
from swapd.chains.icp.certificate import MAINNET_ROOT_KEY
from swapd.chains.icp.envelope import SignedCall
from swapd.chains.icp.errors import Refusal, Untrusted
from swapd.chains.icp.principal import MANAGEMENT_CANISTER, text
from swapd.devnet.icp import Icp
from swapd.devnet.replica.state import RANGES
from swapd.errors import Rejected, Unavailable
from swapd.vault import Network, Secret, Vault

SECOND = 10**9
VAULT = Vault(Secret(bytes(range(32))), Network.DEVNET)
SOMEBODY_ELSE = Vault(Secret(bytes(32)), Network.DEVNET)
ANY_CANISTER = RANGES[-1][0]
"""One that the replica may have: calls that are about no canister yet are sent there."""

COUNTER = """
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $size (result i32)))
  (import "ic0" "data_certificate_copy" (func $copy (param i32 i32 i32)))
  (memory 1)
  (data (i32.const 0) "DIDL\\00\\01\\7b\\00")
  (data (i32.const 8) "not today")
  (func $tell (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func (export "canister_query get") (call $tell))
  (func (export "canister_update bump")
    (i32.store8 (i32.const 7) (i32.add (i32.load8_u (i32.const 7)) (i32.const 1)))
    (call $certify (i32.const 7) (i32.const 1))
    (call $tell))
  (func (export "canister_update fail") (call $trap (i32.const 8) (i32.const 9)))
  (func (export "canister_query fail_to_tell") (call $trap (i32.const 8) (i32.const 9)))
  (func (export "canister_query certificate")
    (call $copy (i32.const 64) (i32.const 0) (call $size))
    (call $append (i32.const 64) (call $size))
    (call $reply)))
"""
"""Counts, certifies the count, and replies with it."""

_Settings = t.Record({"amount": t.Opt(t.Nat)})
_Created = t.Record({"canister_id": t.Principal})
_Install = t.Record(
    {"mode": t.Variant({"install": t.Null}), "canister_id": t.Principal, "wasm_module": t.Blob, "arg": t.Blob}
)


@dataclass(frozen=True)
class World:
    """A replica, shared by the tests of this file."""

    node: Icp
    root_key: bytes

    def agent(self, vault: Vault = VAULT, ahead: float = 0, root_key: bytes | None = None) -> Agent:
        """ahead: seconds by which its clock is wrong."""
        key = self.root_key if root_key is None else root_key
        return Agent(
            self.node.url,
            vault,
            root_key=key,
            timeout=20,
            max_age=30,
            now_ns=lambda: time.time_ns() + int(ahead * SECOND),
        )


@pytest.fixture(scope="module", params=["none", "ranges", "sharded"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    node = Icp(delegated=request.param)

    async def start() -> World:
        await node.start()
        return World(node, await fetch_insecure_root_key(node.url, 5))

    try:
        yield asyncio.run(start())
    finally:
        asyncio.run(node.stop())


@pytest.fixture
async def agent(world: World) -> AsyncIterator[Agent]:
    made = world.agent()
    yield made
    await made.close()


@pytest.fixture
async def counter(agent: Agent) -> bytes:
    """A new canister with the counter in it, controlled by VAULT."""
    create = candid.encode(_Settings, {"amount": None})
    method = "provisional_create_canister_with_cycles"
    reply = await agent.call(MANAGEMENT_CANISTER, method, create, effective=ANY_CANISTER)
    canister: bytes = candid.decode(_Created, reply)["canister_id"]
    code = {"mode": {"install": None}, "canister_id": canister, "wasm_module": wasm(), "arg": candid.NO_ARGUMENTS}
    await agent.call(MANAGEMENT_CANISTER, "install_code", candid.encode(_Install, code), effective=canister)
    return canister


def wasm() -> bytes:
    return bytes(wasmtime.wat2wasm(COUNTER))


def a_call(agent: Agent, canister: bytes, method: str = "bump", ttl: float = 120) -> SignedCall:
    return agent.sign_call(canister, method, candid.NO_ARGUMENTS, now_ns=time.time_ns(), ttl_ns=int(ttl * SECOND))


async def count(agent: Agent, canister: bytes) -> int:
    return int(candid.decode(t.Nat8, await agent.query(canister, "get", candid.NO_ARGUMENTS)))


async def test_a_call_is_carried_out_and_its_reply_certified(agent: Agent, counter: bytes) -> None:
    call = a_call(agent, counter)
    assert await agent.status(call) == NotSeen()
    await agent.submit(call)
    status = await agent.status(call)
    assert isinstance(status, Replied)
    assert candid.decode(t.Nat8, status.reply) == 1
    assert await count(agent, counter) == 1


async def test_s4_a_call_that_is_sent_again_and_again_runs_once(agent: Agent, counter: bytes) -> None:
    call = a_call(agent, counter)
    stored = call.raw
    for _ in range(3):
        await agent.submit(agent.parse_call(stored))
    assert isinstance(await agent.status(call), Replied)
    assert await count(agent, counter) == 1


async def test_two_equal_calls_in_one_second_are_two(agent: Agent, counter: bytes) -> None:
    first = await agent.call(counter, "bump", candid.NO_ARGUMENTS)
    second = await agent.call(counter, "bump", candid.NO_ARGUMENTS)
    assert [candid.decode(t.Nat8, reply) for reply in (first, second)] == [1, 2]


async def test_a_trap_is_a_certified_rejection(agent: Agent, counter: bytes) -> None:
    call = a_call(agent, counter, "fail")
    await agent.submit(call)
    status = await agent.status(call)
    assert isinstance(status, RejectedCall)
    assert status.code == 5
    assert "not today" in status.message
    with pytest.raises(Refusal, match="not today"):
        await agent.call(counter, "fail", candid.NO_ARGUMENTS)


async def test_a_query_that_traps_is_refused(agent: Agent, counter: bytes) -> None:
    with pytest.raises(Refusal, match="not today"):
        await agent.query(counter, "fail_to_tell", candid.NO_ARGUMENTS)
    with pytest.raises(Refusal, match=r"(?i)no (query )?method"):
        await agent.query(counter, "nothing", candid.NO_ARGUMENTS)


async def test_s10_a_call_that_was_never_sent_is_dead_when_the_networks_time_says_so(
    world: World, agent: Agent, counter: bytes
) -> None:
    call = a_call(agent, counter, ttl=2)
    assert await agent.status(call) == NotSeen()
    await world.node.advance(10)
    # The replica's clock is ahead now, by less than certificates may be; and stays so for the tests after this one.
    assert await agent.status(call) == Expired()
    with pytest.raises(Rejected, match="HTTP 400"):
        await agent.submit(call)
    assert await count(agent, counter) == 0


async def test_what_the_canister_has_certified_is_proven_by_a_query(agent: Agent, counter: bytes) -> None:
    await agent.call(counter, "bump", candid.NO_ARGUMENTS)
    raw = await agent.query(counter, "certificate", candid.NO_ARGUMENTS)
    assert agent.verify(raw, counter).certified_data(counter) == b"\x01"
    with pytest.raises(Untrusted):
        agent.verify(raw, counter).certified_data(RANGES[0][0])


async def test_the_code_and_its_masters_are_certified(agent: Agent, counter: bytes) -> None:
    assert await agent.module_hash(counter) == hashlib.sha256(wasm()).digest()
    assert await agent.controllers(counter) == [VAULT.icp_principal]
    assert abs(await agent.time(counter) - time.time_ns()) < 60 * SECOND


@pytest.mark.parametrize("key", [MAINNET_ROOT_KEY], ids=["main network"])
async def test_under_the_root_key_of_another_network_nothing_is_believed(
    world: World, counter: bytes, key: bytes
) -> None:
    stranger = world.agent(root_key=key)
    with pytest.raises(Untrusted, match="wrong signature"):
        await stranger.time(counter)
    await stranger.close()


async def test_with_a_clock_that_is_wrong_nothing_is_believed_and_nothing_taken(world: World, counter: bytes) -> None:
    for ahead in (3_600, -3_600):
        agent = world.agent(ahead=ahead)
        with pytest.raises(Unavailable):
            await agent.time(counter)
        call = agent.sign_call(
            counter, "bump", candid.NO_ARGUMENTS, now_ns=time.time_ns() + ahead * SECOND, ttl_ns=60 * SECOND
        )
        with pytest.raises(Rejected, match="HTTP 400"):
            await agent.submit(call)
        await agent.close()


async def test_others_may_call_but_not_ask_what_became_of_our_calls(world: World, agent: Agent, counter: bytes) -> None:
    other = world.agent(SOMEBODY_ELSE)
    assert candid.decode(t.Nat8, await other.call(counter, "bump", candid.NO_ARGUMENTS)) == 1
    call = a_call(agent, counter)
    await agent.submit(call)
    with pytest.raises(Unavailable, match="HTTP 403"):
        await other.status(call)
    await other.close()


async def test_a_canister_that_is_not_there_is_a_refusal(agent: Agent) -> None:
    missing = RANGES[-1][1]
    with pytest.raises((Rejected, Unavailable), match=text(missing)):
        await agent.call(missing, "bump", candid.NO_ARGUMENTS)
    with pytest.raises((Rejected, Unavailable), match=text(missing)):
        await agent.query(missing, "get", candid.NO_ARGUMENTS)
