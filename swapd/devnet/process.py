"""A child process that is started with care and surely ends: with its parent, or when it is stopped.

Nothing here is tied to an event loop, so a fixture of one loop may hand a process to tests of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from swapd.devnet import launch
from swapd.errors import Unavailable

_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 15


class Process:
    """One child in a session of its own, writing to one log file.

    `command` is a list of words, never given to a shell; `user` is a name to run as (only root may); `death_signal` is
    what the kernel sends the child when this process dies in any way, SIGKILL included; `stop_signal` asks it to end.

    Start it from a thread that lives as long as the child should (see `launch`).
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(word) for word in command]
        self.name = name or Path(self.command[0]).name
        self.log = log
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._user = user
        self._death_signal = death_signal
        self._stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, child: subprocess.Popen[bytes], command: Sequence[str | Path], *, log: Path, name: str) -> Self:
        """A child that was started already by this process, in a session of its own."""
        process = cls(command, log=log, name=name)
        process._child = child
        return process

    def __repr__(self) -> str:
        return f"Process({self.name}, pid={self._child.pid if self._child else None})"

    @property
    def pid(self) -> int:
        """The child's process id; the child leads a session and a group of the same number."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while the child runs (or was never started); -N if signal N ended it."""
        return self._child.poll() if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    async def start(self, ready: Callable[[], Awaitable[bool]] | None = None, *, timeout_seconds: float = 30.0) -> None:
        """Start the child and wait until `ready()` says so.

        Raises `Unavailable`, with the end of the log, if the child ends before it is ready or is not ready in time;
        in both cases nothing is left running.
        """
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._spawn()
        try:
            await self._until_ready(ready, timeout_seconds)
        except BaseException:  # cancellation too: a child nobody knows of must not stay behind
            self.kill()
            raise

    async def run(self, *, timeout_seconds: float) -> None:
        """Start the child and wait for its end. Raises `Unavailable`, with the end of the log, unless it succeeds."""
        await self.start()
        try:
            await self._until_gone(timeout_seconds)
            if self.running:
                raise Unavailable(f"{self.name} was not done after {timeout_seconds:g} s.{self._log_end()}")
        finally:
            self.kill()
        if self.exit_code != 0:
            raise Unavailable(f"{self.name} failed with exit code {self.exit_code}.{self._log_end()}")

    async def stop(self, *, timeout_seconds: float = 15.0) -> int:
        """Ask the child to end, insist after the bound, and return its exit code. Stopping twice is harmless."""
        child = self._child
        if child is None:
            return 0
        if child.poll() is None:
            child.send_signal(self._stop_signal)
            try:
                await self._until_gone(timeout_seconds)
            finally:
                self.kill()
        return child.wait()

    def kill(self) -> None:
        """End the child and whatever is left of its group at once, as a power cut would."""
        child = self._child
        if child is None:
            return
        # The group's number stays taken while the child is not reaped, so nobody else can be hit.
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """The last lines that the child wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _spawn(self) -> None:
        launcher = [sys.executable, "-I", "-S", launch.__file__]
        promise = [str(os.getpid()), str(int(self._death_signal)), self._user or ""]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*launcher, *promise, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent, which stops its children in order
            )

    async def _until_ready(self, ready: Callable[[], Awaitable[bool]] | None, timeout_seconds: float) -> None:
        if ready is None:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.running:
                    if await ready():
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise Unavailable(f"{self.name} was not ready within {timeout_seconds:g} s.{self._log_end()}") from None
        raise Unavailable(f"{self.name} ended at its start with exit code {self.exit_code}.{self._log_end()}")

    async def _until_gone(self, timeout_seconds: float) -> None:
        """Return at the child's end, or after the bound."""
        ended = asyncio.Event()
        handle = os.pidfd_open(self.pid)
        try:
            asyncio.get_running_loop().add_reader(handle, ended.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), timeout_seconds)
        finally:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)

    def _log_end(self) -> str:
        return f" Its log ({self.log}) ends with:\n{self.log_tail()}"
