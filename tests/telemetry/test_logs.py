"""Log lines, of swapd and of its libraries: one JSON object each, with the swap and the request, and no secret."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from swapd.errors import Rejected
from swapd.store import Lease
from swapd.telemetry.logs import WITHHELD, log_as
from swapd.telemetry.redact import REDACTED
from swapd.vault import Secret
from tests.coordinator.world import Rooms, new_rooms
from tests.store.store_samples import add_swap, lease

SECRET = hashlib.sha256(b"a secret of the log tests").digest()


@pytest.fixture
def lines(quiet_after: None, capsys: pytest.CaptureFixture[str]) -> Any:
    """Everything that was logged since, as objects."""
    Secret(SECRET)  # to make one is to make it known
    log_as("debug", "json")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_object_with_what_it_is_about(lines: Any) -> None:
    with bound_contextvars(request_id="r-1"), bound_contextvars(swap="0123456789abcdef"):
        structlog.get_logger().info("effect.sent", fee=12, txids=["a", "b"])
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "effect.sent",
        "level": "info",
        "fee": 12,
        "txids": ["a", "b"],
        "swap": "0123456789abcdef",
        "request_id": "r-1",
    }


def test_libraries_speak_through_the_same_lines_and_only_when_something_is_wrong(lines: Any) -> None:
    library = logging.getLogger("some.library")
    library.info("nothing of interest")
    with bound_contextvars(swap="0123456789abcdef"):
        library.warning("could not read %s", "it")
    (first,) = lines()
    assert (first["event"], first["logger"], first["level"]) == ("could not read it", "some.library", "warning")
    assert first["swap"] == "0123456789abcdef"


def test_a_librarys_own_mistake_in_a_message_loses_nothing(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [each for each in root.handlers if _ours(each)])
    logging.getLogger("some.library").warning("too %s %s", "few")
    (line,) = lines()
    assert line["event"] == "too %s %s (TypeError in its arguments)"


def _ours(handler: logging.Handler) -> bool:
    """Not pytest's, which fails over such a line."""
    return type(handler).__module__.startswith("swapd.")


def holders() -> list[Any]:
    return [SECRET, SECRET.hex(), list(SECRET), {"a": [{"b": (SECRET,)}]}, Rejected(f"no: {SECRET!r}"), repr(SECRET)]


def test_s9_no_line_of_ours_or_of_a_library_holds_a_known_secret(lines: Any) -> None:
    log, library = structlog.get_logger(), logging.getLogger("some.library")
    for held in holders():
        log.info("event", held=held)
        log.info(f"event {held}")
        library.error("held %s", held)
        library.error(held)
        try:
            raise RuntimeError("outer", held) from Rejected(str(held))
        except RuntimeError:
            log.exception("mistake")
            library.exception("mistake")
    told = lines()
    assert len(told) == 6 * len(holders())
    for line in told:
        text = json.dumps(line)
        assert REDACTED in text or line["event"] == WITHHELD
        for form in (SECRET.hex(), repr(SECRET)[2:-1], str(list(SECRET))[1:-1], json.dumps(repr(SECRET))[3:-3]):
            assert form not in text


def test_s9_a_secret_that_is_whole_only_in_the_finished_line_withholds_all_of_it(lines: Any) -> None:
    parts = [list(SECRET[start : start + 6]) for start in range(0, len(SECRET), 6)]  # each too short to be known
    structlog.get_logger().info("event", parts=parts, other="x")
    (line,) = lines()
    assert line.keys() == {"event", "level", "timestamp"}
    assert line["event"] == WITHHELD


def test_s9_an_error_that_nobody_caught_is_said_without_its_secret() -> None:
    program = f"""
        from swapd.telemetry.logs import log_as
        from swapd.vault import Secret
        log_as("info", "json")
        secret = bytes.fromhex("{SECRET.hex()}")
        Secret(secret)
        raise RuntimeError(f"it was {{secret.hex()}} and https://me:hunter2@node/")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert json.loads(done.stdout)["event"] == "uncaught"
    assert SECRET.hex() not in said
    assert "hunter2" not in said


def test_a_commands_log_is_text_and_shows_no_local_variables(
    quiet_after: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as("info", "text", "stderr")
    local = "a-local-variable-of-ours"
    try:
        raise RuntimeError("words")
    except RuntimeError:
        structlog.get_logger().exception("mistake")
    out, err = capsys.readouterr()
    assert out == ""
    assert "RuntimeError: words" in err
    assert f"= '{local}'" not in err


# -- the daemon's own lines


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with new_rooms(tmp_path) as made:
        yield made


async def test_whatever_is_logged_while_a_swap_is_worked_on_says_which(
    rooms: Rooms, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap_id = await add_swap(rooms.store)
    daemon = rooms.daemon()
    await daemon.start()
    lines()

    async def reconcile(held: object) -> None:
        logging.getLogger("some.library").warning("a library's own words")
        structlog.get_logger().info("from.far.below")

    monkeypatch.setattr(daemon, "_reconciler", type("Fake", (), {"reconcile": staticmethod(reconcile)}))
    await daemon._reconcile(Lease(swap_id, await lease(rooms.store, swap_id)))
    said = {line["event"]: line.get("swap") for line in lines()}
    assert said["a library's own words"] == swap_id
    assert said["from.far.below"] == swap_id
    structlog.get_logger().info("afterwards")
    assert "swap" not in lines()[0]
