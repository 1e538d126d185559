"""A sample of the crash matrix, and that no point is left out of it. All of it: `make crash-matrix`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash import ledger
from tests.crash.ledger import Ledger
from tests.crash.play import Cell, Run
from tests.crash.points import calls, points
from tests.scenarios.rig import Direction

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 12
SAMPLE_SECONDS = 900
"""A minute and a half on two idle processors, and not for ever on busy ones."""

EDGES = ("agree", "bitcoin", "daemon", "ethereum", "execute", "icp", "reconcile", "requests", "store", "vault", "watch")


def test_every_crash_point_has_a_name_of_its_own_that_says_where_it_is() -> None:
    found = points()
    assert {name.partition(".")[0] for name in found} == set(EDGES)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name) for name in found)


@pytest.mark.parametrize("source", ["crashpoint(name)", 'crashpoint(f"{name}.before")', 'crashpoint("a", "b")'])
def test_a_crash_point_whose_name_can_not_be_read_from_the_code_is_found(source: str) -> None:
    with pytest.raises(ValueError, match="one literal string"):
        list(calls(source, Path("made up")))


def test_what_is_in_the_ledger_is_not_played_again_until_the_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, cell = tmp_path / "ledger", Cell(Direction("BTC", "ETH"), "completed", "execute.sent", 2)
    Ledger(file).add([Run(cell, was_hit=True, hits={"execute.sent": 2, "agree.store.after": 0}, violations=["lost"])])
    again = Ledger(file).known(cell)
    assert again == Run(cell, was_hit=True, hits={"execute.sent": 2}, violations=["lost"])
    assert Ledger(file).known(replace(cell, hit=3)) is None
    monkeypatch.setattr(ledger, "code", lambda: "another")
    assert Ledger(file).known(cell) is None


async def test_killed_at_crash_points_swaps_go_on_to_their_end_and_no_point_is_left_out(
    record_property: Callable[[str, object], None],
) -> None:
    """A process of its own, because its clock is not this machine's."""
    words = ("-m", "tests.crash", "--sample", str(SAMPLE))
    child = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SAMPLE_SECONDS):
            output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    text = output.decode(errors="replace")
    summary = text.splitlines()[-1]
    record_property("summary", summary)
    assert child.returncode == 0, text
    assert re.fullmatch(rf"crash matrix: {len(points())} points, \d+ runs, 0 violations", summary), text
    killed = re.search(r"^(\d+) runs had a daemon killed", text, re.MULTILINE)
    assert killed is not None, text
    assert int(killed[1]) >= SAMPLE * 3 // 4, "nearly all of them: when exactly a point is hit, and how often, may vary"
