"""What the harness and the daemons it starts have in common: one page of memory, and the clock in it.

The clock is this machine's, moved on by as much as the harness says. `install` puts it in the place of Python's own,
before anything of swapd is imported; then whoever looks at the time, in whatever process, sees the same.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path

SLOTS = 64
"""Daemons that there can be at a time."""

POINTS = 200
LOOKERS = 8
_HEAD = 8
_SLOT = _HEAD + LOOKERS + POINTS
_BEGUN, _DIED = 0, 1

real_time, real_time_ns = time.time, time.time_ns


class Page:
    """A file of 64-bit numbers. `ahead`: nanoseconds by which the clock is ahead of this machine's."""

    def __init__(self, file: Path) -> None:
        size = 8 * (1 + SLOTS * _SLOT)
        with file.open("a+b") as opened:
            opened.truncate(size)
            self._memory = memoryview(mmap.mmap(opened.fileno(), size)).cast("q")

    @property
    def ahead(self) -> int:
        return self._memory[0]

    @ahead.setter
    def ahead(self, nanoseconds: int) -> None:
        self._memory[0] = nanoseconds

    def slot(self, number: int) -> Slot:
        first = 1 + number * _SLOT
        return Slot(self._memory[first : first + _SLOT])

    def install(self) -> None:
        time.time = lambda: real_time() + self.ahead / 1e9
        time.time_ns = lambda: real_time_ns() + self.ahead


class Slot:
    """One daemon's part of the page: it writes, the harness reads. It outlives the process."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def clear(self) -> None:
        for place in range(len(self._memory)):
            self._memory[place] = 0

    def starting(self) -> None:
        """A new process: nothing is looked at, and what was hit before stays counted."""
        for place in (_BEGUN, *range(_HEAD, _HEAD + LOOKERS)):
            self._memory[place] = 0

    @property
    def begun(self) -> bool:
        """Whether everything open was looked at once since the start."""
        return self._memory[_BEGUN] > 0

    def begin(self) -> None:
        self._memory[_BEGUN] = 1

    @property
    def died(self) -> int:
        """How often it was killed at a point."""
        return self._memory[_DIED]

    def die(self) -> None:
        self._memory[_DIED] += 1

    def looked(self, looker: int, since: int) -> None:
        """This one ended a look that it began at this moment (nanoseconds, monotonic, machine-wide)."""
        self._memory[_HEAD + looker] = since

    def looks(self, count: int) -> int:
        """When the look was begun that is the oldest among the last ones of so many lookers."""
        return min(self._memory[_HEAD : _HEAD + count])

    def hit(self, point: int) -> int:
        """One more; returns how many now."""
        self._memory[_HEAD + LOOKERS + point] += 1
        return self._memory[_HEAD + LOOKERS + point]

    def hits(self, point: int) -> int:
        return self._memory[_HEAD + LOOKERS + point]
