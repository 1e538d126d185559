"""A local replica of the Internet Computer as a process of its own: `swapd.devnet.replica`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cbor2
import httpx
from ic.principal import Principal

from swapd.devnet.node import Node
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.process import Process
from swapd.devnet.replica.certificates import Delegated
from swapd.errors import Rejected, Unavailable

_ANSWER_SECONDS = 60.0  # advancing by months can make many timers fire


class Icp(Node):
    """A replica whose state is kept in its folder, also while it is stopped.

        async with Icp() as node:
            root_key = await node.root_key()
            await node.advance(3600)

    Canisters are made with any agent over HTTP, by the management canister's `provisional_create_canister_with_cycles`.
    `round_seconds` is the time between rounds (0: messages run at once); `delegated` says how certificates are signed,
    see `swapd.devnet.replica.Replica`, and holds for a new folder only.
    """

    name = "icp"

    def __init__(
        self, folder: Path | None = None, *, round_seconds: float = 0.0, delegated: Delegated = "none"
    ) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._round_seconds = round_seconds
        self._delegated = delegated

    # --- asking --------------------------------------------------------------------------------------------------

    async def root_key(self) -> bytes:
        """What clients are to trust: DER, 133 bytes. The same after every restart. Raises `Unavailable`."""
        key: bytes = (await self._status())["root_key"]
        return key

    async def canister(self, canister_id: bytes) -> dict[str, Any]:
        """`status`, `cycles`, `memory_bytes`, `module_hash`, `instructions_used`, `logs` of a canister."""
        return await self._admin("canister", canister_id=_text(canister_id))

    # --- making things happen ------------------------------------------------------------------------------------

    async def advance(self, seconds: float) -> int:
        """Move time, let due timers fire and settle; the time then, in ns since 1970."""
        return int((await self._admin("advance", seconds=seconds))["now_ns"])

    async def settle(self) -> None:
        """Return when no message is under way."""
        await self._admin("settle")

    async def save(self) -> None:
        """Write the state to the folder now; it is written at the end in any case."""
        await self._admin("save")

    async def stop_canister(self, canister_id: bytes) -> None:
        """The canister takes no calls from now on."""
        await self._admin("stop_canister", canister_id=_text(canister_id))

    async def start_canister(self, canister_id: bytes) -> None:
        await self._admin("start_canister", canister_id=_text(canister_id))

    async def add_cycles(self, canister_id: bytes, amount: int) -> None:
        """Top up a canister, or drain it with a negative amount."""
        await self._admin("add_cycles", canister_id=_text(canister_id), amount=amount)

    # --- the process ---------------------------------------------------------------------------------------------

    async def _status(self) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
            try:
                answer = await client.get(f"{self.url}/api/v2/status")
            except httpx.TransportError as e:
                raise Unavailable(f"replica at {self.url}: {type(e).__name__}") from e
        status: dict[str, Any] = cbor2.loads(answer.content)
        return status

    async def _admin(self, act: str, **values: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
            try:
                answer = await client.post(f"{self.url}/_/{act}", json=values)
            except httpx.TransportError as e:
                raise Unavailable(f"replica at {self.url}, {act}: {type(e).__name__}") from e
        if answer.status_code != httpx.codes.OK:
            raise Rejected(f"replica, {act}: {answer.text}")
        result: dict[str, Any] = answer.json()
        return result

    async def _answers(self) -> bool:
        try:
            await self._status()
        except Unavailable:
            return False
        return True

    async def _prepare(self) -> Process:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "swapd.devnet.replica",
            "--port",
            str(self.port),
            "--folder",
            self.folder / "state",
            "--rounds-ms",
            str(round(self._round_seconds * 1000)),
            "--delegated",
            self._delegated,
        ]
        return Process(command, log=self.folder / "icp.log", name=self.name)


def _text(principal: bytes) -> str:
    text: str = Principal(principal).to_str()
    return text
