"""Daemons as processes: forked by a server that has imported everything, killed, and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from swapd.devnet.party import CONFIG
from tests.crash.page import POINTS, Page, Slot
from tests.crash.server import POKE

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
"""For the server, which imports everything."""


class Server:
    """Only one loop may speak to it."""

    def __init__(self, page_file: Path) -> None:
        self._page_file = page_file
        self._process: asyncio.subprocess.Process | None = None
        self._started: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, int] = {}
        self._reading: asyncio.Task[None] | None = None
        self.changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.server", str(self._page_file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            assert "ready" in json.loads(await self._process.stdout.readline())
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._reading is not None:
            self._reading.cancel()
        self._process.kill()  # and the kernel ends its children
        await self._process.wait()

    async def fork(self, slot: int, environment: dict[str, str], log: Path, point: str | None, hit: int) -> int:
        """The new daemon's process id."""
        assert self._process is not None
        assert self._process.stdin is not None
        order = {
            "slot": slot,
            "environment": environment,
            "log": str(log),
            "config": str(CONFIG),
            "point": point,
            "hit": hit,
        }
        self._started[slot] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(START_SECONDS):
            return await self._started[slot]

    def exit_code(self, pid: int) -> int | None:
        """None while it runs."""
        return self._ended.get(pid)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match json.loads(line):
                case {"started": pid, "slot": slot}:
                    self._started[slot].set_result(pid)
                case {"ended": pid, "code": code}:
                    self._ended[pid] = code
            self.changed.set()


@dataclass
class Daemon:
    """One party's. It dies at the n-th hit of its point, and is then no more in danger; if there is a prelude, at the
    first hit of that before. hits are counted over all its lives, but begin anew after the prelude.

    mishaps: whatever else ended it.
    """

    server: Server
    page: Page
    number: int
    log: Path
    points: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    pid: int = 0
    point: str | None = None
    hit: int = 0
    prelude: str | None = None
    mishaps: list[str] = field(default_factory=list)
    _deaths: int = 0
    _before: tuple[int, ...] = ()

    @property
    def slot(self) -> Slot:
        return self.page.slot(self.number)

    @property
    def running(self) -> bool:
        return self.pid > 0

    @property
    def deaths(self) -> int:
        """How often it was killed at a point."""
        return self.slot.died

    @property
    def was_hit(self) -> bool:
        """Whether it died at its point."""
        return self.deaths > (self.prelude is not None)

    def hits(self) -> list[int]:
        """Of each point, by its number, since the prelude."""
        before = self._before or (0,) * POINTS
        return [self.slot.hits(number) - before[number] for number in range(POINTS)]

    def prepare(self, point: str | None, hit: int, prelude: str | None) -> None:
        """For another run."""
        self.slot.clear()
        self.point, self.hit, self.prelude = point, hit, prelude
        self.mishaps.clear()
        self._deaths, self._before = 0, ()
        self.log.unlink(missing_ok=True)

    async def start(self) -> None:
        assert not self.running
        self.slot.starting()
        self.pid = await self.server.fork(self.number, self.environment, self.log, *self._danger())

    def _danger(self) -> tuple[str | None, int]:
        if self.prelude is not None and self.deaths == 0:
            return self.prelude, 1
        if self.prelude is not None and not self._before:
            self._before = tuple(self.slot.hits(number) for number in range(POINTS))
        if self.was_hit or self.point is None:
            return None, 0
        before = self._before[self.points.index(self.point)] if self._before else 0
        return self.point, before + self.hit

    def died(self) -> bool:
        """Whether it was killed at a point since the last time this was asked. Any other end is a mishap."""
        if not self.running or (code := self.server.exit_code(self.pid)) is None:
            return False
        self.pid = 0
        at_a_point = self.slot.died > self._deaths
        self._deaths = self.slot.died
        if not at_a_point or code != -signal.SIGKILL:
            self.mishaps.append(f"the daemon ended by itself with {code}: {self.log_tail()}")
        return True

    def poke(self) -> None:
        if self.running and self.server.exit_code(self.pid) is None:
            os.kill(self.pid, POKE)

    async def kill(self) -> None:
        """If it runs."""
        if self.running and self.server.exit_code(self.pid) is None:
            os.kill(self.pid, signal.SIGKILL)
            deadline = time.monotonic() + START_SECONDS
            while self.server.exit_code(self.pid) is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.002)
        self.pid = 0
        self._deaths = self.slot.died

    def log_tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def mistakes(self) -> list[str]:
        """What the log calls a mistake of swapd's own."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if ".mistake" in line]
