"""What is counted, how it is written, and what each request to a node leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse

from swapd.chains.bitcoin.rpc import Rpc as BitcoinRpc
from swapd.chains.calls import host_of
from swapd.chains.ethereum.rpc import Rpc as EthereumRpc
from swapd.chains.icp.transport import Transport, Unanswered
from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from swapd.devnet.ports import free_port
from swapd.errors import Rejected, Unavailable
from swapd.telemetry.facts import FACTS
from swapd.telemetry.meter import Meter, kind_of
from swapd.telemetry.telemetry import Telemetry

FIGURES = {name: {tuple("x" for _ in fact.labels): 1.5} for name, fact in FACTS.items()}


def samples(telemetry: Telemetry, name: str) -> dict[tuple[str, ...], float]:
    body, _ = telemetry.meter.render({})
    return {
        tuple(sample.labels.values()): sample.value
        for family in parse(body.decode())
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0", "text/plain;version=0.0.4"])
def test_every_figure_is_written_in_a_form_that_a_parser_reads(accept: str) -> None:
    body, content_type = Meter().render(FIGURES, accept)
    read = open_metrics if "openmetrics" in content_type else parse
    names = {sample.name for family in read(body.decode()) for sample in family.samples}
    assert names >= set(FACTS) | {"swapd_build_info", "process_resident_memory_bytes"}


def test_two_houses_count_for_themselves() -> None:
    one, other = Telemetry(), Telemetry()
    one.outcome("lock", "sent")
    one.reorg("bitcoin", 3)
    assert samples(one, "swapd_effects_total") == {("lock", "sent"): 1}
    assert samples(one, "swapd_reorgs_total") == {("bitcoin",): 1}
    assert samples(one, "swapd_reorg_depth_blocks_bucket")["bitcoin", "2.0"] == 0
    assert samples(one, "swapd_reorg_depth_blocks_bucket")["bitcoin", "3.0"] == 1
    assert samples(other, "swapd_effects_total") == {}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8332", "127.0.0.1:8332"),
        ("https://user:pass@node.example/v3/9aa3d95b3bc440fa88ea12eaa4456161?key=x#y", "node.example"),
        ("https://[::1]:8545/", "::1:8545"),
        ("https://node.example:port/", ""),
    ],
)
def test_s9_an_endpoint_is_a_host_and_nothing_more_of_its_url(url: str, host: str) -> None:
    assert host_of(url) == host


# -- real nodes, and none ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[str]:
    """Says these bytes to whoever asks; nothing at all for none, and keeps the line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            await writer.drain()
            writer.close()
        else:
            await reader.read()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


BUSY = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n"
GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops"


async def ask_all(url: str, timeout_seconds: float) -> list[Telemetry]:
    """One question by each client to this URL, and what was counted."""
    bitcoin, ethereum, icp = (Telemetry() for _ in range(3))
    first = BitcoinRpc(url, "", lambda: ("user", "password"), timeout_seconds)
    second, third = EthereumRpc(url, timeout_seconds), Transport(url, timeout_seconds)
    first.observer, second.observer, third.observer = bitcoin.of("a"), ethereum.of("b"), icp.of("c")
    for call in (first.call("getblockcount"), second.call("eth_chainId"), third.post("/api/v2/canister/x/query", b"")):
        with suppress(Unavailable, Unanswered):
            await call
    for client in (first, second, third):
        await client.close()
    return [bitcoin, ethereum, icp]


def errors(telemetry: Telemetry) -> list[str]:
    return [error for *_, error in samples(telemetry, "swapd_rpc_errors_total")]


async def test_a_node_that_is_not_there_is_a_connection_that_failed() -> None:
    counted = await ask_all(f"http://127.0.0.1:{free_port()}", 5)
    assert [errors(each) for each in counted] == [["connection"]] * 3


async def test_a_node_that_is_silent_is_a_timeout() -> None:
    async with server(b"") as url:
        counted = await ask_all(url, 0.3)
    assert [errors(each) for each in counted] == [["timeout"]] * 3


async def test_a_node_that_is_busy_is_overloaded() -> None:
    async with server(BUSY) as url:
        counted = await ask_all(url, 5)
    assert [errors(each) for each in counted] == [["overloaded"]] * 3


async def test_an_answer_that_is_none_is_unusable() -> None:
    async with server(GARBAGE) as url:
        first, second, _ = await ask_all(url, 5)
    assert [errors(first), errors(second)] == [["unusable"]] * 2


async def test_an_answer_is_timed_and_a_refusal_is_an_answer(bitcoind: Bitcoind, anvil: Anvil) -> None:
    telemetry = Telemetry()
    first = BitcoinRpc(bitcoind.rpc_url, "", lambda: bitcoind.auth, 10)
    second = EthereumRpc(anvil.rpc_url, 10)
    first.observer, second.observer = telemetry.of("bitcoin"), telemetry.of("ethereum")
    try:
        await first.call("getblockcount")
        await second.call("eth_chainId")
        with pytest.raises(Rejected):
            await first.call("nosuchmethod")
        with pytest.raises(Rejected):
            await second.call("eth_nosuchmethod")
    finally:
        await first.close()
        await second.close()
    asked = {chain: number for (chain, _), number in samples(telemetry, "swapd_rpc_seconds_count").items()}
    assert asked == {"bitcoin": 2, "ethereum": 2}
    assert errors(telemetry) == []
    assert {host for _, host in samples(telemetry, "swapd_rpc_seconds_count")} == {
        host_of(bitcoind.rpc_url),
        host_of(anvil.rpc_url),
    }


def test_an_errors_kind_is_found_through_what_it_comes_from() -> None:
    hidden = Unavailable("words")
    hidden.__context__ = TimeoutError()  # as `raise ... from None` leaves it
    assert kind_of(hidden) == "timeout"
    assert kind_of(ConnectionResetError()) == "connection"
    assert kind_of(Unavailable("words")) == "unusable"
