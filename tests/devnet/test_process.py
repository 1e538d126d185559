"""A child surely starts, surely ends, and says what went wrong."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swapd.devnet.process import Process
from swapd.devnet.state import ProcessId
from swapd.errors import Unavailable
from tests.devnet.proc import children_of, until


async def never() -> bool:
    return False


def identify(pid: int) -> ProcessId:
    identity = ProcessId.of(pid)
    assert identity is not None
    return identity


async def test_stop_ends_the_child_with_its_signal(tmp_path: Path) -> None:
    process = Process(["sleep", "600"], log=tmp_path / "log")
    await process.start()
    identity = identify(process.pid)
    assert process.running
    assert await process.stop() == -signal.SIGTERM
    assert not identity.alive()
    assert await process.stop() == -signal.SIGTERM, "stopping twice is harmless"


async def test_a_child_that_ignores_sigterm_is_killed_after_the_bound_with_its_group(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo $! ; wait; wait"
    process = Process(["sh", "-c", script], log=tmp_path / "log")

    async def wrote_the_pid() -> bool:
        return bool(process.log_tail())

    await process.start(wrote_the_pid)
    grandchild = identify(int(process.log_tail()))
    assert await process.stop(timeout_seconds=0.2) == -signal.SIGKILL
    assert await until(lambda: not grandchild.alive())


async def test_a_child_that_ends_at_its_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo no such port; exit 3"], log=tmp_path / "log", name="node")
    with pytest.raises(Unavailable, match=r"(?s)node ended at its start with exit code 3\..*no such port"):
        await process.start(never)


async def test_a_child_that_is_never_ready_is_ended_and_shows_its_log(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo still loading; exec sleep 600"], log=tmp_path / "log", name="node")
    with pytest.raises(Unavailable, match=r"(?s)node was not ready within 0\.5 s.*still loading"):
        await process.start(never, timeout_seconds=0.5)
    assert not process.running


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = Process([tmp_path / "missing"], log=tmp_path / "log")
    with pytest.raises(Unavailable, match=r"cannot run .*/missing: No such file"):
        await process.start(never)


async def test_cancelling_a_start_leaves_no_child(tmp_path: Path) -> None:
    process = Process(["sleep", "600"], log=tmp_path / "log")
    start = asyncio.create_task(process.start(never))
    assert await until(lambda: process.running)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not process.running


async def test_run_waits_for_the_end_and_reports_failure(tmp_path: Path) -> None:
    await Process(["true"], log=tmp_path / "log").run(timeout_seconds=10)
    with pytest.raises(Unavailable, match="exit code 1"):
        await Process(["false"], log=tmp_path / "log").run(timeout_seconds=10)
    with pytest.raises(Unavailable, match=r"not done after 0\.2 s"):
        await Process(["sleep", "600"], log=tmp_path / "log").run(timeout_seconds=0.2)


_PARENT = """
import asyncio, sys
from pathlib import Path
from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from swapd.devnet.postgres import PostgresServer

async def main():
    folder = Path(sys.argv[1])
    nodes = [Bitcoind(folder / "bitcoin"), Anvil(folder / "ethereum"), PostgresServer()]
    for node in nodes:
        await node.start()
    print(*(node.process.pid for node in nodes), nodes[2].folder, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_all_nodes_die_when_their_parent_is_killed_with_sigkill(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        *words, postgres_folder = (await parent.stdout.readline()).decode().split()
        pids = [int(word) for word in words]
        children = [identify(pid) for pid in pids]
        # a backend that served the first connection may be ending just now
        postgres_workers = [worker for pid in children_of(pids[2]) if (worker := ProcessId.of(pid))]
        assert len(children) == 3
        assert postgres_workers
    finally:
        parent.kill()
        await parent.wait()
    assert await until(lambda: not any(child.alive() for child in children + postgres_workers))
    shutil.rmtree(postgres_folder)  # temporary, but nobody was left to remove it


def test_a_process_with_a_recycled_number_is_not_taken_for_the_old_one() -> None:
    with subprocess.Popen(["sleep", "600"]) as innocent:
        try:
            now = identify(innocent.pid)
            earlier = ProcessId(now.pid, now.started + "0")
            assert now.alive()
            assert not earlier.alive()
            earlier.send(signal.SIGKILL)
            assert innocent.poll() is None
        finally:
            now.send(signal.SIGTERM)
    assert innocent.returncode == -signal.SIGTERM
