"""`swapd watchtower` as its operator types it: packets from one folder, and a tower that has nothing else of swapd."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swapd.devnet.bitcoind import Bitcoind
from swapd.watchtower import folder
from tests.cli.desk import CONFIG, HOT_TO_PERSON, Desk

LISTENS = "0A"
"""State of a socket in /proc/net/tcp."""


@pytest.fixture
def packets(desk: Desk, bitcoind: Bitcoind, tmp_path: Path) -> Path:
    """Of one swap, whose Bitcoin leg swapd has funded."""
    place = tmp_path / "packets"
    desk.create(HOT_TO_PERSON)
    desk.let_the_daemon_look(twice=True)
    asyncio.run(bitcoind.mine(1))
    desk.let_the_daemon_look()
    said = desk.run("watchtower", "export", str(place)).stdout
    assert said == f"1 packets in {place}\n"
    return place


@pytest.fixture
def hill(desk: Desk, tmp_path: Path) -> Desk:
    """Another machine: the same nodes, and neither key file nor passphrase, wallet or database."""
    elsewhere = {
        "SWAPD__DAEMON__DATA_DIR": str(tmp_path / "hill"),
        "SWAPD__VAULT__PASSPHRASE_FILE": str(tmp_path / "nothing"),
        "SWAPD__CHAINS__BITCOIN__WALLET": "no-such-wallet",
    }
    return replace(desk, folder=tmp_path / "hill", variables=desk.variables | elsewhere, said=[])


def test_check_says_what_it_could_do_and_what_is_wrong(packets: Path, hill: Desk) -> None:
    (packet,) = folder.read_all(packets).packets
    assert packet.known.preimage is None
    (packets / "torn.json").write_text("{")

    result = hill.attempt("--config", str(CONFIG), "watchtower", "check", str(packets))

    assert result.exit_code == 1, "a packet is torn, and there is no gas"
    said = " ".join(result.stdout.split())
    assert re.search(
        r"initiator leg on bitcoin, locked: refund signed ahead, \d\d times for a rate from 1 to \d+", said
    )
    assert "participant leg on ethereum, absent: claim by the tower itself" in said
    assert "bad packet torn.json" in said
    assert "gas account on Ethereum: 0x" in said
    assert "wallet" not in said
    assert not (hill.folder / "swapd.db").exists()
    assert (hill.folder / "watchtower" / "gas.key").stat().st_mode & 0o777 == 0o600


def test_without_a_gas_account_check_says_what_is_left_to_a_person(packets: Path, hill: Desk) -> None:
    result = hill.attempt(
        *("--config", str(CONFIG), "watchtower", "check", str(packets)), SWAPD__WATCHTOWER__GAS_KEY_FILE=""
    )
    assert "claim told to you, to be sent by hand" in " ".join(result.stdout.split())
    assert not (hill.folder / "watchtower" / "gas.key").exists()


def test_a_folder_that_is_not_there_is_one_line(hill: Desk, tmp_path: Path) -> None:
    result = hill.attempt("--config", str(CONFIG), "watchtower", "check", str(tmp_path / "nothing"))
    assert result.exit_code == 1
    assert "can not be read" in result.stderr


async def test_run_listens_nowhere_and_ends_when_it_is_told_to(hill: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ["--config", str(CONFIG), "watchtower", "run", "--packets", str(tmp_path / "empty")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "swapd", *words),
        env={**os.environ, **hill.variables},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        first = await asyncio.wait_for(process.stdout.readline(), 60)
        assert first.startswith(b"gas account on Ethereum, to be funded: 0x")
        while b"balance" not in await asyncio.wait_for(process.stdout.readline(), 60):
            pass  # it looked at its chains, and tells that there is no gas
        assert not _listening(process.pid)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _listening(pid: int) -> list[str]:
    """Sockets of this process on which somebody could connect to it."""
    own = {str(file.readlink())[len("socket:[") : -1] for file in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and fields[9] in own:
                found.append(fields[1])
    return found
