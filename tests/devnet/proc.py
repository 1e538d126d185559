"""Look at other processes, and wait for what they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path


async def until(condition: Callable[[], bool], *, seconds: float = 15.0) -> bool:
    """Whether `condition` came true within the bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def children_of(pid: int) -> list[int]:
    listing = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in listing.split()]


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
