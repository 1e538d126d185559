"""One swap's whole life on real nodes: calls, CPU seconds and reaction time of a daemon: `python -m bench.swap`.

Two daemons trade on a devnet with a block a second, each speaking to its nodes through proxies that count
(`bench/proxy.py`). What is quick there is swapd; what is slow is the chains, so wall time is given in blocks too.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from bench.proxy import Proxy
from swapd.cli.context import open_house, start_chains
from swapd.coordinator import agree
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.errors import Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, Wallet
from swapd.store import SwapRow

RESULT = Path(__file__).resolve().parent / "results" / "swap.json"

BITCOIN, ETHEREUM = "bitcoin", "ethereum"
CHAINS = (BITCOIN, ETHEREUM)
DIRECTIONS = (("BTC", "1000000", "ETH", "1000000000000000000"), ("ETH", "1000000000000000000", "BTC", "1000000"))
IDLE_BLOCKS = 15
AT_ONCE = 3
"""Swaps of each direction that run together, for more reaction times than the two alone give."""
OPEN_SWAPS = (0, 1, 20)
BLOCKS_TO_REST = 4
"""After a lock is in a block: two confirmations on devnet, and some more."""
PATIENCE_SECONDS = 60.0

SWEEP = {"SWAPD__DAEMON__SWEEP_SECONDS": "600"}
"""As by default. The devnet's 5 s would count the safety net below the watching along with the watching."""
TWO_CHAINS = {"SWAPD__CHAINS__ICP__ENABLED": "false"}
SLOW = {
    f"SWAPD__CHAINS__{chain.upper()}__TIMING__{margin}": seconds
    for chain in CHAINS
    for margin, seconds in (("INCLUSION", "60"), ("FUNDING_WINDOW", "900"))
}
"""For swaps that stay open while they are looked at."""

PERSON = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@dataclass(frozen=True)
class Moment:
    """What a daemon has used up to now: CPU seconds, calls by chain, and the heights of the chains."""

    at: float
    cpu: float
    seen: Mapping[str, int]
    heights: Mapping[str, int]


@dataclass
class Trader:
    """One swapd. daemon: runs behind the proxies. desk: gives orders, not counted. slow: the same, with wide terms."""

    devnet: Devnet
    daemon: Party
    desk: Party
    slow: Party
    proxies: Mapping[str, Proxy]

    @property
    def cpu(self) -> float:
        """CPU seconds of the daemon's process, user and system (proc(5): fields 14 and 15 of stat)."""
        fields = Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def now(self) -> Moment:
        heights = {BITCOIN: (await self.devnet.bitcoind.best())[0], ETHEREUM: (await self.devnet.anvil.best())[0]}
        return Moment(time.monotonic(), self.cpu, {c: len(p.requests) for c, p in self.proxies.items()}, heights)

    async def used_since(self, before: Moment) -> dict[str, Any]:
        """Calls by chain (in all, a block, a second), what they were, CPU seconds and their share of the time."""
        after = await self.now()
        seconds = after.at - before.at
        used: dict[str, Any] = {"seconds": round(seconds, 2), "cpu_seconds": round(after.cpu - before.cpu, 3)}
        used["cpu_seconds_per_minute"] = round(60 * (after.cpu - before.cpu) / seconds, 2)
        for chain, proxy in self.proxies.items():
            requests = proxy.requests[before.seen[chain] : after.seen[chain]]
            blocks = after.heights[chain] - before.heights[chain]
            used[chain] = {
                "blocks": blocks,
                "calls": len(requests),
                "calls_per_block": round(len(requests) / blocks, 2),
                "methods": dict(Counter(method for request in requests for method in request.methods).most_common()),
            }
        return used

    async def rows(self) -> dict[str, SwapRow]:
        async with self.desk.store() as store, store.read() as reading:
            return {row.id: row for row in (await reading.swaps()).swaps}

    async def claim_of(self, swap_id: str, role: Role) -> bytes:
        """The signed bytes of our claim of this leg, as they went out first."""
        async with self.desk.store() as store, store.read() as reading:
            effects = await reading.effects(swap_id)
        claims = (e for e in effects if e.effect.kind is EffectKind.CLAIM and e.effect.role is role)
        return next(claims).attempts[0].tx.raw


