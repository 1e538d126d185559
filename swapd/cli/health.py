"""`swapd health`: how the running daemon is, in its own words, without asking any node or the database.

The daemon writes them into a file of its data folder, so that they can be read when nothing else can.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from swapd.cli.context import Context, command
from swapd.cli.options import json_option
from swapd.cli.show import print_json, say, when
from swapd.coordinator.health import HEALTH_SECONDS, Line
from swapd.errors import Invalid

FILE = "health.json"
STALE_SECONDS = 6 * HEALTH_SECONDS
"""Without news for so long, no daemon is running, or it is stuck."""


def write_health(folder: Path, lines: Sequence[Line], at: int) -> None:
    """Whole or not at all."""
    new = folder / f"{FILE}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"at": at, "lines": [asdict(line) for line in lines]}, file)
    new.replace(folder / FILE)


@click.command()
@json_option
@command
async def health(context: Context, as_json: bool) -> int:
    """How the running daemon is: a line for each chain, the store and entry. Exit code 1 if anything is wrong."""
    now = int(time.time())
    lines = _read(context.settings().daemon.data_dir, now)
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        for line in lines:
            _print(line, now)
    return 0 if all(line.ok for line in lines) else 1


def _read(folder: Path, now: int) -> list[Line]:
    path = folder / FILE
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        lines = [Line(**each) for each in told["lines"]]
        age = now - int(told["at"])
    except FileNotFoundError:
        return [Line("daemon", False, f"it never ran with the data folder {folder}", needs="`swapd run`")]
    except (ValueError, KeyError, TypeError):
        raise Invalid("health file", str(path), "what this swapd's daemon writes") from None
    if age <= STALE_SECONDS:
        return [Line("daemon", True, f"{max(age, 0)} s ago"), *lines]
    says = f"it has said nothing for {age} s: it does not run, or is stuck. What follows is as old"
    return [Line("daemon", False, says, needs="`swapd run`, or its log"), *lines]


def _print(line: Line, now: int) -> None:
    say(("ok  ", "green") if line.ok else ("bad ", "red"), f" {line.name}: {line.says}")
    if line.ok:
        return
    if line.since:
        say(f"     since {when(line.since, now)}")
    if line.doing:
        say(f"     swapd {line.doing}")
    if line.needs:
        say(f"     needed: {line.needs}" + (f", until {when(line.until, now)}" if line.until else ""))
