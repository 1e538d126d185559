"""`swapd health`: what the daemon said last, for a person and for a script."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swapd.cli.health import FILE, STALE_SECONDS, write_health
from swapd.cli.main import main
from swapd.coordinator.health import Line

WELL = Line("bitcoin", True, "well", since=1)
BAD = Line("ethereum", False, "no answer", "looks again", "start the node", int(time.time()) + 3_600, 1_800_000_000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPD__DAEMON__DATA_DIR", str(tmp_path))
    return tmp_path


def asked(*words: str) -> Result:
    return CliRunner().invoke(main, ["health", *words])


def test_a_daemon_that_is_well_is_exit_code_0(folder: Path) -> None:
    write_health(folder, [WELL], int(time.time()))
    answer = asked()
    assert answer.exit_code == 0
    assert "ok   bitcoin: well" in answer.output
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


def test_trouble_says_what_is_needed_and_until_when(folder: Path) -> None:
    write_health(folder, [WELL, BAD], int(time.time()))
    answer = asked()
    assert answer.exit_code == 1
    assert "bad  ethereum: no answer" in answer.output
    assert "swapd looks again" in answer.output
    assert "needed: start the node, until " in answer.output
    assert json.loads(asked("--json").output)[2]["needs"] == "start the node"


def test_a_daemon_that_says_nothing_any_more_is_said_so(folder: Path) -> None:
    write_health(folder, [WELL], int(time.time()) - STALE_SECONDS - 5)
    answer = asked()
    assert answer.exit_code == 1
    assert "it has said nothing for" in answer.output


def test_a_daemon_that_never_ran_is_said_so(folder: Path) -> None:
    assert "it never ran" in asked().output
    assert asked().exit_code == 1


def test_a_file_of_somebody_else_is_no_health(folder: Path) -> None:
    (folder / FILE).write_text("{}")
    assert "what this swapd's daemon writes" in asked().output