async def trader(stack: AsyncExitStack, name: str, folder: Path, devnet: Devnet) -> Trader:
    """A party with money on both chains and proxies before its daemon. The contract is still missing."""
    urls = {BITCOIN: devnet.bitcoind.rpc_url, ETHEREUM: devnet.anvil.rpc_url}
    proxies = {chain: await stack.enter_async_context(Proxy(url)) for chain, url in urls.items()}
    daemon, desk, slow = parties = [Party(name, folder, devnet.state) for _ in range(3)]
    for party in parties:
        party.overrides |= SWEEP | TWO_CHAINS
    slow.overrides |= SLOW
    daemon.overrides |= {f"SWAPD__CHAINS__{chain.upper()}__RPC_URL": proxy.url for chain, proxy in proxies.items()}
    await devnet.bitcoind.create_wallet(name)
    await desk.init()
    found = await desk.ask("wallet", "addresses")
    for _ in range(2 * max(OPEN_SWAPS)):  # coins of their own for locks that are sent together
        await devnet.bitcoind.fund(found[BITCOIN]["BTC"], 10_000_000, confirm=False)
    await devnet.anvil.set_balance(found[ETHEREUM]["ETH"], 100 * 10**18)
    return Trader(devnet, daemon, desk, slow, proxies)


async def begin(initiator: Trader, participant: Trader, direction: tuple[str, str, str, str]) -> str:
    """Agree on a swap; the daemons do the rest. Returns its id."""
    give, give_amount, get, get_amount = direction
    chain = {"BTC": BITCOIN, "ETH": ETHEREUM}
    keys = await participant.desk.ask("swap", "keys", "--receive-on", chain[give], "--send-on", chain[get])
    with tempfile.NamedTemporaryFile(suffix=".json") as offer:
        created = await initiator.desk.ask(
            *("swap", "create", "--give", give, "--give-amount", give_amount, "--get", get, "--get-amount", get_amount),
            *("--participant-refund-to", keys["refund_to"], "--participant-receive-at", keys["receive_at"]),
            *("--participant-claims-itself", "--offer", offer.name),
        )
        await participant.desk.ask("swap", "accept", offer.name, "--index", str(keys["index"]))
    return str(created["id"])


async def until(traders: Sequence[Trader], ids: Iterable[str], status: Status) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = {(index, swap_id) for index in range(len(traders)) for swap_id in ids}
    while waiting:
        for index, each in enumerate(traders):
            each.daemon.require_running()
            rows = await each.rows()
            waiting -= {(index, swap_id) for swap_id, row in rows.items() if row.status is status}
        if time.monotonic() > deadline:
            raise Unavailable(f"not {status.value} within {PATIENCE_SECONDS:g} s: {waiting}")
        await asyncio.sleep(0.2)


async def reaction(initiator: Trader, participant: Trader, swap_id: str) -> float:
    """Seconds from "the node has the claim that shows the secret" to "the other leg's claim is handed to its node"."""
    row = (await initiator.rows())[swap_id].terms
    shown = initiator.proxies[row.participant.terms.chain].broadcast_of(
        await initiator.claim_of(swap_id, Role.PARTICIPANT)
    )
    used = participant.proxies[row.initiator.terms.chain].broadcast_of(
        await participant.claim_of(swap_id, Role.INITIATOR)
    )
    return used.at - shown.answered


async def lives(initiator: Trader, participant: Trader) -> tuple[dict[str, Any], list[str]]:
    """One swap of each direction alone, with everything that either daemon uses for it."""
    found, ids = {}, []
    for direction in DIRECTIONS:
        before = [await each.now() for each in (initiator, participant)]
        start = time.monotonic()
        swap_id = await begin(initiator, participant, direction)
        agreed = time.monotonic()
        await until((initiator, participant), [swap_id], Status.COMPLETED)
        completed = time.monotonic()
        found[f"{direction[0]} → {direction[2]}"] = {
            "seconds": round(completed - start, 2),
            "seconds_after_agreement": round(completed - agreed, 2),
            "initiator": await initiator.used_since(before[0]),
            "participant": await participant.used_since(before[1]),
        }
        ids.append(swap_id)
    return found, ids


async def idle(owner: Trader) -> dict[str, Any]:
    before = await owner.now()
    await asyncio.sleep(IDLE_BLOCKS * owner.devnet.block_seconds)
    return await owner.used_since(before)


