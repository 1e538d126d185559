"""Which runs there are: every point, every ordered pair, every ending, and the first, second, third … hit of it.

First each pair and ending is played once without a kill: that counts how often a daemon comes by each point, and is
the run that is not hit for those that it never comes by. Then each point is deadly at each of these hits, and at one
more until a run is not hit.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swapd.chains.icp.principal import parse
from swapd.store import Store
from tests.crash.daemons import Server
from tests.crash.ledger import Ledger
from tests.crash.page import SLOTS, Page
from tests.crash.party import COINS, SATOSHI, Party
from tests.crash.play import Cell, Run, Table
from tests.crash.points import points
from tests.crash.situations import BESIDE, MAIN, Situation
from tests.crash.warmth import spare_certificates
from tests.crash.world import World
from tests.scenarios.rig import PAIRS, Direction
from tests.tables import compare_once

JOBS = 4
"""Runs at a time: they keep two processors busy; more get in each other's way."""


@dataclass(frozen=True)
class Asked:
    """What of the matrix is played. sample: so many runs, drawn with the seed; most: the last hit that is tried."""

    pairs: Sequence[Direction]
    endings: Sequence[str]
    points: Sequence[str]
    seed: int
    sample: int | None
    most: int | None
    hit: int | None
    jobs: int
    ledger: Path | None = None


@dataclass
class Outcome:
    runs: list[Run] = field(default_factory=list)
    bounded: int = 0
    """Cells of which the last hits were left out, because of `most`."""

    @property
    def violations(self) -> list[str]:
        return [f"{run.cell}: {said}" for run in self.runs for said in run.violations]


