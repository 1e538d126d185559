"""What happened in a soak and when: printed where something was violated."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Log:
    """file: gets each line as it comes. Times are seconds since the start, and by the clock that the harness moves."""

    file: Path
    _began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, words: str) -> None:
        clock = time.strftime("%H:%M:%S", time.gmtime(time.time()))
        line = f"{self.seconds:8.2f} {clock} {words}"
        self.lines.append(line)
        with self.file.open("a") as file:
            file.write(line + "\n")

    def violation(self, words: str) -> None:
        self.violations.append(f"{words} (after {self.seconds:.1f} s)")
        self.say(f"VIOLATION {words}")

    def about(self, *words: str) -> list[str]:
        """The lines in which one of these stands."""
        return [line for line in self.lines if any(word in line for word in words)]
