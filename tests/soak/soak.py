"""Random swaps and random faults for some minutes, then a calm in which everything ends, then the ledger."""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swapd.store import Store
from tests.crash.daemons import Server
from tests.crash.page import Page
from tests.crash.party import COINS, SATOSHI
from tests.crash.warmth import spare_certificates
from tests.soak.deals import Deals
from tests.soak.ledger import Ledger
from tests.soak.log import Log
from tests.soak.trader import FINALITY, Trader
from tests.soak.weather import SOON_SECONDS, Weather
from tests.soak.world import SoakWorld

NAMES = ("ann", "bob", "cat", "sleeper")
QUIET_BLOCKS = FINALITY + 2
"""Without any news, in calm weather: then nothing is under way, and all wait for a timelock."""

MOST_BLOCKS = 600
"""For everything to end, once all is well: many times what the longest swap needs."""

IDLE_SECONDS = 180.0
"""In which a daemon has done what there is to do after a block, on the busiest machine."""

LOOK_SECONDS = 0.005


@dataclass
class Soak:
    world: SoakWorld
    traders: list[Trader]
    dice: random.Random
    log: Log
    weather: Weather = field(init=False)
    deals: Deals = field(init=False)
    ledger: Ledger = field(init=False)
    blocks: int = 0
    jumps: int = 0
    _quiet: int = 0
    _progress: object = None

    def __post_init__(self) -> None:
        self.weather = Weather(self.world, self.traders, self.dice, self.log)
        self.deals = Deals(self.world, self.traders, self.dice, self.log)
        self.ledger = Ledger(self.world, self.traders, self.log)

    async def run(self, minutes: float, blocks: int | None) -> None:
        """For so long or so many blocks, and until everything has ended."""
        await self.ledger.open()
        for trader in self.traders:
            await trader.begin()
        await self._settle()
        end = self.log.seconds + minutes * 60
        while self.log.seconds < end if blocks is None else self.blocks < blocks:
            await self.weather.before_block(worth_it=self._quiet < 2)
            await self.deals.maybe()
            await self._block()
            await self._maybe_jump()
        await self._finish()

    async def _finish(self) -> None:
        """No more faults and no more swaps: those that there are have to end."""
        self.log.say("calm: everything has to end now")
        await self.weather.clear()
        await self.deals.wake()
        last = self.blocks + MOST_BLOCKS
        while self.deals.open and self.blocks < last:
            await self._block()
            await self._maybe_jump()
        for _ in range(FINALITY):
            await self._block()

    async def _block(self) -> None:
        """A minute, and everything that follows from it."""
        self.blocks += 1
        await self.weather.blocks()
        for trader in self.traders:
            trader.poke()
        await self._settle()
        await self.deals.step()
        progress = [trader.progress() for trader in self.traders]
        self._quiet = 0 if self.weather.stormy or progress != self._progress else self._quiet + 1
        self._progress = progress

    async def _maybe_jump(self) -> None:
        """If nothing goes on, move time to the next moment that means something to a swap."""
        if self._quiet < QUIET_BLOCKS:
            return
        self.deals.began_since_jump = 0
        self._quiet -= 2  # if that brings no news, the next comes soon
        moments = [moment for deal in self.deals.open for moment in deal.moments() if moment >= self.world.now]
        if moments:
            self.jumps += 1
            self.log.say(f"time moves on by {min(moments) + 1 - self.world.now} s")
            await self.world.reach(min(moments) + 1)
            for trader in self.traders:
                trader.poke()
            await self._settle()

    async def _settle(self) -> None:
        """Until every daemon that nothing disturbs has seen the last block, and has done all that there is to do."""
        began = time.monotonic()
        disturbed = any(trader.disturbed for trader in self.traders)
        least = max(self.weather.patience, SOON_SECONDS if disturbed else 0.0)
        while True:
            for trader in self.traders:
                if trader.notice():
                    self.log.violation(f"{trader.name}'s daemon ended by itself")
                    await trader.revive()
            striking = [task for task in self.weather.soon if not task.done()]
            busy = [trader for trader in self.traders if not trader.disturbed and not trader.idle()]
            passed = time.monotonic() - began
            if not striking and not busy and passed >= least:
                break
            if passed > IDLE_SECONDS:
                self.log.violation(f"busy for {passed:.0f} s: {'; '.join(trader.going_on() for trader in busy)}")
                break
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*self.weather.soon)
        self.weather.soon.clear()


