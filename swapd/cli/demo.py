"""`make demo`: twelve swaps on real nodes, between two swapd processes that know of each other only what swappers know.

The house runs one daemon, its counterparty another, with its own seed, wallets and database. Bitcoin, Ethereum and the
Internet Computer make six ordered pairs. Of each, one swap completes; in another one the counterparty never locks, and
the house's money goes back at its timelock. At the end every satoshi, wei and e8 is accounted for from the chains
alone, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from swapd.cli.demo_play import demo
from swapd.cli.show import console
from swapd.errors import SwapdError

KEPT = Path(".cache/demo")


async def _play(folder: Path, keep: bool) -> int:
    """Until the end, or a signal; then everything that was started is stopped."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has a task
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    good, talk, running = await demo(folder)
    async with running:
        console.print(
            "[green]every swap ended as expected, and nothing is missing[/]" if good else "[red]NOT as expected[/]"
        )
        if keep:
            await _stay(folder, talk, good)
    return 0 if good else 1


async def _stay(folder: Path, talk: list[str], good: bool) -> None:
    """Leave nodes and daemons running: tell the process that waits for us that it may end, and wait ourselves."""
    console.print("\neverything is left running; to talk to the house and to its counterparty:")
    for line in talk:
        console.print(f"  {line} swap list", highlight=False, soft_wrap=True)
    console.print(f"to end it all: {sys.executable} -m swapd devnet down --folder {folder / 'nodes'}", soft_wrap=True)
    (folder / "outcome").write_text("0" if good else "1")
    await asyncio.Event().wait()


def _keep(folder: Path) -> int:
    """Run the demo in a process of its own that stays, and return when its swaps are done."""
    outcome = folder / "outcome"
    outcome.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(_guarded(folder, keep=True))
    try:
        while not outcome.exists():
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) or 1
            signal.sigtimedwait([], 0.2)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        return 130
    return int(outcome.read_text())


def _guarded(folder: Path, *, keep: bool) -> int:
    try:
        return asyncio.run(_play(folder, keep))
    except SwapdError as error:
        console.print(f"[red]{error}[/]")
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        console.print("stopped; nothing is left running")
        return 130


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--keep", action="store_true", help="leave nodes and daemons running, and say how to talk to them"
    )
    if parser.parse_args().keep:
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        return _keep(KEPT.resolve())
    with tempfile.TemporaryDirectory(prefix="swapd-demo-", ignore_cleanup_errors=True) as folder:
        return _guarded(Path(folder), keep=False)


if __name__ == "__main__":
    sys.exit(main())
