"""JSON from outside may be nested as deeply as its sender likes: it must not be the end of the process."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import json
from click.testing import CliRunner
from swapd.cli.main import main
CliRunner().invoke(main, ["timelocks", "BTC", "ETH"])
try:
    json.loads("[" * 100_000)
except RecursionError:
    print("still here")
"""


def test_a_deeply_nested_answer_is_an_error_and_not_a_crash() -> None:
    ran = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "still here")
