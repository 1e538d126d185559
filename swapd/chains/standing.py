"""How one of several nodes has behaved, and what that makes of it.

A node is passed over after `FAILURES` failures in a row, and taken back after `SUCCESSES` good answers in a row: one
bad moment changes nothing, and one good one neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from swapd.errors import Invalid, Unavailable

FAILURES = 3
SUCCESSES = 3

LONGEST_PAUSE = 60.0
"""Seconds for which a node that asks to be left alone is, whatever it says (HTTP 429 and 503): exits can not wait."""

FIRST_PAUSE = 1.0
"""After the second such answer in a row, if the node does not say how long; then twice as long each time."""

_T = TypeVar("_T")


class NoAnswer(Unavailable):
    """A node gave no answer that can be read. overloaded: it says that it is asked too much. pause: seconds for which
    it wants to be left alone, if it says so."""

    def __init__(self, words: str, *, overloaded: bool = False, pause: float | None = None) -> None:
        super().__init__(words)
        self.overloaded = overloaded
        self.pause = pause


def pause_of(header: str | None) -> float | None:
    """Of an HTTP `Retry-After` in seconds (RFC 9110, 10.2.3). Its other form, a date, needs a clock both agree on."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 10 else None


@dataclass
class Hysteresis:
    """Whether something is good; it takes several of the other kind in a row to change that."""

    good: bool = True
    _against: int = 0

    def note(self, good: bool) -> None:
        self._against = 0 if good == self.good else self._against + 1
        if self._against >= (FAILURES if self.good else SUCCESSES):
            self.good, self._against = good, 0


@dataclass
class Endpoint(Generic[_T]):
    """One node. name: the setting that it stands in; its URL may hold a key. Times are of a monotonic clock.

    refused: why it is never asked: it is on another network. wrong: the same as an error. admitted: it was found to be
    on the right one. answers: does it. tips: is it where the others are. behind: blocks. pause: until then it wants to
    be left alone.
    """

    name: str
    node: _T
    admitted: bool
    refused: str = ""
    wrong: Invalid | None = None
    answers: Hysteresis = field(default_factory=Hysteresis)
    tips: Hysteresis = field(default_factory=Hysteresis)
    trouble: str = ""
    since: float = 0.0
    behind: int = 0
    forked: bool = False
    pause: float = 0.0
    probed: float = 0.0
    overloads: int = 0

    @property
    def healthy(self) -> bool:
        return not self.refused and self.answers.good and self.tips.good

    @property
    def why(self) -> str:
        if self.refused:
            return self.refused
        if not self.answers.good:
            return self.trouble
        if self.forked and not self.behind:
            return "it is on another fork than the others"
        return f"it is {self.behind} blocks behind the others"