@asynccontextmanager
async def table(folder: Path, page: Page, page_file: Path, jobs: int) -> AsyncIterator[Table]:
    """Nodes, and parties with money."""
    assert 2 * jobs <= SLOTS
    spare_certificates()
    compare_once()
    async with Server(page_file) as server:
        world = World(page=page)
        try:
            await world.begin()
            empty = folder / "empty.db"
            await Store.upgrade(f"sqlite:///{empty}")
            parties: list[tuple[Party, Party]] = []
            for n in range(jobs):
                market = await world.open_marketplace()
                first = Party(f"initiator-{n}", 2 * n, folder, world, server, market)
                parties.append((first, Party(f"participant-{n}", 2 * n + 1, folder, world, server, market)))
            everybody = [party for pair in parties for party in pair]
            addresses = [address for party in everybody for address in await party.found(empty)]
            await world.pay(addresses, SATOSHI // COINS)
            owners = [parse("principal", party.account.at["icp"]) for party in everybody]
            await world.allow([pair[0].market for pair in parties], owners)
            await world.block()
            yield Table(world, parties)
        finally:
            await world.end()


class Matrix:
    def __init__(self, asked: Asked, seats: Table) -> None:
        self.asked = asked
        self.table = seats
        self.outcome = Outcome()
        self.dice = random.Random(asked.seed)
        self.ledger = Ledger(asked.ledger)

    async def play(self) -> Outcome:
        counts = await self._census()
        cells = self._sample(counts) if self.asked.sample is not None else self._all(counts)
        await self._run(cells, mixed=self.asked.sample is not None)
        if self.asked.sample is None and self.asked.hit is None:
            await self._one_more(counts)
        return self.outcome

    async def _census(self) -> dict[Cell, Run]:
        """Each pair and ending without a kill."""
        cells = [
            Cell(pair, situation.name)
            for situation in (*MAIN, *BESIDE)
            if situation.name in self.asked.endings
            for pair in self._pairs(situation)
            if pair.give in situation.gives
        ]
        return {run.cell: run for run in await self._run(cells, mixed=True)}

    def _pairs(self, situation: Situation) -> Sequence[Direction]:
        """All that were asked for. For a sample, so few that every point is still come by."""
        pairs = self.asked.pairs
        if self.asked.sample is None or len(pairs) < len(PAIRS):
            return pairs
        if situation.late:  # what is called off is different on each
            return [self.dice.choice([pair for pair in pairs if pair.give == give]) for give in ("BTC", "ETH")]
        if situation not in MAIN:
            return [self.dice.choice([pair for pair in pairs if pair.give in situation.gives])]
        first = self.dice.choice(pairs)
        return [first, self.dice.choice([pair for pair in pairs if {first.give, first.get} != {pair.give, pair.get}])]

    def _all(self, counts: dict[Cell, Run]) -> list[Cell]:
        """The first hits of all before the second of any."""
        found = [cell for cell in self._cells(counts) if self.asked.most is None or cell.hit <= self.asked.most]
        if self.asked.hit is not None:
            found = [cell for cell in found if cell.hit == self.asked.hit]
        return sorted(found, key=lambda cell: cell.hit)

    def _cells(self, counts: dict[Cell, Run]) -> Iterator[Cell]:
        for empty, point, hits in self._hits(counts):
            for hit in range(1, hits + 1):
                yield Cell(empty.pair, empty.situation, point, hit)

    def _hits(self, counts: dict[Cell, Run]) -> Iterator[tuple[Cell, str, int]]:
        """In a situation beside the main ones, only the points that a pair has in none of those."""
        main = {situation.name for situation in MAIN}
        usual = {(c.pair, p) for c, run in counts.items() if c.situation in main for p in run.hits if run.hits[p]}
        for empty, run in counts.items():
            for point in self.asked.points:
                if run.hits.get(point) and (empty.situation in main or (empty.pair, point) not in usual):
                    yield empty, point, run.hits[point]

    def _sample(self, counts: dict[Cell, Run]) -> list[Cell]:
        """As many different points as there are runs, or all of them."""
        of: dict[str, list[tuple[Cell, int]]] = defaultdict(list)
        for empty, point, hits in self._hits(counts):
            of[point].append((empty, hits))
        names = sorted(of)
        self.dice.shuffle(names)
        found = []
        for number in range(self.asked.sample or 0):
            point = names[number % len(names)]
            empty, hits = self.dice.choice(of[point])
            found.append(Cell(empty.pair, empty.situation, point, self.dice.randint(1, hits)))
        return found

    async def _one_more(self, counts: dict[Cell, Run]) -> None:
        """Go on after the hits that were counted, until a run is not hit: it may come by more often when it dies."""
        going = [Cell(empty.pair, empty.situation, point, hits + 1) for empty, point, hits in self._hits(counts)]
        while going:
            if self.asked.most is not None:
                self.outcome.bounded += sum(cell.hit > self.asked.most for cell in going)
                going = [cell for cell in going if cell.hit <= self.asked.most]
            runs = await self._run(going, mixed=True)
            going = [
                Cell(run.cell.pair, run.cell.situation, run.cell.point, run.cell.hit + 1) for run in runs if run.was_hit
            ]

    async def _run(self, cells: Sequence[Cell], *, mixed: bool) -> list[Run]:
        """In batches of one situation, which wait for the same blocks and moments, unless there are only few."""
        done = [run for cell in cells if (run := self.ledger.known(cell)) is not None]
        self.outcome.runs += done
        there = {run.cell for run in done}
        for batch in _batches((cell for cell in cells if cell not in there), self.asked.jobs, mixed=mixed):
            began = time.monotonic()
            runs = await self.table.play(batch)
            done += runs
            self.outcome.runs += runs
            self.ledger.add(runs)
            wrong = [said for run in runs for said in run.violations]
            print(
                f"{len(self.outcome.runs)} runs, {len(runs)} in {time.monotonic() - began:.1f} s "
                f"({runs[0].cell} …), {len(wrong)} violations",
                flush=True,
            )
            for run in runs:
                for said in run.violations:
                    print(
                        f"VIOLATION {run.cell}: {said}\n  again: python -m tests.crash {run.cell.arguments}", flush=True
                    )
        return done


def _batches(cells: Iterable[Cell], size: int, *, mixed: bool) -> Iterator[list[Cell]]:
    waiting: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        kind = "" if mixed and cell.situation != "stuck" else cell.situation
        waiting[kind].append(cell)
        if len(waiting[kind]) == size:
            yield waiting.pop(kind)
    yield from waiting.values()


def never_hit(outcome: Outcome) -> list[str]:
    """Points that no run ever came by."""
    seen = {point for run in outcome.runs for point, hits in run.hits.items() if hits}
    return [point for point in points() if point not in seen]


def main(page: Page, page_file: Path) -> int:
    asked = _asked()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="swapd-crash-", ignore_cleanup_errors=True) as folder:
        outcome = asyncio.run(_play(asked, Path(folder), page, page_file))
    violations = outcome.violations
    whole = set(asked.points) == set(points()) and set(asked.endings) >= {s.name for s in (*MAIN, *BESIDE)}
    if whole:
        violations += [f"no run ever comes by the point {name}" for name in never_hit(outcome)]
    for said in violations:
        print(f"VIOLATION {said}")
    seconds = time.monotonic() - began
    deaths = sum(run.was_hit for run in outcome.runs)
    print(f"{deaths} runs had a daemon killed; {seconds:.0f} s, {seconds / max(1, len(outcome.runs)):.2f} s a run")
    if asked.sample is not None:
        print(f"a sample with seed {asked.seed}: `make crash-matrix` plays them all")
    if outcome.bounded:
        print(f"NOT ALL: {outcome.bounded} cells go on after hit {asked.most}")
    print(f"crash matrix: {len(asked.points)} points, {len(outcome.runs)} runs, {len(violations)} violations")
    return 1 if violations else 0


async def _play(asked: Asked, folder: Path, page: Page, page_file: Path) -> Outcome:
    async with table(folder, page, page_file, asked.jobs) as seats:
        return await Matrix(asked, seats).play()


def _asked() -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    endings = [situation.name for situation in (*MAIN, *BESIDE)]
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--sample", type=int, help="so many runs with a kill, drawn with the seed")
    parser.add_argument("--point", action="append", choices=points(), help="these points only")
    parser.add_argument("--pair", action="append", help="these pairs only, as BTC-ETH")
    parser.add_argument("--ending", action="append", choices=endings, help="these situations only")
    parser.add_argument("--hit", type=int, help="this hit only")
    parser.add_argument("--most", type=int, help="no hit after this one; says what was left out")
    parser.add_argument("--jobs", type=int, default=JOBS, help="runs at a time")
    parser.add_argument("--ledger", type=Path, help="a file: what was played with the same code is not played again")
    given = parser.parse_args()
    known = {f"{pair.give}-{pair.get}": pair for pair in PAIRS}
    return Asked(
        pairs=[known[name] for name in given.pair or known],
        endings=given.ending or endings,
        points=given.point or points(),
        seed=given.seed,
        sample=given.sample,
        most=given.most,
        hit=given.hit,
        jobs=given.jobs,
        ledger=given.ledger,
    )
