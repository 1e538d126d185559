"""A short soak, a longer one in which every kind of fault happens, and that both can fail. See docs/soak.md."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from swapd.devnet.ports import LOOPBACK
from tests.soak.proxy import KINDS, Proxy

ROOT = Path(__file__).resolve().parents[2]
SHORT, LONG = 30, 300
"""Blocks: a quarter of a minute on an idle machine, and some minutes."""

MOST_SECONDS = 3_600
"""Not for ever, on the busiest machine."""

LAST_LINE = re.compile(r"soak: (\d+) swaps \((.*)\), (\d+) faults, (\d+) violations")
ANSWER = {"jsonrpc": "2.0", "id": 1, "result": "x" * 50}


async def soak(blocks: int, *words: str) -> tuple[int, str]:
    """A process of its own, because its clock is not this machine's. Returns its exit code and what it said."""
    command = ("-m", "tests.soak", "--blocks", str(blocks), *words)
    child = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(MOST_SECONDS):
            output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return child.returncode, output.decode(errors="replace")


def summary(text: str) -> re.Match[str]:
    found = LAST_LINE.fullmatch(text.splitlines()[-1])
    assert found is not None, text
    return found


async def test_random_swaps_under_random_faults_violate_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    code, text = await soak(SHORT, "--seed", "4")
    told = summary(text)
    record_property("summary", told[0])
    assert (code, told[4]) == (0, "0"), text
    assert int(told[1]) > 2, text
    assert int(told[3]) > 2, text
    assert "completed" in told[2], text


@pytest.mark.full
async def test_every_kind_of_fault_happens_and_violates_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    code, text = await soak(LONG, "--seed", "5")
    told = summary(text)
    record_property("summary", told[0])
    assert (code, told[4]) == (0, "0"), text
    assert "never: none" in text.splitlines(), text
    assert {"completed", "refunded", "cancelled"} <= set(re.findall(r"[a-z]+", told[2])), text
    met = next(line for line in text.splitlines() if line.startswith("questions to nodes"))
    assert all(f" {kind} " in met for kind in KINDS), text


async def test_a_wei_that_goes_missing_is_a_violation() -> None:
    """The proof can fail."""
    code, text = await soak(0, "--seed", "4", "--steal")
    assert code == 1, text
    assert summary(text)[4] == "2", text  # it is missing to its owner, and in the sum
    assert "VIOLATION seed 4: ann has -1 ETH more than it should" in text
    assert "VIOLATION seed 4: -1 ETH appeared" in text


# -- the proxy


@asynccontextmanager
async def node() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Its URL, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")).split()[1])
        asked.append(await reader.readexactly(size))
        body = httpx.Response(200, json=ANSWER).content
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}", asked


class Always(random.Random):
    """Each fault falls on every request."""

    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_node_fails_as_it_is_told_and_is_well_again(kind: str) -> None:
    async with node() as (url, asked), Proxy(url, Always(1)) as proxy:

        async def ask() -> object:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                got = await client.post(proxy.url, json={"method": "x"})
            return got.json() if got.status_code == httpx.codes.OK else got.status_code

        assert await ask() == ANSWER
        await proxy.set(kind)
        match kind:
            case "slow":
                assert await ask() == ANSWER
            case "429":
                assert await ask() == 429
            case "5xx":
                assert await ask() in (500, 502, 503, 504)
            case "nonsense":
                with suppress(ValueError):
                    assert await ask() != ANSWER
            case "silent":
                with pytest.raises(httpx.ReadTimeout):
                    await ask()
            case _:
                with pytest.raises(httpx.TransportError):
                    await ask()
        assert proxy.met[kind] == 1
        assert len(asked) == (2 if kind in ("slow", "cut", "lost") else 1)
        await proxy.set("")
        assert await ask() == ANSWER
