"""`make demo` leaves nothing behind, however it ends. That its swaps end as expected, the demo itself checks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS = 120.0
END_SECONDS = 40.0


def processes_of(folder: Path) -> dict[int, str]:
    """Every process that was started with this folder in its words or its environment."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it ended while we looked, or is somebody else's
        if str(folder).encode() in words:
            found[int(process.name)] = words.split(b"\0")[0].decode()
    return found


def until(what: str, true: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The demo, with nodes and both daemons running."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "swapd.cli.demo"],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        # itself, bitcoind, anvil, two daemons
        daemons = lambda: sum(log.read_text().count("daemon.running") for log in tmp_path.glob("*/*/daemon.log"))  # noqa: E731
        until(f"both daemons run: {output.read_text()}", lambda: daemons() == 2, START_SECONDS)
        assert len(processes_of(tmp_path)) >= 5
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_is_stopped_in_good_order(
    demo: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    demo.send_signal(number)
    assert demo.wait(END_SECONDS) == 130
    assert processes_of(tmp_path) == {}
    assert not list(tmp_path.glob("swapd-demo-*"))


def test_nothing_outlives_a_demo_that_is_killed(demo: subprocess.Popen[bytes], tmp_path: Path) -> None:
    demo.kill()
    demo.wait()
    until("everything is gone", lambda: not processes_of(tmp_path), END_SECONDS)
