"""`swapd run` with everything: webhooks are delivered, streams told, and a stop ends both in good order."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx

from swapd.devnet.party import CONFIG
from swapd.devnet.ports import free_port
from swapd.devnet.process import Process
from tests.webhooks.receiver import Receiver

PATIENCE = 30


async def test_the_daemon_delivers_tells_and_stops(tmp_path: Path, receiver: Receiver) -> None:
    port = free_port()
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text("nothing to steal")
    off = {f"SWAPD__CHAINS__{chain}__ENABLED": "false" for chain in ("BITCOIN", "ETHEREUM", "ICP")}
    env = (
        os.environ
        | off
        | {
            "SWAPD__DAEMON__DATA_DIR": str(tmp_path / "data"),
            "SWAPD__VAULT__PASSPHRASE_FILE": str(tmp_path / "passphrase"),
            "SWAPD__API__ENABLED": "true",
            "SWAPD__API__PORT": str(port),
        }
    )
    swapd = [sys.executable, "-m", "swapd", "--config", str(CONFIG)]

    async def ask(*words: str) -> str:
        child = await asyncio.create_subprocess_exec(*swapd, *words, env=env, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(PATIENCE):
            output, _ = await child.communicate()
        assert child.returncode == 0
        return output.decode()

    await ask("init")
    token = json.loads(await ask("keys", "issue", "olga", "--role", "operator", "--json"))["token"]
    daemon = Process([*swapd, "run"], log=tmp_path / "log", name="swapd", env=env)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/v1/me")).status_code == 200
            except httpx.TransportError:
                return False

        await daemon.start(ready, timeout_seconds=PATIENCE)
        try:
            hook = (await http.post("/v1/webhooks", json={"url": receiver.url})).json()["webhook"]
            async with http.stream("GET", "/v1/events/stream") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == ": events of swapd"
                assert (await http.post(f"/v1/webhooks/{hook['id']}/ping")).status_code == 202
                await receiver.until(lambda: len(receiver.taken) == 1)
                began = asyncio.get_running_loop().time()
                stopping = asyncio.create_task(daemon.stop())
                assert all(not line.startswith("data") for line in [line async for line in lines])
            assert await stopping == 0
            assert asyncio.get_running_loop().time() - began < 8, "a stream that is open must not hold up the stop"
        finally:
            await daemon.stop()
    assert receiver.got[0].event["type"] == "webhook.ping"
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log
    assert "cut_short" not in log, log
