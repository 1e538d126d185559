"""`swapd run` with its API, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from swapd.devnet.party import CONFIG
from swapd.devnet.ports import free_port
from tests.api.conftest import CHAINS

PATIENCE = 30


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No chain is enabled: it has nothing to do but to serve."""
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SWAPD")}
    return (
        kept
        | {f"SWAPD__CHAINS__{chain.upper()}__ENABLED": "false" for chain in CHAINS}
        | {
            "SWAPD__DAEMON__DATA_DIR": str(tmp_path / "data"),
            "SWAPD__VAULT__PASSPHRASE_FILE": str(passphrase),
            "SWAPD__DAEMON__LOG_LEVEL": "debug",
            "SWAPD__API__ENABLED": "true",
            "SWAPD__API__PORT": str(free_port()),
        }
    )


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "swapd", "--config", str(CONFIG), *words]


def said(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        command(*words), env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def daemon(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    said(environment, "init")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command("run"), env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_serves_beside_the_daemon_and_ends_with_it(
    daemon: subprocess.Popen[bytes], environment: dict[str, str], tmp_path: Path
) -> None:
    token = json.loads(said(environment, "keys", "issue", "aud", "--role", "auditor", "--json"))["token"]
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "look-for-me-1"}
    with httpx.Client(base_url=f"http://127.0.0.1:{environment['SWAPD__API__PORT']}", headers=headers) as http:

        def serves() -> bool:
            try:
                return http.get("/v1/me").status_code == 200
            except httpx.TransportError:
                return False

        until(serves)
        settings = http.get("/v1/settings").json()["settings"]
        assert settings["api"]["enabled"] is True
        said(environment, "keys", "revoke", "aud")  # beside the running daemon, and at once
        assert http.get("/v1/me").status_code == 401
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    log = (tmp_path / "log").read_text()
    assert "api.listening" in log
    assert "look-for-me-1" in log
    assert "Traceback" not in log
    assert token.rpartition("_")[2] not in log
