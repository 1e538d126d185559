"""Runs, many at a time on the same nodes: played in step, daemons started again as they die, all counted at the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swapd.devnet.money import NOBODY, Count, count, fees
from swapd.errors import SwapdError
from swapd.protocol.terms import Role
from tests.crash.party import Party
from tests.crash.points import points
from tests.crash.situations import SITUATIONS, Situation, Stage, Step, Story
from tests.crash.world import World
from tests.scenarios.rig import AMOUNTS, CHAIN, Direction

IDLE_SECONDS = 600.0
"""In which a daemon has surely started and done what there is to do after a block, on the busiest machine."""

LOOK_SECONDS = 0.02
MOST_STEPS = 60
"""Blocks and moments of one run: more than three times of what the longest needs."""


@dataclass(frozen=True)
class Cell:
    """point: None to count all points and die at none."""

    pair: Direction
    situation: str
    point: str | None = None
    hit: int = 0

    def __str__(self) -> str:
        where = f"{self.point} #{self.hit}, " if self.point else "no kill, "
        return f"{where}{self.pair.give}-{self.pair.get}, {self.situation}"

    @property
    def arguments(self) -> str:
        """What plays it alone."""
        point = f" --point {self.point} --hit {self.hit}" if self.point else ""
        return f"--pair {self.pair.give}-{self.pair.get} --ending {self.situation}{point}"


@dataclass
class Run:
    """hits: of each point, the most that one of the daemons had. violations: in words, for people."""

    cell: Cell
    was_hit: bool = False
    hits: Mapping[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


@dataclass
class _Player:
    """One run being played."""

    run: Run
    stage: Stage
    situation: Situation
    story: Story | None = None
    wants: Step = None
    over: bool = False
    left: bool = False

    @property
    def parties(self) -> tuple[Party, ...]:
        return self.stage.parties[:1] if self.situation.alone else self.stage.parties

    async def prepare(self) -> None:
        cell, initiator = self.run.cell, self.stage.initiator
        chains = [name for name in ("bitcoin", "ethereum", "icp") if name in _chains(cell.pair, self.situation)]
        for party in self.stage.parties:
            mine = self.situation.prelude if party is initiator else None
            party.daemon.prepare(cell.point, cell.hit, mine)
            await party.open(chains, boards="icp" in chains)
        if not self.situation.alone:
            await self.stage.agreed()
        for party in self.parties:
            await party.daemon.start()
        self.story = self.situation.tell(self.stage)

    async def go_on(self) -> None:
        """The next step of the story, when everybody is idle, and the moment has come that it waits for."""
        assert self.story is not None
        if self.wants is not None and self.stage.world.now < self.wants:
            return
        try:
            self.wants = await anext(self.story)
        except StopAsyncIteration:
            self.over = True

    async def revive(self) -> None:
        """Start again what died, unless the story does it."""
        for party in self.parties:
            if party.daemon.died() and not (self.situation.late and party.daemon.prelude and not party.daemon.was_hit):
                await party.daemon.start()

    def give_up(self, why: str) -> None:
        self.run.violations.append(f"{why}: " + "; ".join(party.going_on() for party in self.parties))
        self.over = True

    def idle(self) -> bool:
        return self.over or all(party.idle() for party in self.parties)

    async def leave(self) -> None:
        """Its daemons are not needed any more."""
        self.left = True
        for party in self.parties:
            party.daemon.died()
            self.run.violations += party.daemon.mishaps + party.daemon.mistakes()
            await party.daemon.kill()
        daemons = [party.daemon for party in self.parties]
        self.run.was_hit = any(daemon.was_hit for daemon in daemons)
        counted = [daemon.hits() for daemon in daemons]
        self.run.hits = {name: max(hits[i] for hits in counted) for i, name in enumerate(points())}


class Table:
    """parties: two for each run at a time, initiator and participant."""

    def __init__(self, world: World, parties: Sequence[tuple[Party, Party]]) -> None:
        self.world = world
        self.parties = parties

    async def play(self, cells: Sequence[Cell]) -> list[Run]:
        """All of them at once, at most as many as there are pairs of parties."""
        players = [
            _Player(Run(cell), Stage(self.world, cell.pair, *pair), SITUATIONS[cell.situation])
            for cell, pair in zip(cells, self.parties, strict=False)
        ]
        assert len(players) == len(cells)
        accounts = [party.account for player in players for party in player.stage.parties]
        before = await count(self.world.counted, accounts)
        try:
            await asyncio.gather(*(player.prepare() for player in players))
            await self._play(players)
            await self.world.block()
            await self._audit(players, before)
        finally:
            await asyncio.gather(*(party.close() for player in players for party in player.stage.parties))
        return [player.run for player in players]

    async def _play(self, players: Sequence[_Player]) -> None:
        going = list(players)
        for _ in range(MOST_STEPS):
            await self._settle(going)
            for player in players:
                if not player.over:
                    try:
                        await player.go_on()
                    except (SwapdError, AssertionError) as error:
                        player.give_up(f"the story broke off ({type(error).__name__}: {error})")
            for player in players:
                if player.over and not player.left:
                    await player.leave()
            going = [player for player in players if not player.over]
            if not going:
                return
            self.world.holding = any(player.stage.holding for player in going)
            moments = [player.wants for player in going if player.wants is not None]
            if len(moments) == len(going):
                await self.world.reach(min(moments))
            else:
                await self.world.block()
            for player in going:
                for party in player.parties:
                    party.daemon.poke()
        for player in going:
            player.give_up(f"not over after {MOST_STEPS} steps")
            await player.leave()

    async def _settle(self, players: Sequence[_Player]) -> None:
        """Until every daemon is up and has done what there is to do."""
        deadline = time.monotonic() + IDLE_SECONDS
        while True:
            for player in players:
                if not player.over:
                    await player.revive()
            if all(player.idle() for player in players):
                return
            if time.monotonic() > deadline:
                for player in players:
                    if not player.idle():
                        player.give_up(f"busy for {IDLE_SECONDS:g} s")
                return
            await asyncio.sleep(LOOK_SECONDS)

    # -- afterwards ------------------------------------------------------------------------------------------------

    async def _audit(self, players: Sequence[_Player], before: Count) -> None:
        """Statuses, audit chains, locks and money."""
        coins = self.world.counted
        accounts = [party.account for player in players for party in player.stage.parties]
        payers: dict[str, str] = {}
        for player in players:
            for party in player.parties:
                try:
                    payers |= await _books(player, party)
                except SwapdError as error:
                    player.run.violations.append(f"{party.name}: {error}")
        after = await count(coins, accounts)
        spent = await fees(coins, before, after, accounts, payers)
        locks: Counter[str] = Counter()
        for coin in coins:
            symbol = coin.asset.symbol
            locks.update(await self.world.locks(coin, before.heights[symbol] + 1, after.heights[symbol]))
        for player in players:
            for party in player.stage.parties:
                for coin in coins:
                    symbol, name = coin.asset.symbol, party.name
                    gain = after.had[symbol][name] - before.had[symbol][name] + spent.paid[symbol][name]
                    expected = _expected(player, party, symbol)
                    if gain != expected:
                        player.run.violations.append(f"{name} gained {gain} {symbol} instead of {expected}")
            self._count_locks(player, locks)
        unknown = {symbol: paid[NOBODY] for symbol, paid in spent.paid.items() if paid[NOBODY]}
        held = {symbol: after.held[symbol] - before.held[symbol] for symbol in after.held}
        if unknown or any(held.values()):
            for player in players:
                player.run.violations.append(
                    f"in one of {len(players)} runs at a time: paid by nobody known {unknown}, left in contracts {held}"
                )

    def _count_locks(self, player: _Player, locks: Mapping[str, int]) -> None:
        terms = player.stage.terms
        if terms is None:
            return
        house = player.stage.initiator.house
        for role, wanted in zip(Role, player.situation.locks, strict=True):
            leg = terms.leg(role).terms
            made = locks[house.chain(leg.chain).fingerprint(leg)]
            if made != wanted:
                player.run.violations.append(f"{made} locks of the {role.value} leg on {leg.chain} instead of {wanted}")


async def _books(player: _Player, party: Party) -> dict[str, str]:
    """Check a party's database; who sent what, by txid."""
    async with party.house.store.read() as reading:
        await reading.verify_audit()
        found = await reading.swaps()
        effects = [each for row in found.swaps for each in await reading.effects(row.id)]
    violations = player.run.violations
    violations += [f"{party.name}: {damaged}" for damaged in found.damaged]
    expected = [player.situation.ends] if player.stage.swap_id else []
    if [row.status for row in found.swaps] != expected:
        violations.append(f"{party.name} ends with {[(row.status.value, row.note, row.reason) for row in found.swaps]}")
    return {attempt.tx.txid: party.name for effect in effects for attempt in effect.attempts}


def _expected(player: _Player, party: Party, symbol: str) -> int:
    pair = player.run.cell.pair
    if not player.situation.moves or symbol not in (pair.give, pair.get):
        return 0
    gives = symbol == pair.give if party is player.stage.initiator else symbol == pair.get
    return -AMOUNTS[symbol] if gives else AMOUNTS[symbol]


def _chains(pair: Direction, situation: Situation) -> set[str]:
    return {CHAIN[pair.give], CHAIN[pair.get], *(["icp"] if situation.alone else [])}
