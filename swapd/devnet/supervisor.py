"""`up`, `down` and `status`: a devnet as a process of its own, for the command line.

    python -m swapd.devnet.supervisor FOLDER [--block-seconds N]

These functions block, and start event loops of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swapd.devnet import canisters, fetch
from swapd.devnet.icp_world import CANISTERS, log_length
from swapd.devnet.network import Devnet
from swapd.devnet.rpc import JsonRpc
from swapd.devnet.state import DevnetState, ProcessId
from swapd.errors import SwapdError, Unavailable

_UP_SECONDS = 60.0  # it takes 2 on an idle machine
_DOWN_SECONDS = 40.0  # nodes, all at once, have 15 s each before they are killed, and some more
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class NodeStatus:
    """height: of the last block; on the Internet Computer, of the swap canister's log. None if nobody answers."""

    name: str
    running: bool
    height: int | None
    rpc_url: str


@dataclass(frozen=True)
class DevnetStatus:
    state: DevnetState
    supervisor_running: bool
    nodes: tuple[NodeStatus, ...]

    @property
    def healthy(self) -> bool:
        return self.supervisor_running and all(node.running and node.height is not None for node in self.nodes)


def up(
    folder: Path,
    *,
    detach: bool = False,
    block_seconds: float = 1.0,
    announce: Callable[[DevnetState], None] = lambda state: None,
) -> None:
    """Run a devnet in `folder` and call `announce` when it is ready.

    In the foreground this lasts until SIGINT, SIGTERM or `down`; detached it returns once the devnet is ready. Raises
    `Rejected` if one runs there already and `Unavailable` if it does not start, with what its log says.
    """
    fetch.bitcoind()  # here, where a person sees that something is being fetched or compiled
    fetch.anvil()
    for name in CANISTERS:
        canisters.built(name)
    if detach:
        announce(_detached(folder.absolute(), block_seconds))
    else:
        asyncio.run(_serve(Devnet(folder, block_seconds=block_seconds), announce))


def down(folder: Path) -> bool:
    """End the devnet in `folder`, by force if need be; False if none ran there. Only its own processes are touched."""
    state = DevnetState.read(folder)
    if state is None:
        return False
    found = any(process.alive() for process in state.processes())
    state.supervisor.send(signal.SIGTERM)
    if not state.supervisor.gone_within(_DOWN_SECONDS):
        state.supervisor.send(signal.SIGKILL)
    for process in state.processes():
        if not process.gone_within(1.0):  # the kernel ends the nodes with their supervisor
            process.send(signal.SIGKILL)
        if not process.gone_within(5.0):
            raise Unavailable(f"process {process.pid} of the devnet in {folder} cannot be ended")
    DevnetState.file(folder).unlink(missing_ok=True)
    return found


def status(folder: Path) -> DevnetStatus | None:
    """What runs in `folder`; None if no devnet does."""
    state = DevnetState.read(folder)
    return asyncio.run(_status(state)) if state else None


async def _status(state: DevnetState) -> DevnetStatus:
    cookie = Path(state.bitcoin.cookie_file)

    def auth() -> tuple[str, str]:
        user, password = cookie.read_text().split(":", 1)
        return user, password

    bitcoin = JsonRpc(state.bitcoin.rpc_url, auth)
    ethereum = JsonRpc(state.ethereum.rpc_url)
    heights: list[int | None] = [None, None, None]
    with contextlib.suppress(SwapdError):
        heights[0] = await bitcoin.call("getblockcount")
    with contextlib.suppress(SwapdError):
        heights[1] = int(await ethereum.call("eth_blockNumber"), 16)
    with contextlib.suppress(SwapdError):
        heights[2] = await log_length(state.icp)
    return DevnetStatus(
        state,
        state.supervisor.alive(),
        (
            NodeStatus("bitcoind", state.bitcoin.process.alive(), heights[0], state.bitcoin.rpc_url),
            NodeStatus("anvil", state.ethereum.process.alive(), heights[1], state.ethereum.rpc_url),
            NodeStatus("icp", state.icp.process.alive(), heights[2], state.icp.api_url),
        ),
    )


async def _serve(devnet: Devnet, announce: Callable[[DevnetState], None]) -> None:
    """Run until a signal or the end of a node, whichever comes first; signals count from before the start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    try:
        starting = asyncio.create_task(devnet.start())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return
        starting.result()
        announce(devnet.state)
        failing = asyncio.create_task(devnet.failure())
        await asyncio.wait([failing, stopping], return_when=asyncio.FIRST_COMPLETED)
        failed = failing.done()
        failing.cancel()
        if failed:
            raise failing.result()
    finally:
        stopping.cancel()
        await devnet.stop()


def _detached(folder: Path, block_seconds: float) -> DevnetState:
    """Start the supervisor as a process of its own and wait until it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "devnet.log"
    start_of_log = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), "--block-seconds", str(block_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    supervisor = ProcessId.of(child.pid)
    deadline = time.monotonic() + _UP_SECONDS
    try:
        while child.poll() is None and time.monotonic() < deadline:
            state = DevnetState.read(folder)
            if state is not None and state.supervisor == supervisor:
                return state
            time.sleep(_POLL_SECONDS)
    except BaseException:  # Ctrl-C while we wait: the caller does not want it any more
        child.terminate()
        raise
    problem = "ended" if child.poll() is not None else f"was not ready after {_UP_SECONDS:g} s"
    child.terminate()
    with log.open() as output:
        output.seek(start_of_log)
        said = output.read().strip()
    raise Unavailable(f"the devnet {problem}. Its log ({log}) says:\n{said}")


def main() -> None:
    """The supervisor process."""
    parser = argparse.ArgumentParser(
        prog="swapd.devnet.supervisor", description="Run a devnet until it is told to stop."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--block-seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    try:
        up(arguments.folder, block_seconds=arguments.block_seconds)
    except SwapdError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
