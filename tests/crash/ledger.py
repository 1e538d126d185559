"""What was played already, line by line in a file, so that a matrix of hours may be broken off and go on.

A line counts as long as the code that it speaks of is the same: swapd's own and its libraries, the canister's, and the
harness with what it has from other tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.crash.play import Cell, Run

ROOT = Path(__file__).resolve().parents[2]
CODE = (
    "swapd/**/*.py",
    "swapd/**/*.sol",
    "canisters/**/*.mo",
    "migrations/**/*.py",
    "config/*.toml",
    "requirements.lock",
    "tests/crash/*.py",
    "tests/chains/icp/market.py",
    "tests/scenarios/[!t]*.py",  # what is no test
    "tests/tables.py",
)


def code() -> str:
    """The hash of all that a run depends on, but for Python and the nodes."""
    total = sha256()
    for path in sorted({path for pattern in CODE for path in ROOT.glob(pattern)}):
        total.update(f"{path.relative_to(ROOT)} {sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


class Ledger:
    """file: None to remember nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._code = code()
        self._known: dict[str, dict[str, Any]] = {}
        for line in file.read_text().splitlines() if file is not None and file.exists() else ():
            told = json.loads(line)
            if told["code"] == self._code:
                self._known[told["cell"]] = told

    def known(self, cell: Cell) -> Run | None:
        told = self._known.get(str(cell))
        return None if told is None else Run(cell, told["was_hit"], told["hits"], told["violations"])

    def add(self, runs: Iterable[Run]) -> None:
        if self._file is None:
            return
        with self._file.open("a") as file:
            for run in runs:
                hits = {name: n for name, n in run.hits.items() if n}
                told = {"cell": str(run.cell), "was_hit": run.was_hit, "hits": hits, "violations": run.violations}
                file.write(json.dumps({"code": self._code} | told) + "\n")
