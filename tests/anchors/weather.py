"""What a node or a miner may do to us: blocks that leave transactions out, and answers that are wrong."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.chains.ethereum.proxy import Proxy
from tests.scenarios.rig import DIRECTIONS, Direction, Rig
from tests.scenarios.side import Side

NOTHING = math.inf


def one_way(first: Direction) -> pytest.MarkDecorator:
    """In this direction in every run, in the other one too with `-m full`."""
    other = next(direction for direction in DIRECTIONS if direction != first)
    return pytest.mark.parametrize(
        "direction", [first, pytest.param(other, marks=pytest.mark.full)], indirect=True, ids=str
    )


@contextmanager
def miners_take(rig: Rig, least: float) -> Iterator[None]:
    """While it lasts, Bitcoin's blocks leave out what pays less than so many sat/vB. `NOTHING`: they are empty."""
    chains = rig.chains

    async def picky() -> None:
        await chains.bitcoind.set_time(chains.now)
        pool: dict[str, Any] = await chains.bitcoind.rpc("getrawmempool", True)
        paying = {txid: tx for txid, tx in pool.items() if float(tx["fees"]["base"]) * 10**8 >= least * tx["vsize"]}
        taken = sorted(paying, key=lambda txid: pool[txid]["ancestorcount"])
        miner = await chains.bitcoind.rpc("getnewaddress", wallet="miner")
        await chains.bitcoind.rpc("generateblock", miner, taken)

    chains.bitcoin_block = picky  # type: ignore[method-assign]
    try:
        yield
    finally:
        del chains.bitcoin_block  # the class has its own


@asynccontextmanager
async def behind_proxies(rig: Rig, side: Side) -> AsyncIterator[dict[str, Proxy]]:
    """This side, begun anew, sees each chain through a proxy."""
    targets = {"bitcoin": rig.chains.bitcoind.rpc_url, "ethereum": rig.chains.anvil.rpc_url}
    async with AsyncExitStack() as stack:
        proxies = {name: await stack.enter_async_context(Proxy(target)) for name, target in targets.items()}
        for name, proxy in proxies.items():
            side.more[f"SWAPD__CHAINS__{name.upper()}__RPC_URL"] = proxy.url
        await side.restart()
        yield proxies
        for name in proxies:
            del side.more[f"SWAPD__CHAINS__{name.upper()}__RPC_URL"]
        await side.restart()
