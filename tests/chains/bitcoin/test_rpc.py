"""Every way in which a node can fail to answer, by a socket that really misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from swapd.chains.base import TxState
from swapd.chains.bitcoin import BitcoinChain
from swapd.chains.bitcoin import rpc as rpcs
from swapd.chains.bitcoin.pool import simulate
from swapd.chains.bitcoin.rpc import Call, Rpc, RpcError
from swapd.errors import Rejected, SwapdError, Unavailable, Unknown
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.terms import Role

from .conftest import FAR, World, settings_for

Behave = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def node_that(behave: Behave, timeout_seconds: float = 5.0) -> AsyncIterator[Rpc]:
    """A client of a server that reads a request and then behaves as told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        await reader.readexactly(length)
        await behave(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rpc = Rpc(f"http://127.0.0.1:{port}", "swapd", lambda: ("user", "hush-hush"), timeout_seconds)
    yield rpc
    await rpc.close()
    server.close()


def answers(status: str, body: bytes, length: int | None = None) -> Behave:
    async def behave(writer: asyncio.StreamWriter) -> None:
        size = len(body) if length is None else length
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body)
        await writer.drain()

    return behave


async def hangs(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3)  # longer than the client waits, shorter than a test may


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: each comes in time, and they never end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(30):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


BROKEN: dict[str, Behave] = {
    "HTTP 500 without JSON": answers("500 Internal Server Error", b"oops"),
    "HTTP 502 of a proxy": answers("502 Bad Gateway", b"<html>"),
    "HTTP 503 busy": answers("503 Service Unavailable", b"Work queue depth exceeded"),
    "whole HTTP, half JSON": answers("200 OK", b'{"result": {"blo'),
    "less than announced": answers("200 OK", b'{"result": 1}', length=500),
    "not JSON-RPC": answers("200 OK", b"[1, 2]"),
    "an empty answer": answers("200 OK", b""),
    "hangs": hangs,
    "drips": drips,
    "hangs up": hangs_up,
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_question_without_a_whole_answer_is_unavailable(how: str) -> None:
    async with node_that(BROKEN[how], timeout_seconds=0.5) as rpc:
        for ask in (rpc.call("getblockcount"), rpc.wallet("getbalances"), rpc.batch([Call("getblockcount")])):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("how", BROKEN)
async def test_s10_a_deed_without_a_whole_answer_is_unknown(how: str) -> None:
    async with node_that(BROKEN[how], timeout_seconds=0.5) as rpc:
        with pytest.raises(Unknown) as caught:
            await rpc.deed("sendrawtransaction", "5ec2e7")
        assert "5ec2e7" not in str(caught.value), "a claim's bytes hold the secret"


async def test_s10_only_a_question_is_asked_again_when_the_connection_breaks() -> None:
    asked: list[int] = []

    async def hangs_up_and_counts(writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        await hangs_up(writer)

    async with node_that(hangs_up_and_counts) as rpc:
        for ask, times in (
            (rpc.call("getblockcount"), 2),
            (rpc.batch([Call("getblockcount")]), 2),
            (rpc.wallet("getbalances"), 2),
            (rpc.wallet("lockunspent", True), 1),
            (rpc.wallet("walletcreatefundedpsbt", [], []), 1),
            (rpc.deed("sendrawtransaction", "00"), 1),
        ):
            asked.clear()
            with pytest.raises((Unavailable, Unknown)):
                await ask
            assert len(asked) == times


async def test_an_answer_that_nobody_can_need_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpcs, "MOST_BYTES", 1000)
    async with node_that(answers("200 OK", b" " * 1001)) as rpc:
        with pytest.raises(Unavailable, match="more than 1000 bytes"):
            await rpc.call("getblockcount")
        with pytest.raises(Unknown, match="more than 1000 bytes"):
            await rpc.deed("sendrawtransaction", "00")


@pytest.mark.parametrize("code", [-26, -28, -1])
async def test_s9_what_a_node_repeats_of_what_it_was_told_is_not_passed_on(code: int) -> None:
    secret, words = "5ec2e7" * 11, "pruned " + "and so on " * 100
    body = json.dumps({"id": 1, "error": {"code": code, "message": f"no: {secret} {words}"}}).encode()
    async with node_that(answers("200 OK", body)) as rpc:
        with pytest.raises(SwapdError, match="no: …") as caught:
            await rpc.call("sendrawtransaction")
        assert secret not in str(caught.value)
        assert len(str(caught.value)) < 600
        assert secret not in getattr(caught.value, "words", "")


async def test_s9_nor_what_it_gives_as_a_reason_of_its_mempool() -> None:
    body = {"id": 1, "result": [{"allowed": False, "reject-reason": f"bad {'5ec2e7' * 11}"}]}
    async with node_that(answers("200 OK", json.dumps(body).encode())) as rpc:
        with pytest.raises(Rejected, match=r"would not take it: bad …$"):
            await simulate(rpc, b"")


@pytest.mark.parametrize("status", ["429 Too Many Requests", "401 Unauthorized", "403 Forbidden"])
async def test_what_was_turned_away_at_the_door_is_unavailable_even_for_a_deed(status: str) -> None:
    async with node_that(answers(status, b"")) as rpc:
        for ask in (rpc.call("getblockcount"), rpc.deed("sendrawtransaction", "00")):
            with pytest.raises(Unavailable, match=status[:3]):
                await ask


async def test_a_node_that_is_not_there_is_unavailable_even_for_a_deed() -> None:
    async with node_that(hangs) as rpc:
        url = rpc._url
    absent = Rpc(url, "swapd", lambda: ("", ""), 5.0)
    for ask in (absent.call("getblockcount"), absent.deed("sendrawtransaction", "00")):
        with pytest.raises(Unavailable, match="cannot connect"):
            await ask
    await absent.close()


async def test_a_cookie_that_is_not_there_is_unavailable() -> None:
    def missing() -> tuple[str, str]:
        raise FileNotFoundError(2, "No such file", ".cookie")

    rpc = Rpc("http://127.0.0.1:9", "swapd", missing, 5.0)
    with pytest.raises(Unavailable, match=r"\.cookie"):
        await rpc.call("getblockcount")
    await rpc.close()


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Internal Server Error"])
async def test_the_nodes_no_is_rejected_with_code_and_words_whatever_the_status(status: str) -> None:
    body = json.dumps({"id": 1, "error": {"code": -26, "message": "min relay fee not met"}, "result": None}).encode()
    async with node_that(answers(status, body)) as rpc:
        with pytest.raises(Rejected, match="min relay fee not met") as caught:
            await rpc.deed("sendrawtransaction", "00")
        assert isinstance(caught.value, RpcError)
        assert caught.value.code == -26


async def test_a_node_that_is_starting_is_unavailable() -> None:
    body = json.dumps({"id": 1, "error": {"code": -28, "message": "Loading block index"}, "result": None}).encode()
    async with node_that(answers("500 Internal Server Error", body)) as rpc:
        with pytest.raises(Unavailable, match="Loading block index"):
            await rpc.call("getblockcount")


async def test_a_batch_with_answers_missing_is_unavailable() -> None:
    async with node_that(answers("200 OK", b'[{"id": 0, "result": 1}]')) as rpc:
        with pytest.raises(Unavailable):
            await rpc.batch([Call("getblockcount"), Call("getblockcount")])
    async with node_that(answers("200 OK", b'[{"id": 0, "result": 1}, {"id": 7, "result": 1}]')) as rpc:
        with pytest.raises(Unavailable):
            await rpc.batch([Call("getblockcount"), Call("getblockcount")])


async def test_amounts_are_never_floats() -> None:
    async with node_that(answers("200 OK", b'{"id": 1, "result": 0.1}')) as rpc:
        assert await rpc.call("getbalance") == Decimal("0.1")


async def test_a_batch_gives_each_error_in_its_place(world: World) -> None:
    count, error, none = await world.chain.rpc.batch(
        [Call("getblockcount"), Call("getblockhash", (10**6,)), Call("gettxout", ("00" * 32, 0))]
    )
    assert count > 0
    assert isinstance(error, RpcError)
    assert error.code == -8
    assert none is None


async def test_a_node_that_restarts_writes_a_new_cookie_and_is_found_again(own_world: World) -> None:
    before = await own_world.chain.clock()
    await own_world.node.restart()
    assert await own_world.chain.clock() == before


async def test_a_node_that_starts_without_swapds_wallet_is_made_to_load_it_for_good(own_world: World) -> None:
    world = own_world
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    await world.node.rpc("unloadwallet", world.wallet, False)  # nor at the next start
    await world.node.restart()
    assert world.wallet not in await world.node.rpc("listwallets")
    assert (await world.chain.fate(lock)).state is TxState.MISSING
    assert await world.spendable() > 0
    await world.node.restart()
    assert world.wallet in await world.node.rpc("listwallets")


async def test_many_that_find_the_wallet_missing_at_once_are_all_answered(world: World) -> None:
    await world.node.rpc("unloadwallet", world.wallet)
    assert len(set(await asyncio.gather(*(world.spendable() for _ in range(4))))) == 1


async def test_the_fate_of_a_transaction_is_known_to_a_node_that_has_lost_the_wallet(world: World) -> None:
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    lock = await world.draft(EffectKind.LOCK, await world.leg())
    assert lock is not None
    await world.node.mine(1)
    effect = Effect(EffectKind.LOCK, Role.INITIATOR, FAR)
    walletless = BitcoinChain(settings_for(world.node, "no such wallet"), world.vault)
    await walletless.start()  # S8: exits need no wallet
    assert "createwallet" in next(line.says + line.mend for line in await walletless.examine() if line.name == "wallet")
    with pytest.raises(Rejected):
        await walletless.draft(effect, await world.leg(), None, (), 0)
    assert (await walletless.fate(claim)).state is TxState.MINED
    assert (await walletless.fate(lock)).state is TxState.MISSING
    await walletless.close()