async def open_swaps(owner: Trader, count: int) -> None:
    """Swaps whose initiator leg is ours, locked and final, and whose other party takes its time."""
    receive_at = (await owner.desk.ask("wallet", "addresses"))[BITCOIN]["BTC"]
    person = agree.Side(Wallet.EXTERNAL, refund_to=PERSON, receive_at=receive_at)
    request = agree.Request("BTC", 100_000, "ETH", 10**17, agree.Side(Wallet.HOT), person)
    async with open_house(owner.slow.settings) as house:
        await start_chains(house)
        ids = [(await agree.create(house, request, "bench")).swap_id for _ in range(count)]
    await until([owner], ids, Status.INITIATOR_LOCKED)
    await asyncio.sleep(BLOCKS_TO_REST * owner.devnet.block_seconds)


async def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="swapd-bench-", ignore_cleanup_errors=True) as name:
        async with AsyncExitStack() as stack:
            devnet = await stack.enter_async_context(Devnet(Path(name) / "nodes"))
            initiator, participant = both = [
                await trader(stack, who, Path(name), devnet) for who in ("initiator", "participant")
            ]
            contract = (await initiator.desk.ask("contract", "deploy"))["contract"]
            for each in both:
                for party in (each.daemon, each.desk, each.slow):
                    party.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = contract
                stack.push_async_callback(each.daemon.stop)
                await each.daemon.start()
            return await _measure(devnet, initiator, participant)


async def _measure(devnet: Devnet, initiator: Trader, participant: Trader) -> dict[str, Any]:
    idling = {"0": await idle(initiator)}
    alone, ids = await lives(initiator, participant)
    together = [await begin(initiator, participant, each) for _ in range(AT_ONCE) for each in DIRECTIONS]
    await until((initiator, participant), together, Status.COMPLETED)
    reactions = [await reaction(initiator, participant, swap_id) for swap_id in [*ids, *together]]
    there = 0
    for count in OPEN_SWAPS[1:]:
        await open_swaps(initiator, count - there)
        idling[str(there := count)] = await idle(initiator)
    settings = initiator.daemon.settings.enabled_chains()
    return {
        "block_seconds": devnet.block_seconds,
        "poll_seconds": {name: chain.poll_seconds for name, chain in settings.items()},
        "idle_by_open_swaps": idling,
        "one_swap": alone,
        "reaction_seconds": {
            "swaps": len(reactions),
            "min": round(min(reactions), 3),
            "median": round(statistics.median(reactions), 3),
            "max": round(max(reactions), 3),
        },
    }


def tables(found: Mapping[str, Any]) -> Iterable[Table]:
    idling = found["idle_by_open_swaps"]
    calls = Table("open swaps", title="an idle daemon, a block a second")
    for heading in ("bitcoin calls a block", "ethereum calls a block", "CPU s a minute"):
        calls.add_column(heading, justify="right")
    for count, used in idling.items():
        per_block = (f"{used[chain]['calls_per_block']:g}" for chain in CHAINS)
        calls.add_row(count, *per_block, f"{used['cpu_seconds_per_minute']:g}")
    few, many = idling[str(OPEN_SWAPS[1])], idling[str(OPEN_SWAPS[-1])]
    ratios = (f"{many[chain]['calls_per_block'] / few[chain]['calls_per_block']:.2f}" for chain in CHAINS)
    cpu = many["cpu_seconds_per_minute"] / few["cpu_seconds_per_minute"]
    calls.add_row(f"{OPEN_SWAPS[-1]} / {OPEN_SWAPS[1]}", *ratios, f"{cpu:.2f}", style="bold")
    yield calls
    life = Table(Column("swap", no_wrap=True), Column("daemon", no_wrap=True), title="one swap's whole life")
    for heading in ("s", "agreed s", "blocks", "BTC calls", "ETH calls", "CPU s"):
        life.add_column(heading, justify="right")
    for direction, used in found["one_swap"].items():
        for who in ("initiator", "participant"):
            mine = used[who]
            numbers = (used["seconds"], used["seconds_after_agreement"], mine[BITCOIN]["blocks"])
            counts = (mine[BITCOIN]["calls"], mine[ETHEREUM]["calls"], mine["cpu_seconds"])
            life.add_row(direction, who, *(f"{number:g}" for number in (*numbers, *counts)))
    yield life
    spread = found["reaction_seconds"]
    react = Table("swaps", "min s", "median s", "max s", title="claim in the mempool → other leg's claim broadcast")
    react.add_row(*(f"{spread[name]:g}" for name in ("swaps", "min", "median", "max")))
    yield react


def main() -> None:
    found = asyncio.run(measure())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    for table in tables(found):
        Console().print(table)


if __name__ == "__main__":
    main()
