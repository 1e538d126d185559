"""`swapd recover --from-seed`, as a process on a machine that has nothing but paper and a new configuration."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from swapd.coordinator.house import House
from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from swapd.protocol.status import Status
from swapd.store import SwapRow
from swapd.vault import keyfile, words
from swapd.vault.secret import Secret
from tests.cli.conftest import deployed
from tests.cli.desk import CONFIG, HOT_TO_PERSON, PASSPHRASE, PERSON_BTC, Desk

SWAPD = [sys.executable, "-m", "swapd", "--config", str(CONFIG)]
PATIENCE = 90

ETHER_FOR_BITCOIN = {
    "give": "ETH",
    "give-amount": "1000000000000000000",
    "get": "BTC",
    "get-amount": "1000000",
    "participant-refund-to": PERSON_BTC,
    "participant-receive-at": HOT_TO_PERSON["participant-refund-to"],
}


@dataclass
class Machine:
    """A new one, with paper."""

    desk: Desk
    paper: str
    anvil: Anvil

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SWAPD")}
        return kept | self.desk.variables | changes

    def recover(self, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SWAPD, "recover", *options],
            input=f"{self.paper}\n",
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def rows(self) -> tuple[SwapRow, ...]:
        async def read(house: House) -> tuple[SwapRow, ...]:
            async with house.store.read() as reading:
                return (await reading.swaps()).swaps

        return self.desk.in_house(read)


@pytest.fixture
def node() -> Iterator[Anvil]:
    """Of its own: its time is moved."""
    made = Anvil()
    try:
        asyncio.run(made.start())
        yield made
    finally:
        asyncio.run(made.stop())


@pytest.fixture
def machine(desk: Desk, bitcoind: Bitcoind, node: Anvil, tmp_path: Path) -> Machine:
    """The old one locked a leg, and burned down; the new one has a new wallet."""
    contract = asyncio.run(deployed(node))
    own = desk.ask("wallet", "addresses")["ethereum"]["ETH"]
    desk.variables |= {
        "SWAPD__CHAINS__ETHEREUM__RPC_URL": node.rpc_url,
        "SWAPD__CHAINS__ETHEREUM__CONTRACT": contract,
        "SWAPD__ENTRY__CLOCK_SLACK_SECONDS": "3600",  # blocks come here when somebody needs one
    }
    asyncio.run(node.set_balance(own, 10**19))
    asyncio.run(node.mine())
    desk.create(ETHER_FOR_BITCOIN)
    desk.let_the_daemon_look(twice=True)
    asyncio.run(node.mine(3))
    seed = keyfile.unseal(desk.settings.vault.key_file, Secret(PASSPHRASE.encode()), devnet=True)
    folder = tmp_path / "new"
    folder.mkdir()
    variables = desk.variables | {
        "SWAPD__DAEMON__DATA_DIR": str(folder / "data"),
        "SWAPD__CHAINS__BITCOIN__WALLET": asyncio.run(bitcoind.create_wallet(f"new-{secrets.token_hex(8)}")),
    }
    return Machine(Desk(folder, variables), words.words_from_seed(seed), node)


def test_s14_paper_and_a_new_configuration_bring_back_what_was_locked(machine: Machine) -> None:
    contract = machine.desk.variables["SWAPD__CHAINS__ETHEREUM__CONTRACT"]
    forgot = machine.recover("--from-seed", SWAPD__CHAINS__ETHEREUM__CONTRACT="")
    assert forgot.returncode == 1
    assert forgot.stderr.splitlines()[-1].startswith("Error: chains.ethereum.contract")
    assert contract in forgot.stderr

    shown = machine.recover("--from-seed", "--find-only", "--json")
    assert shown.returncode == 0, shown.stderr
    (found,) = json.loads(shown.stdout)["swaps"]
    assert (found["missing"], found["status"]) == ("participant", "refunding")
    assert found["legs"]["initiator"] | {"timelock": 0} == {
        "chain": "ethereum",
        "asset": "ETH",
        "amount": "1000000000000000000",
        "timelock": 0,
        "own": True,
    }
    assert machine.rows() == ()

    asyncio.run(machine.anvil.set_next_timestamp(found["legs"]["initiator"]["timelock"] + 1))
    asyncio.run(machine.anvil.mine())
    process = subprocess.Popen(
        [*SWAPD, "recover", "--from-seed"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.environment(),
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        asyncio.run(machine.anvil.mine())
        time.sleep(0.2)
    process.kill()
    said, logged = process.communicate()
    assert process.returncode == 0, logged
    assert f"{found['swap_id']} refunded" in said
    assert [(row.id, row.status) for row in machine.rows()] == [(found["swap_id"], Status.REFUNDED)]
    words_said = forgot.stderr + shown.stdout + shown.stderr + said + logged
    assert machine.paper not in words_said
    assert PASSPHRASE not in words_said


def test_the_flag_is_asked_for_and_a_database_with_swaps_is_left_alone(machine: Machine) -> None:
    assert "--from-seed" in machine.recover().stderr
    old = machine.recover("--from-seed", SWAPD__DAEMON__DATA_DIR=str(machine.desk.folder.parent / "data"))
    assert old.returncode == 1
    assert "recover into an empty one" in old.stderr


def test_wrong_words_make_no_key_file(machine: Machine) -> None:
    machine.paper = " ".join(["abandon"] * 24)
    refused = machine.recover("--from-seed")
    assert refused.returncode == 1
    assert not machine.desk.settings.vault.key_file.exists()
    assert "abandon" not in refused.stderr
