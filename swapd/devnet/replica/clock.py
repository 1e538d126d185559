"""The replica's time: the machine's plus an offset, or a clock that moves when it is told to."""

from __future__ import annotations

import time
from typing import Protocol

NS = 10**9


class Clock(Protocol):
    def now_ns(self) -> int: ...
    def advance(self, seconds: float) -> None: ...


class ManualClock:
    """Stands still until `advance`. Begins in 2026 unless told otherwise."""

    def __init__(self, now_ns: int = 1_780_000_000 * NS) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"time does not go back ({seconds} s)")
        self._now_ns += round(seconds * NS)


class OffsetClock:
    """The machine's clock plus what `advance` added. Never goes back, though the machine's may."""

    def __init__(self, offset_ns: int = 0, latest_ns: int = 0) -> None:
        self.offset_ns = offset_ns
        self._latest_ns = latest_ns

    def now_ns(self) -> int:
        self._latest_ns = max(self._latest_ns, time.time_ns() + self.offset_ns)
        return self._latest_ns

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"time does not go back ({seconds} s)")
        self.offset_ns += round(seconds * NS)
