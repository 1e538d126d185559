"""A sample of the crash matrix, and that no point is left out of it. All of it: `make crash-matrix`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.points import calls, points

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
