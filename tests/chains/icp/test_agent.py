"""The agent against a boundary node that lies, breaks and dawdles: every way of failing has its error, in its time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from typing import Any

import cbor2
import pytest

from swapd.chains.icp import cbor
from swapd.chains.icp.agent import (
    Agent,
    CallStatus,
    Done,
    Expired,
    NotSeen,
    Pending,
    RejectedCall,
    Replied,
    fetch_insecure_root_key,
)
from swapd.chains.icp.candid.encoding import unsigned
from swapd.chains.icp.envelope import SignedCall
from swapd.chains.icp.errors import Refusal, Untrusted
from swapd.chains.icp.hashtree import Fork, Labeled
from swapd.chains.icp.principal import text
from swapd.chains.icp.transport import MOST_BYTES
from swapd.chains.words import quoted
from swapd.devnet.ports import free_port
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.vault import Network, Secret, Vault
from tests.chains.icp.boundary import CUT, Boundary, boundary, http, ok
from tests.chains.icp.forge import (
    CANISTER,
    NOW,
    RANGE,
    ROOT,
    SECOND,
    SUBNET,
    Key,
    delegation,
    pruned,
    sharded,
    signed,
    state_tree,
    tree,
)

VAULT = Vault(Secret(bytes(range(32))), Network.DEVNET)
SECRET = hashlib.sha256(b"a secret without any pattern").digest()
ARG = b"DIDL\x00\x00"


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def node() -> AsyncIterator[Boundary]:
    async with boundary() as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


def agent_of(url: str, clock: Clock, timeout: float = 5.0) -> Agent:
    return Agent(url, VAULT, root_key=ROOT.der, timeout=timeout, max_age=60, now_ns=clock)


@pytest.fixture
async def agent(node: Boundary, clock: Clock) -> AsyncIterator[Agent]:
    made = agent_of(node.url, clock)
    yield made
    await made.close()


def a_call(agent: Agent, arg: bytes = ARG) -> SignedCall:
    return agent.sign_call(CANISTER, "completeSwap", arg, now_ns=NOW, ttl_ns=120 * SECOND)


def certified(node: Any, key: Key = ROOT, **more: Any) -> bytes:
    """The answer to read_state with this tree."""
    return ok({"certificate": signed(key, node, **more)})


def known(call: SignedCall, parts: dict[str, bytes]) -> bytes:
    """The answer to read_state for a call that the network knows."""
    status = {name.encode(): value for name, value in parts.items()}
    return certified(tree({b"request_status": {call.request_id: status}, b"time": unsigned(NOW)}))


BROKEN = {
    "cut": CUT,
    "half a head": b"HTTP/1.1 200",
    "half a body": b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\nabc",
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "500": http(500, b"internal"),
    "502": http(502, b"<html>bad gateway</html>"),
    "503": http(503),
    "redirect": http(307, b"", "location: http://127.0.0.1:1/"),
    "204": http(204),
    "too large": http(200, bytes(MOST_BYTES + 1)),
    "too large without a length": b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n" + bytes(MOST_BYTES + 1),
    "packed": http(200, bytes(100), "content-encoding: gzip"),
    "no CBOR": http(200, b"<html>"),
    "empty": http(200),
    "cut CBOR": http(200, cbor.encode({"status": "replied"})[:-3]),
    "CBOR that contains itself": http(200, b"\xd8\x1c\x82\x03\xd8\x1d\x00"),
    "deep CBOR": http(200, b"\x81" * 100_000),
}

# -- queries


async def test_a_query_gives_the_reply(node: Boundary, agent: Agent) -> None:
    node.always("query", ok({"status": "replied", "reply": {"arg": b"DIDL\x00\x01\x7d\x05"}}))
    assert await agent.query(CANISTER, "getSwap", ARG) == b"DIDL\x00\x01\x7d\x05"
    assert node.paths == [f"/api/v2/canister/{text(CANISTER)}/query"]
    content = cbor2.loads(node.seen[0][1])["content"]
    assert content["sender"] == VAULT.icp_principal
    assert content["ingress_expiry"] == NOW + 240 * SECOND


async def test_a_query_that_is_rejected_says_why(node: Boundary, agent: Agent) -> None:
    rejection = {
        "status": "rejected",
        "reject_code": 5,
        "reject_message": "trapped: no such id",
        "error_code": "IC0503",
    }
    node.always("query", ok(rejection))
    with pytest.raises(Refusal, match=r"getSwap: rejected: trapped: no such id \(code 5, IC0503\)") as caught:
        await agent.query(CANISTER, "getSwap", ARG)
    assert (caught.value.code, caught.value.error_code) == (5, "IC0503")
    assert isinstance(caught.value, Rejected)


async def test_a_query_that_the_system_can_not_answer_just_now_may_be_tried_again(node: Boundary, agent: Agent) -> None:
    node.always("query", ok({"status": "rejected", "reject_code": 2, "reject_message": "queue is full"}))
    with pytest.raises(Unavailable, match="queue is full"):
        await agent.query(CANISTER, "getSwap", ARG)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", ["query", "read_state"])
async def test_a_broken_answer_to_a_question_is_no_answer(
    node: Boundary, agent: Agent, kind: str, answer: bytes
) -> None:
    node.always(kind, answer)
    with pytest.raises(Unavailable):
        await (agent.query(CANISTER, "getSwap", ARG) if kind == "query" else agent.read_state(CANISTER, [[b"time"]]))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "replied",
        {},
        {"status": "replied"},
        {"status": "replied", "reply": b""},
        {"status": "replied", "reply": {"arg": "text"}},
        {"status": 1},
    ],
    ids=repr,
)
async def test_a_query_needs_the_form_of_an_answer(node: Boundary, agent: Agent, value: Any) -> None:
    node.always("query", ok(value))
    with pytest.raises(Unavailable, match="none of the interface specification"):
        await agent.query(CANISTER, "getSwap", ARG)


@pytest.mark.parametrize(
    "rejection", [{}, {"reject_code": "five", "reject_message": 7, "error_code": b"x"}, {"reject_code": True}]
)
async def test_a_rejection_without_its_fields_is_still_one(node: Boundary, agent: Agent, rejection: Any) -> None:
    node.always("query", ok({"status": "rejected", **rejection}))
    with pytest.raises(Refusal, match="no reason given"):
        await agent.query(CANISTER, "getSwap", ARG)


async def test_a_node_that_keeps_silent_is_left_after_the_timeout(node: Boundary, clock: Clock) -> None:
    node.always("query", None)
    agent = agent_of(node.url, clock, timeout=0.2)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
        await agent.query(CANISTER, "getSwap", ARG)
    assert time.monotonic() - begun < 2
    await agent.close()


async def test_a_node_that_sends_byte_by_byte_is_left_after_the_timeout(clock: Clock) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"\0")
            try:
                await writer.drain()
                await asyncio.wait_for(reader.read(1), 0.02)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        agent = agent_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", clock, timeout=0.3)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
            await agent.query(CANISTER, "getSwap", ARG)
        assert time.monotonic() - begun < 2
        await agent.close()


async def test_a_redirection_is_not_followed(node: Boundary, agent: Agent) -> None:
    async with boundary() as elsewhere:
        elsewhere.always("query", ok({"status": "replied", "reply": {"arg": b"stolen"}}))
        node.always("query", http(307, b"", f"location: {elsewhere.url}/api/v2/canister/{text(CANISTER)}/query"))
        with pytest.raises(Unavailable, match="HTTP 307"):
            await agent.query(CANISTER, "getSwap", ARG)
        assert elsewhere.seen == []


async def test_nobody_there_is_no_answer(clock: Clock) -> None:
    agent = agent_of(f"http://127.0.0.1:{free_port()}", clock)
    with pytest.raises(Unavailable, match="no connection"):
        await agent.query(CANISTER, "getSwap", ARG)
    with pytest.raises(Unavailable, match="no connection"):
        await agent.submit(a_call(agent))
    await agent.close()


# -- submitting


@pytest.mark.parametrize("answer", [http(202), ok({"status": "replied", "certificate": b"not looked at"})])
async def test_a_call_that_was_taken_is_not_yet_a_call_that_was_done(
    node: Boundary, agent: Agent, answer: bytes
) -> None:
    node.always("call", answer)
    call = a_call(agent)
    await agent.submit(call)
    await agent.submit(call)
    assert node.seen == [("call", call.raw)] * 2  # S4: the same bytes
    assert node.paths[0] == f"/api/v3/canister/{text(CANISTER)}/call"


@pytest.mark.parametrize("status", [400, 403, 404, 413])
async def test_a_call_that_the_node_refuses_is_rejected_in_its_words(node: Boundary, agent: Agent, status: int) -> None:
    node.always("call", http(status, b"Invalid request expiry"))
    with pytest.raises(Rejected, match=f"completeSwap: HTTP {status}: Invalid request expiry"):
        await agent.submit(a_call(agent))


async def test_a_call_that_was_rejected_before_it_was_replicated_is_refused(node: Boundary, agent: Agent) -> None:
    rejection = {"reject_code": 1, "reject_message": "canister is out of cycles", "error_code": "IC0207"}
    node.always("call", ok({"status": "non_replicated_rejection", **rejection}))
    with pytest.raises(Refusal, match="out of cycles"):
        await agent.submit(a_call(agent))


async def test_too_many_calls_may_be_tried_again(node: Boundary, agent: Agent) -> None:
    node.always("call", http(429, b"slow down"))
    with pytest.raises(Unavailable, match="slow down"):
        await agent.submit(a_call(agent))


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_s10_a_broken_answer_to_a_call_says_nothing_about_it(node: Boundary, agent: Agent, answer: bytes) -> None:
    node.always("call", answer)
    with pytest.raises(Unknown, match="may have been taken"):
        await agent.submit(a_call(agent))


async def test_s10_silence_after_a_call_says_nothing_about_it(node: Boundary, clock: Clock) -> None:
    node.always("call", None)
    agent = agent_of(node.url, clock, timeout=0.2)
    with pytest.raises(Unknown, match="may have been taken"):
        await agent.submit(a_call(agent))
    await agent.close()


@pytest.mark.parametrize(
    "shown",
    [
        SECRET.hex(),
        SECRET.hex().upper(),
        repr(SECRET),
        str(list(SECRET)),
        "".join(f"\\{byte:02x}" for byte in SECRET),
        base64.b64encode(SECRET).decode(),
        SECRET.decode(errors="replace"),
        SECRET.decode("latin-1"),
    ],
    ids=range(8),
)
async def test_s9_what_a_node_repeats_of_an_argument_is_not_shown(node: Boundary, agent: Agent, shown: str) -> None:
    call = a_call(agent, SECRET)
    for answer in (http(400, shown.encode()), ok({"status": "non_replicated_rejection", "reject_message": shown})):
        node.always("call", answer)
        with pytest.raises(Rejected) as caught:
            await agent.submit(call)
        told = str(caught.value)
        assert not any(shown[at : at + 6] in told for at in range(len(shown) - 5))


def test_words_of_strangers_are_one_short_line() -> None:
    assert quoted("a\nb \x1b[31m \u202ec") == "a b … …"
    assert len(quoted("word " * 1_000)) <= 300
    assert "rrkah-fqaaa-aaaaa-aaaaq-cai" in quoted("no rrkah-fqaaa-aaaaa-aaaaq-cai here")
    principal = "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae"
    assert principal in quoted(f"{principal} has no money")


# -- the fate of a call


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({"status": b"received"}, Pending()),
        ({"status": b"processing"}, Pending()),
        ({"status": b"replied", "reply": b"DIDL"}, Replied(b"DIDL")),
        (
            {"status": b"rejected", "reject_code": b"\x05", "reject_message": b"trapped", "error_code": b"IC0503"},
            RejectedCall(5, "trapped", "IC0503"),
        ),
        ({"status": b"rejected", "reject_code": b"\x04", "reject_message": b"no \xff"}, RejectedCall(4, "no …", "")),
        ({"status": b"done"}, Done()),
    ],
)
async def test_the_certificate_tells_what_became_of_a_call(
    node: Boundary, agent: Agent, parts: dict[str, bytes], status: CallStatus
) -> None:
    call = a_call(agent)
    node.always("read_state", known(call, parts))
    assert await agent.status(call) == status
    content = cbor2.loads(node.seen[0][1])["content"]
    assert [list(path) for path in content["paths"]] == [[b"request_status", call.request_id]]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"status": b"dreaming"}, "none of the interface specification"),
        ({"reply": b"DIDL"}, "lacks its status"),
        ({"status": b"replied"}, "lacks its reply"),
        ({"status": b"rejected", "reject_message": b"no"}, "lacks its reject_code"),
        ({"status": b"rejected", "reject_code": b"\x80", "reject_message": b"no"}, "a number that is none"),
    ],
)
async def test_a_status_that_lacks_something_is_untrusted(
    node: Boundary, agent: Agent, parts: dict[str, bytes], why: str
) -> None:
    call = a_call(agent)
    node.always("read_state", known(call, parts))
    with pytest.raises(Untrusted, match=why):
        await agent.status(call)


async def test_s10_only_a_certificate_from_after_its_expiry_tells_that_a_call_is_dead(
    node: Boundary, agent: Agent, clock: Clock
) -> None:
    call = a_call(agent)
    for later, status in ((0, NotSeen()), (120 * SECOND, NotSeen()), (120 * SECOND + 1, Expired())):
        clock.now = NOW + later
        node.always("read_state", certified(state_tree(clock.now)))
        assert await agent.status(call) == status
    clock.now = NOW + 150 * SECOND  # our own clock counts for nothing
    node.always("read_state", certified(state_tree(NOW + 110 * SECOND)))
    assert await agent.status(call) == NotSeen()


async def test_s10_a_status_that_was_left_out_is_not_absent(node: Boundary, agent: Agent, clock: Clock) -> None:
    call = a_call(agent)
    clock.now = NOW + 500 * SECOND
    whole = tree({b"request_status": {call.request_id: {b"status": b"replied", b"reply": b""}}})
    hidden = Fork(pruned(whole), Labeled(b"time", tree(unsigned(clock.now))))
    node.always("read_state", certified(hidden))
    with pytest.raises(Untrusted, match="leaves out the status of completeSwap"):
        await agent.status(call)


async def test_s10_the_status_of_another_call_is_no_status(node: Boundary, agent: Agent) -> None:
    node.always("read_state", known(a_call(agent), {"status": b"replied", "reply": b"DIDL"}))
    assert await agent.status(a_call(agent)) == NotSeen()


# -- certified state


@pytest.mark.parametrize("value", [None, [], {}, {"certificate": "text"}, {"certificate": [1]}], ids=repr)
async def test_state_without_a_certificate_is_untrusted(node: Boundary, agent: Agent, value: Any) -> None:
    node.always("read_state", ok(value))
    with pytest.raises(Untrusted, match="no certificate"):
        await agent.read_state(CANISTER, [[b"time"]])


async def test_state_is_verified(node: Boundary, agent: Agent, clock: Clock) -> None:
    node.always("read_state", certified(state_tree()))
    assert (await agent.read_state(CANISTER, [[b"time"]])).time_ns == NOW == await agent.time(CANISTER)
    clock.now += 61 * SECOND
    with pytest.raises(Untrusted, match="too old: 61 s"):
        await agent.time(CANISTER)
    clock.now = NOW
    node.always("read_state", certified(state_tree(), Key("another root")))
    with pytest.raises(Untrusted, match="wrong signature"):
        await agent.time(CANISTER)


async def test_a_clock_that_is_late_is_noticed_by_what_is_signed(node: Boundary, agent: Agent, clock: Clock) -> None:
    node.always("read_state", certified(state_tree()))
    clock.now = NOW - 241 * SECOND
    with pytest.raises(Untrusted, match="from the future"):
        await agent.time(CANISTER)
    clock.now = NOW - 60 * SECOND
    assert await agent.time(CANISTER) == NOW == agent.now_ns()
    assert not agent.is_late
    clock.now -= SECOND
    assert agent.is_late
    clock.now = NOW - 3_600 * SECOND  # set back since: the network's time is still known
    assert await agent.time(CANISTER) == NOW


async def test_state_of_a_subnet_is_verified_for_the_canister_that_was_asked(node: Boundary, agent: Agent) -> None:
    given = delegation(SUBNET, ROOT, sharded(SUBNET, RANGE))
    node.always("read_state", certified(state_tree(), SUBNET, delegation=given))
    assert await agent.time(CANISTER) == NOW
    with pytest.raises(Untrusted, match="does not belong to"):
        await agent.time(bytes(9) + b"\x01")


async def test_the_code_and_its_masters_are_certified(node: Boundary, agent: Agent) -> None:
    about = {b"module_hash": b"\x11" * 32, b"controllers": cbor.encode([b"\x01", b"\x02"])}
    node.always("read_state", certified(state_tree(canister={CANISTER: about})))
    assert await agent.module_hash(CANISTER) == b"\x11" * 32
    assert await agent.controllers(CANISTER) == [b"\x01", b"\x02"]
    node.always("read_state", certified(state_tree(canister={CANISTER: {b"other": b""}})))
    assert await agent.module_hash(CANISTER) is None
    assert await agent.controllers(CANISTER) == []
    node.always("read_state", certified(state_tree(canister={CANISTER: {b"controllers": cbor.encode("me")}})))
    with pytest.raises(Untrusted, match="list of controllers"):
        await agent.controllers(CANISTER)


# -- a call from beginning to end


async def test_a_call_waits_for_its_end(node: Boundary, agent: Agent) -> None:
    progress = [{"status": b"received"}, {"status": b"processing"}, {"status": b"replied", "reply": b"DIDL"}]
    left = iter([None, *progress])

    def read_state(body: bytes) -> bytes:
        ((_, request_id),) = cbor2.loads(body)["content"]["paths"]
        parts = next(left)
        if parts is None:
            return http(503)  # what is not answered is asked for again
        known_ = {name.encode(): value for name, value in parts.items()}
        return certified(tree({b"request_status": {request_id: known_}, b"time": unsigned(NOW)}))

    node.always("call", http(500))  # S10: it may have been taken all the same
    node.answers["read_state"] = read_state
    assert await agent.call(CANISTER, "refundSwap", ARG) == b"DIDL"
    assert [kind for kind, _ in node.seen] == ["call"] + ["read_state"] * 4


async def test_a_call_that_ends_badly_says_so(node: Boundary, agent: Agent) -> None:
    def rejected(body: bytes) -> bytes:
        ((_, request_id),) = cbor2.loads(body)["content"]["paths"]
        status = {b"status": b"rejected", b"reject_code": b"\x04", b"reject_message": b"not now"}
        return certified(tree({b"request_status": {request_id: status}, b"time": unsigned(NOW)}))

    node.always("call", http(202))
    node.answers["read_state"] = rejected
    with pytest.raises(Refusal, match="not now"):
        await agent.call(CANISTER, "refundSwap", ARG)


async def test_s10_a_call_whose_end_is_not_proven_is_unknown(node: Boundary, agent: Agent, clock: Clock) -> None:
    node.always("call", http(202))
    node.always("read_state", certified(state_tree(), Key("no root")))
    with pytest.raises(Unknown, match="wrong signature"):
        await agent.call(CANISTER, "refundSwap", ARG)
    node.always("read_state", certified(state_tree(NOW + 100 * SECOND)), certified(state_tree(NOW + 121 * SECOND)))

    def late(_: bytes) -> bytes:
        clock.now = NOW + 121 * SECOND
        return http(202)

    node.answers["call"] = late
    with pytest.raises(Unknown, match="forgotten, or it never began"):
        await agent.call(CANISTER, "refundSwap", ARG)


# -- making an agent


@pytest.mark.parametrize("key", [b"", b"\0" * 133, ROOT.der[:-1], ROOT.der[37:]], ids=len)
def test_an_agent_needs_a_root_key(key: bytes) -> None:
    with pytest.raises(Invalid, match="root_key"):
        Agent("http://127.0.0.1:1", VAULT, root_key=key, timeout=1, max_age=1)


async def test_a_call_lives_five_minutes_at_most(agent: Agent) -> None:
    for ttl in (0, -1, 300 * SECOND + 1):
        with pytest.raises(Invalid, match="ttl_ns"):
            agent.sign_call(CANISTER, "refundSwap", ARG, now_ns=NOW, ttl_ns=ttl)
    call = agent.sign_call(CANISTER, "refundSwap", ARG, now_ns=NOW, ttl_ns=300 * SECOND)
    assert call.ingress_expiry_ns == NOW + 300 * SECOND
    assert agent.parse_call(call.raw) == call


async def test_the_root_key_of_a_development_network_is_fetched(node: Boundary) -> None:
    node.always("status", ok({"root_key": ROOT.der, "replica_health_status": "healthy"}))
    assert await fetch_insecure_root_key(node.url, 5) == ROOT.der
    for wrong in (ok({}), ok({"root_key": b"short"}), ok([]), http(500), CUT, http(200, b"no")):
        node.always("status", wrong)
        with pytest.raises(Unavailable):
            await fetch_insecure_root_key(node.url, 5)
