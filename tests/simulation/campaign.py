"""Many swaps, a batch under the same sky, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from swapd.protocol.terms import Role
from tests.simulation import weaken
from tests.simulation.blocks import draw
from tests.simulation.game import Game, Outcome
from tests.simulation.setup import places

BATCH = 250
"""Swaps that share one history of blocks. Prices, absences, reorgs and the other side are each swap's own."""

SPAN = 3 * 86_400
"""Seconds within which the swaps of a batch begin."""

LONGEST = 3 * 86_400
"""Seconds that the longest swap takes, with what is played after its end."""

START = 1_800_000_000


@dataclass(frozen=True)
class Batch:
    """A piece of work for one process; its results depend on nothing else."""

    pair: str
    seed: int
    number: int
    swaps: int
    weakened: str = ""


MARGINS = ("reveal before T_p", "claim final before its refund", "refund after it was due")
"""Seconds: from showing our secret until the participant leg's timelock; from our claim's being final until the chain
would take a refund of that leg, below zero if it got there first and was claimed all the same; from our refund's being
due until it was in a block."""


@dataclass
class Tally:
    """Sums over swaps. worst: name of a margin -> (seconds, which swap)."""

    swaps: int = 0
    losses: list[str] = field(default_factory=list)
    both: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    worst: dict[str, tuple[float, str]] = field(default_factory=dict)

    def add(self, outcome: Outcome, name: str) -> None:
        self.swaps += 1
        self.both += outcome.both
        self.endings[f"own {outcome.own}, counter {outcome.counter}"] += 1
        if outcome.loss:
            self.losses.append(f"{name}: swapd funds the {outcome.honest} leg; {outcome.plan}")
        measured = (outcome.reveal_margin, outcome.claim_margin, outcome.refund_latency)
        for what, seconds in zip(MARGINS, measured, strict=True):
            if seconds is not None:
                self._note(what, (seconds, name))

    def _note(self, what: str, found: tuple[float, str]) -> None:
        known = self.worst.setdefault(what, found)
        self.worst[what] = max(known, found) if what == MARGINS[2] else min(known, found)

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> Tally:
        total = cls()
        for tally in tallies:
            total.merge(tally)
        return total

    def merge(self, other: Tally) -> None:
        self.swaps += other.swaps
        self.losses += other.losses
        self.both += other.both
        self.endings += other.endings
        for what, worst in other.worst.items():
            self._note(what, worst)


def batches(pair: str, swaps: int, seed: int, weakened: str = "") -> Iterator[Batch]:
    for number in range(-(-swaps // BATCH)):
        yield Batch(pair, seed, number, min(BATCH, swaps - number * BATCH), weakened)


def games(batch: Batch, only: int | None = None) -> Iterator[tuple[str, Game]]:
    """The swaps of a batch, each with the name under which it can be played again. only: the one of this number."""
    give, get = (places()[symbol] for symbol in batch.pair.split("-"))
    sky = Random(f"{batch.pair} {batch.seed} {batch.number}")
    blocks = {
        Role.INITIATOR: draw(give.profile, sky, START, SPAN + LONGEST),
        Role.PARTICIPANT: draw(get.profile, sky, START, SPAN + LONGEST),
    }
    for place in range(batch.swaps) if only is None else [only]:
        name = f"{batch.pair}:{batch.seed}:{batch.number}:{place}"
        rng = Random(name)
        now = START + 7_200 + int(rng.random() * SPAN)
        yield name, Game(give, get, blocks, now, rng)


def run(batch: Batch) -> Tally:
    tally = Tally()
    with weaken.rule(batch.weakened):
        for name, game in games(batch):
            game.play()
            tally.add(game.outcome(batch.pair), name)
    return tally


def replay(name: str, weakened: str = "") -> Game:
    """One swap of a report again, by its name."""
    pair, seed, number, place = name.split(":")
    with weaken.rule(weakened):
        [(_, game)] = games(Batch(pair, int(seed), int(number), BATCH), only=int(place))
        game.play()
    return game
