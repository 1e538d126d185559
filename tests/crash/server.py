"""A process that has imported everything, and forks a daemon when it is told to: a start then costs milliseconds.

    python -m tests.crash.server PAGE_FILE

One order a line on standard input, as JSON; one line back for each child that was started or ended. A child is a
process of its own: `swapd run` by the command's own entry, with a hook at each crash point that counts, and kills at
the n-th.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.crash.page import Page, Slot

if TYPE_CHECKING:
    from swapd.coordinator.daemon import Daemon
    from swapd.coordinator.requests import Intake
    from swapd.coordinator.watch import Watcher

_PR_SET_PDEATHSIG = 1
POKE = signal.SIGUSR1
"""Look at every chain now, instead of at the next turn: what the harness sends after a block."""


def _die_with_the_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _become_a_daemon(order: dict[str, Any], page: Page, points: tuple[str, ...]) -> int:
    from swapd.cli.main import main

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["environment"])
    slot = page.slot(order["slot"])
    _arm(slot, points, order["point"], order["hit"])
    _tell(slot)
    try:
        main(["--config", order["config"], "run"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _arm(slot: Slot, points: tuple[str, ...], deadly: str | None, hit: int) -> None:
    """Count each point, and end this process at the n-th time that it comes to the deadly one."""
    from swapd import crashpoint

    numbers = {name: number for number, name in enumerate(points)}

    def hook(name: str) -> None:
        if slot.hit(numbers[name]) == hit and name == deadly:
            slot.die()
            os.kill(os.getpid(), signal.SIGKILL)

    crashpoint.arm(hook)


def _tell(slot: Slot) -> None:
    """Write down when the daemon has begun and what it has looked at, and let it look when it is poked."""
    from swapd.coordinator.daemon import Daemon

    signal.signal(POKE, signal.SIG_IGN)  # until it has begun
    begin = Daemon._begin

    def lookers(daemon: Daemon) -> list[tuple[str, Watcher | Intake]]:
        return [*daemon.watchers.items(), *daemon.intakes.items()]

    async def begin_and_tell(self: Daemon) -> None:
        daemon = self
        for number, (_, looker) in enumerate(lookers(daemon)):
            _time(looker, slot, number)
        await begin(daemon)
        tasks: set[asyncio.Task[None]] = set()

        async def look(name: str, looker: Watcher | Intake) -> None:
            await daemon._look(name, looker)
            daemon._wake.set()

        def poke() -> None:
            for name, looker in lookers(daemon):
                task = asyncio.create_task(look(name, looker))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        asyncio.get_running_loop().add_signal_handler(POKE, poke)
        slot.begin()
        poke()

    Daemon._begin = begin_and_tell  # type: ignore[method-assign]


def _time(looker: Watcher | Intake, slot: Slot, number: int) -> None:
    look = looker.look

    async def timed() -> bool:
        since = time.monotonic_ns()
        woken: bool = await look()
        slot.looked(number, since)
        return woken

    looker.look = timed  # type: ignore[method-assign]


def _serve(page: Page, points: tuple[str, ...]) -> None:
    me = os.getpid()
    children: set[int] = set()
    wakeup, poked = os.pipe()
    os.set_blocking(poked, False)
    signal.set_wakeup_fd(poked, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pending = b""
    _say(ready=me)
    while True:
        ready, _, _ = select.select([0, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 4096)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                order = json.loads(line)
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _die_with_the_parent(me)
                    os._exit(_become_a_daemon(order, page, points))
                children.add(child)
                _say(started=child, slot=order["slot"])
        while children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                break
            children.discard(child)
            _say(ended=child, code=os.waitstatus_to_exitcode(status))


def _say(**words: int) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def main() -> None:
    parent = os.getppid()
    _die_with_the_parent(parent)
    page = Page(Path(sys.argv[1]))
    page.install()
    from tests.crash.points import points
    from tests.crash.warmth import warm_up

    found = points()
    warm_up()
    gc.collect()
    gc.freeze()
    _serve(page, found)


if __name__ == "__main__":
    main()
