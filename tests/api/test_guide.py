"""The commands of docs/api.md, as they stand there, against a daemon on real nodes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.devnet.ports import LOOPBACK, free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
ALICE_ETH = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SATOSHI = 100_000_000
PATIENCE_SECONDS = 120

SETTINGS = {
    "SWAPD__CHAINS__ICP__ENABLED": "false",
    "SWAPD__API__ENABLED": "true",
    **{
        f"SWAPD__CHAINS__{chain}__TIMING__{margin}": seconds
        for chain in ("BITCOIN", "ETHEREUM")
        for margin, seconds in (("INCLUSION", "60"), ("FUNDING_WINDOW", "600"))
    },
}
"""Margins so wide that nothing depends on how fast this machine is."""


class Terminal:
    """A person's, with what they exported."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self.variables = variables

    async def type(self, commands: str) -> list[Any]:
        """Every JSON document that the commands print. Fails if one of them fails."""
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self._folder,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return list(_documents(done.stdout))


def _documents(text: str) -> Any:
    at, decoder = 0, json.JSONDecoder()
    while text[at:].strip():
        found, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        yield found


@pytest.fixture
async def devnet(tmp_path: Path) -> AsyncIterator[Devnet]:
    async with Devnet(tmp_path / "nodes") as made:
        yield made


async def _open(swapd: str, token: str) -> None:
    """A daemon that has just started looks at its chains before it begins anything."""
    async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE_SECONDS):
        headers = {"Authorization": f"Bearer {token}"}
        while not (await http.get(f"{swapd}/v1/chains", headers=headers)).json()["open"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.fixture
async def terminal(devnet: Devnet, tmp_path: Path) -> AsyncIterator[Terminal]:
    """A house with money and its API, and a key for each kind of people."""
    async with AsyncExitStack() as stack:
        house = Party("house", tmp_path, devnet.state)
        port = free_port()
        house.overrides |= SETTINGS | {"SWAPD__API__PORT": str(port)}
        await devnet.bitcoind.create_wallet("house")
        await house.init()
        found = await house.ask("wallet", "addresses")
        await devnet.anvil.set_balance(found["ethereum"]["ETH"], 100 * 10**18)
        house.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = (await house.ask("contract", "deploy"))["contract"]
        variables = {"SWAPD": f"http://{LOOPBACK}:{port}", "ALICE_ETH": ALICE_ETH}
        for name, role in (("SHOP", "marketplace"), ("OPERATOR", "operator"), ("DISPUTE", "dispute")):
            variables[name] = (await house.ask("keys", "issue", name.lower(), "--role", role))["token"]
        await devnet.bitcoind.create_wallet("alice")
        address = await devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet="alice")
        await devnet.bitcoind.fund(address, SATOSHI)
        variables["ALICE_BTC"] = await devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet="alice")
        stack.push_async_callback(house.stop)
        await house.start()
        await _open(variables["SWAPD"], variables["OPERATOR"])
        yield Terminal(tmp_path, variables)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
async def test_the_guide_leads_through_a_whole_swap(devnet: Devnet, terminal: Terminal, tmp_path: Path) -> None:
    blocks = iter(BLOCKS)
    (quote,) = await terminal.type(next(blocks))
    assert quote["open"], quote
    assert (quote["initiator"]["amount"], quote["participant"]["asset"]) == ("1000000", "ETH")
    made = next(blocks)
    await terminal.type(made)
    first = json.loads((tmp_path / "swap.json").read_text())
    await terminal.type(made)
    assert json.loads((tmp_path / "swap.json").read_text()) == first, "the same answer, and one swap"
    terminal.variables["ID"] = first["id"]

    funding, reading = next(blocks), next(blocks)
    await until(terminal, reading, "accepted")
    (told,) = await terminal.type(funding)
    await devnet.bitcoind.rpc("sendtoaddress", told["fields"]["address"], told["fields"]["amount"], wallet="alice")
    await until(terminal, reading, "completed")
    assert int(await devnet.anvil.rpc("eth_getBalance", ALICE_ETH, "latest"), 16) == 10**18
    _, timeline = await terminal.type(reading)
    assert any("redeeming → completed" in each["sentence"] for each in timeline["items"])

    said = [answer for block in blocks for answer in await terminal.type(block)]
    refusals = [answer["detail"] for answer in said if str(answer.get("type", "")).startswith("/problems/")]
    assert len(refusals) == 4, refusals  # cancel, approve, withdraw and dispute come too late for a completed swap


async def until(terminal: Terminal, reading: str, status: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            told, _ = await terminal.type(reading)
            if told["swap"]["status"] == status:
                return
            await asyncio.sleep(0.5)