@asynccontextmanager
async def soaking(folder: Path, page: Page, page_file: Path, seed: int, log: Log) -> AsyncIterator[Soak]:
    """Nodes, and traders with money."""
    spare_certificates()
    dice = random.Random(seed)
    async with Server(page_file) as server:
        world = SoakWorld(page=page)
        traders = [Trader(name, n, folder, world, server, random.Random(seed + n)) for n, name in enumerate(NAMES)]
        try:
            await world.begin()
            empty = folder / "empty.db"
            await Store.upgrade(f"sqlite:///{empty}")
            for trader in traders:
                addresses = await trader.found(empty)
                for _ in range(2):  # eight swaps at a time must not wait for each other's change
                    await world.pay(addresses, SATOSHI // COINS // 2)
            await world.allow([], [])
            await world.block()
            yield Soak(world, traders, dice, log)
        finally:
            for trader in traders:
                await trader.end()
            await world.end()


def main(page: Page, page_file: Path) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of swaps and faults; what is open then still ends")
    parser.add_argument("--blocks", type=int, default=None, help="instead: as much on every machine")
    parser.add_argument("--seed", type=int, default=None, help="of swaps and faults; drawn if there is none")
    parser.add_argument("--steal", action="store_true", help="take a wei from somebody: the ledger must notice")
    parser.add_argument("--keep", action="store_true", help="databases and logs, also if nothing was violated")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    folder = Path(tempfile.mkdtemp(prefix="swapd-soak-"))
    log = Log(folder / "soak.log")
    long = f"{asked.minutes:g} minutes" if asked.blocks is None else f"{asked.blocks} blocks"
    print(f"seed {seed}, {long}, logs in {folder}", flush=True)
    try:
        counted = asyncio.run(_play(folder, page, page_file, seed, asked, log))
    except BaseException:
        print(f"broken off; the logs are in {folder}")
        raise
    kept = asked.keep or bool(log.violations)
    if not kept:
        shutil.rmtree(folder)
    swaps, endings, faults = counted
    told = ", ".join(f"{number} {name}" for name, number in sorted(endings.items()))
    for violation in log.violations:
        print(f"VIOLATION seed {seed}: {violation}")
        for line in log.about(*re.findall(r"\bswap (\w{16})\b", violation)):
            print(f"  {line}")
    if kept:
        print(f"databases and logs are kept in {folder}")
    print(f"soak: {swaps} swaps ({told}), {faults.total()} faults, {len(log.violations)} violations")
    return 1 if log.violations else 0


async def _play(
    folder: Path, page: Page, page_file: Path, seed: int, asked: argparse.Namespace, log: Log
) -> tuple[int, Counter[str], Counter[str]]:
    async with soaking(folder, page, page_file, seed, log) as soak:
        await soak.run(asked.minutes, asked.blocks)
        if asked.steal:
            await soak.traders[0].lose_a_wei()
        lines = await soak.ledger.close(soak.deals.all)
        print("\n".join(lines))
        weather, deals = soak.weather, soak.deals
        print(f"{log.seconds:.0f} s, {soak.blocks} blocks, time moved on {soak.jumps} times")
        meant = Counter(deal.kind for deal in deals.all)
        print(f"swaps as they were meant: {', '.join(f'{kind} {n}' for kind, n in sorted(meant.items()))}")
        if deals.refused:
            print(f"swaps not begun: {', '.join(f'{n} {why}' for why, n in sorted(deals.refused.items()))}")
        met = sum((node.met for trader in soak.traders for node in trader.nodes.values()), Counter[str]())
        print(f"faults: {', '.join(f'{kind} {n}' for kind, n in sorted(weather.counted.items()))}")
        print(f"never: {', '.join(kind for kind in weather.kinds if not weather.counted[kind]) or 'none'}")
        print(f"questions to nodes that they fell on: {', '.join(f'{kind} {n}' for kind, n in sorted(met.items()))}")
        return len(deals.all), soak.ledger.endings, weather.counted
