"""A devnet comes up whole, goes on by itself, and leaves nothing however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swapd.devnet.network import Devnet
from swapd.devnet.state import DevnetState, ProcessId
from swapd.devnet.supervisor import down, status, up
from swapd.errors import Rejected, Unavailable
from tests.devnet.proc import children_of, until

SOMEBODY = "2vxsx-fae"
"""The anonymous principal: a ledger keeps its tokens as it keeps anybody's."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing runs any more after the test."""
    yield tmp_path / "devnet"
    down(tmp_path / "devnet")


def gone(state: DevnetState) -> bool:
    return not any(process.alive() for process in state.processes())


async def test_both_chains_grow_by_themselves_and_bitcoins_clock_keeps_up(tmp_path: Path) -> None:
    async with Devnet(tmp_path, block_seconds=0.2) as devnet:
        assert DevnetState.read(tmp_path) == devnet.state
        height, _ = await devnet.bitcoind.best()
        deadline = time.monotonic() + 20
        while (await devnet.bitcoind.best())[0] < height + 12 or (await devnet.anvil.best())[0] < 2:
            assert time.monotonic() < deadline
        lag = time.time() - (await devnet.bitcoind.rpc("getblockchaininfo"))["mediantime"]
        assert -5 < lag < 30
    assert DevnetState.read(tmp_path) is None


async def test_the_chains_go_on_in_the_next_devnet_of_the_folder(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as devnet:
        _, tip = await devnet.bitcoind.best()
        await devnet.anvil.set_balance("0x" + "a1" * 20, 5)
        await devnet.world.mint("ICP", SOMEBODY, 5)
        places = devnet.world.places
    async with Devnet(tmp_path) as devnet:
        assert devnet.world.places == places
        assert await devnet.world.token("ICP").balance(SOMEBODY) == 5
        assert await devnet.bitcoind.rpc("getblock", tip)
        assert await devnet.anvil.rpc("eth_getBalance", "0x" + "a1" * 20, "latest") == "0x5"


async def test_a_second_devnet_in_the_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as devnet:
        with pytest.raises(Rejected, match=r"a devnet runs in .* already"):
            await Devnet(tmp_path).start()
        assert DevnetState.read(tmp_path) == devnet.state
        assert await devnet.bitcoind.best()


async def test_if_one_node_cannot_start_the_others_are_stopped(tmp_path: Path) -> None:
    devnet = Devnet(tmp_path, anvil_binary="false")
    with pytest.raises(Unavailable, match="anvil ended at its start with exit code 1"):
        await devnet.start()
    assert not devnet.bitcoind.process.running
    assert not devnet.icp.process.running
    assert DevnetState.read(tmp_path) is None


async def test_the_end_of_a_node_is_reported_with_its_log(tmp_path: Path) -> None:
    async with Devnet(tmp_path) as devnet:
        devnet.anvil.process.kill()
        failure = await asyncio.wait_for(devnet.failure(), 10)
        assert "anvil ended with exit code -9" in str(failure)


def test_detached_it_is_ready_on_return_and_down_leaves_nothing(folder: Path) -> None:
    announced: list[DevnetState] = []
    up(folder, detach=True, announce=announced.append)
    seen = status(folder)
    assert seen is not None
    assert [seen.state] == announced
    assert seen.healthy
    assert len(seen.nodes) == 3
    with pytest.raises(Unavailable, match=r"(?s)the devnet ended.*a devnet runs in .* already"):
        up(folder, detach=True)
    assert down(folder)
    assert gone(seen.state)
    assert status(folder) is None
    assert not down(folder), "there is nothing to end any more"


def test_a_detached_start_that_fails_says_why(folder: Path) -> None:
    folder.mkdir()
    (folder / "bitcoin").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match=r"(?s)the devnet ended.*bitcoin"):
        up(folder, detach=True)


def test_down_touches_no_process_that_merely_has_the_number(folder: Path) -> None:
    up(folder, detach=True)
    state = DevnetState.read(folder)
    assert state is not None
    down(folder)
    with subprocess.Popen(["sleep", "600"]) as innocent:
        now = ProcessId.of(innocent.pid)
        assert now is not None
        stale = ProcessId(innocent.pid, state.supervisor.started)
        replace(state, supervisor=stale).write(folder)
        assert not down(folder)
        assert now.alive()
        innocent.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
async def test_nothing_is_left_when_the_supervisor_is_sent(number: signal.Signals, folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "swapd.devnet.supervisor", folder]) as supervisor:  # noqa: ASYNC220
        try:
            assert await until(lambda: DevnetState.read(folder) is not None, seconds=30)
            state = DevnetState.read(folder)
            assert state is not None
            supervisor.send_signal(number)
            assert await until(lambda: gone(state))
            assert supervisor.wait(10) == (-number if number == signal.SIGKILL else 0)
            assert (DevnetState.read(folder) is None) == (number != signal.SIGKILL)
        finally:
            supervisor.kill()
    await asyncio.to_thread(up, folder, detach=True)  # a crash does not stand in the way of the next one
    assert (await asyncio.to_thread(status, folder)) is not None


async def test_nothing_is_left_when_the_signal_comes_during_the_start(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "swapd.devnet.supervisor", folder]) as supervisor:  # noqa: ASYNC220
        try:
            assert await until(lambda: len(children_of(supervisor.pid)) > 0)
            nodes = [ProcessId.of(pid) for pid in children_of(supervisor.pid)]
            os.kill(supervisor.pid, signal.SIGTERM)
            assert await asyncio.to_thread(supervisor.wait, 20) == 0
            assert not any(node.alive() for node in nodes if node)
            assert DevnetState.read(folder) is None
        finally:
            supervisor.kill()
