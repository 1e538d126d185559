"""What the swap canister costs with few and with many swaps in it, and how quick it is: `python -m bench.icp`.

Instructions and cycles are those of this project's replica (wasmtime's fuel, the IC's prices): good for ratios, and
near the real figures. Both sizes are measured in one run. The first run on a machine fills a canister with a hundred
thousand swaps, which takes a while, and keeps it in the cache.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.icp_swaps import CONTROLLER, PACE, Swap, Swaps, Used, filled
from swapd.chains.icp import candid
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.candid.types import Blob
from swapd.chains.icp.canister import COMPLETE, SwapCanister
from swapd.chains.icp.escrow import Escrow, Phase
from swapd.chains.icp.interface import GetSwapReply
from swapd.devnet.canisters import built
from swapd.devnet.icp import Icp
from swapd.vault.derivation import Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault
from tests.canister.words import Config

RESULT = Path(__file__).resolve().parent / "results" / "icp.json"

SIZES = (10, 100_000)
ROUNDS = 200
"""Of two swaps each, one claimed and one refunded: enough for the garbage collector to come by."""
LOOKS, CALLS = 200, 60
"""Queries and updates over HTTP."""
TARGET = 1.2
"""What a call may cost with many swaps, of what it costs with few."""

Figures = dict[str, Any]


def measure(size: int, folder: Path) -> Figures:
    """All figures of one size. `folder` is free to be used."""
    swaps, seconds = filled(size)
    figures: Figures = {"fill_seconds": round(seconds, 1)}
    figures["open_swaps"] = swaps.health()["open_swaps"]
    figures["memory"] = memory(swaps)
    figures["get_swap"] = get_swap(swaps, size)
    figures["calls"], figures["collections"] = calls(swaps)
    figures["http"] = over_http(swaps, folder)
    figures["upgrade"] = upgrade(swaps)
    return figures


def memory(swaps: Swaps) -> Figures:
    """Bytes, and what a day of them costs."""
    canister, token = swaps.replica.canister(swaps.canister), swaps.replica.canister(swaps.ledger)
    return {
        "heap": canister.heap_bytes,
        "stable": len(canister.stable),
        "cycles_a_day": canister.costs.storage(canister.memory_bytes, 86_400),
        "ledger_heap": token.heap_bytes,
    }


def get_swap(swaps: Swaps, size: int) -> Figures:
    """Bytes of the answer and of the witness in it, and instructions of the query."""
    numbers = random.Random(size).choices(range(size), k=ROUNDS)
    found: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        swap_id = candid.encode(Blob, swaps.swap(number).id)
        answer = swaps.replica.query(swaps.canister, "getSwap", swap_id, CONTROLLER)
        found["instructions"].append(swaps.replica.canister(swaps.canister).instructions_used)
        found["answer_bytes"].append(len(answer))
        found["witness_bytes"].append(len(candid.decode(GetSwapReply, answer)["witness"]))
    return {name: spread(values) for name, values in found.items()}


def calls(swaps: Swaps) -> tuple[Figures, Figures]:
    """Of each call, all its messages: instructions and cycles of the canister, instructions of the ledger. And how
    often garbage was collected meanwhile, how full the heap was before the last time and after it, in bytes."""
    used: dict[str, list[Used]] = defaultdict(list)
    heaps = [swaps.health()["heap_bytes"]]
    for _ in range(ROUNDS):
        for end in (swaps.complete, swaps.refund):
            swap = swaps.swap(swaps.count)
            used["initiate"].append(swaps.begin(swap))
            used[end.__name__].append(end(swap))
            heaps.append(swaps.health()["heap_bytes"])
            swaps.replica.advance(PACE)
    collected = [(before, after) for before, after in itertools.pairwise(heaps) if after < before]
    before, after = collected[-1] if collected else (heaps[-1], heaps[-1])
    figures = {
        name: {
            "instructions": spread([each.instructions[swaps.canister] for each in all_]),
            "cycles": spread([each.cycles[swaps.canister] for each in all_]),
            "ledger_instructions": spread([each.instructions[swaps.ledger] for each in all_]),
        }
        for name, all_ in used.items()
    }
    return figures, {"count": len(collected), "heap_before": before, "heap_after": after}


def upgrade(swaps: Swaps) -> Figures:
    """To the same module, in this process."""
    config = candid.encode(Config, swaps.health()["config"])
    wasm = built("atomic_swap").wasm
    begin = time.perf_counter()
    swaps.replica.install(swaps.canister, wasm, config, CONTROLLER, mode="upgrade")
    seconds = time.perf_counter() - begin
    instructions = swaps.replica.canister(swaps.canister).instructions_used
    assert swaps.health()["swaps"] == swaps.count
    return {"seconds": round(seconds, 3), "instructions": instructions}


def over_http(swaps: Swaps, folder: Path) -> Figures:
    """Milliseconds through swapd's own agent: a swap with its proof verified; a claim until its end is certified.

    The replica runs in a process of its own, with a copy of the state, in which time stands still.
    """
    locked = swaps.more(CALLS)
    swaps.replica.save(folder / "state")
    looked_at = [swaps.swap(number) for number in random.Random(0).choices(range(swaps.count), k=LOOKS)]
    return asyncio.run(_over_http(swaps, folder, looked_at, locked))


async def _over_http(swaps: Swaps, folder: Path, looked_at: Sequence[Swap], locked: Sequence[Swap]) -> Figures:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    now = swaps.replica.now_ns
    queries, updates = [], []
    async with Icp(folder) as node:
        agent = Agent(node.url, vault, root_key=await node.root_key(), timeout=10, max_age=60, now_ns=lambda: now)
        canister = SwapCanister(agent, Escrow(swaps.canister))
        try:
            for swap in looked_at:
                begin = time.perf_counter()
                assert await canister.swap(swap.id) is not None
                queries.append(time.perf_counter() - begin)
            for swap in locked:
                begin = time.perf_counter()
                await agent.call(swaps.canister, COMPLETE, canister.complete(swap.id, swap.secret))
                updates.append(time.perf_counter() - begin)
            ended = await canister.swap(locked[-1].id)
            assert ended is not None
            assert ended.phase is Phase.CLAIMED
        finally:
            await agent.close()
            vault.close()
    return {"query_ms": latency(queries), "update_ms": latency(updates)}


def spread(values: Sequence[int]) -> Figures:
    """One call in some hundreds has the garbage collector in it: that is the max, and its part in the mean."""
    p99 = statistics.quantiles(values, n=100)[-1]
    figures = {"median": statistics.median(values), "p99": p99, "mean": statistics.mean(values), "max": max(values)}
    return {name: round(figure) for name, figure in figures.items()}


def latency(seconds: Sequence[float]) -> Figures:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return {"median": round(1_000 * statistics.median(seconds), 2), "p95": round(1_000 * p95, 2)}


# --- what is shown ---------------------------------------------------------------------------------------------------


def growth(few: Mapping[str, Any], many: Mapping[str, Any]) -> dict[str, Any]:
    """Each figure with many swaps, divided by the same one with few."""
    return {
        name: growth(value, many[name]) if isinstance(value, Mapping) else round(many[name] / value, 3)
        for name, value in few.items()
        if isinstance(value, Mapping) or value
    }


def tables(found: Mapping[str, Any]) -> Iterable[Table]:
    few, many = (found["by_swaps"][str(size)] for size in SIZES)
    ratio = found["growth"]
    costs = Table("call", title=f"A call with {SIZES[0]:,} and with {SIZES[1]:,} swaps stored")
    for heading in ("of", "", f"{SIZES[0]:,}", f"{SIZES[1]:,}", "growth"):
        costs.add_column(heading, justify="right")
    for call, figures in few["calls"].items():
        for figure, spreads in figures.items():
            for name in spreads:
                grown = ratio["calls"][call][figure][name]
                colour = "dim" if figure.startswith("ledger") else "green" if grown <= TARGET else "red"
                after = many["calls"][call][figure][name]
                costs.add_row(call, figure, name, f"{spreads[name]:,}", f"{after:,}", f"[{colour}]{grown:.2f}")
    yield costs
    others = Table("figure", title="Everything else")
    for heading in (f"{SIZES[0]:,}", f"{SIZES[1]:,}", "growth"):
        others.add_column(heading, justify="right")
    for name, (before, after, grown) in _rows(few, many, ratio):
        others.add_row(name, f"{before:,}", f"{after:,}", f"{grown:.2f}")
    yield others


def _rows(few: Any, many: Any, ratio: Any, path: str = "") -> Iterable[tuple[str, tuple[float, float, float]]]:
    for name, value in few.items():
        if name in ("calls", "fill_seconds") or name not in ratio:
            continue
        where = f"{path} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _rows(value, many[name], ratio[name], where)
        else:
            yield where, (value, many[name], ratio[name])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="swapd-bench-") as name:
        by_swaps = {str(size): measure(size, Path(name) / str(size)) for size in SIZES}
    few, many = by_swaps.values()
    found = {"module": built("atomic_swap").hash, "rounds": ROUNDS, "by_swaps": by_swaps, "growth": growth(few, many)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    for table in tables(found):
        Console().print(table)


if __name__ == "__main__":
    main()
