"""Telling operators of a condition when it begins and when it ends, and not each time somebody looks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import structlog

MOST = 1_000
"""Conditions remembered. Forgetting one does no harm: it is told once more."""


class Alarms:
    """Warnings in the log, one for each condition that holds. about: named in every line, as `chain`."""

    def __init__(self, **about: Any) -> None:
        self._about = about
        self._on: dict[tuple[str, str], None] = {}

    @property
    def holding(self) -> Counter[str]:
        """How many conditions of each kind hold at this moment."""
        return Counter(event for event, _ in self._on)

    def ring(self, event: str, on: bool, of: str = "", **words: Any) -> None:
        """event: the condition. of: whose it is, if it can hold for several. words: for the line that begins it."""
        key = (event, of)
        if on and key not in self._on:
            structlog.get_logger().warning(event, **self._about, **words)
            self._on[key] = None
            while len(self._on) > MOST:
                self._on.pop(next(iter(self._on)))
        elif not on and key in self._on:
            del self._on[key]
            structlog.get_logger().info(f"{event}.over", **self._about, **words)
