"""Empty places below our own transactions: filled after some looks, and outbid where something there stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from swapd.coordinator.places import PATIENCE, SLOW, Places
from swapd.errors import Rejected


@dataclass
class Chain:
    """used: places in blocks. taken: those that are pending too."""

    used: int
    taken: int
    filled: list[int] = field(default_factory=list)
    account: str = "0xab"

    async def places(self) -> tuple[int, int]:
        return self.used, self.taken

    async def fill(self, sequence: int) -> None:
        self.filled.append(sequence)
        self.taken = max(self.taken, sequence + 1)
        raise Rejected("replacement transaction underpriced")


@dataclass
class House:
    """One chain, and a database that knows which places are ours."""

    only: Chain
    ours: set[int]

    def chain(self, _: str) -> Chain:
        return self.only

    @property
    def store(self) -> House:
        return self

    @asynccontextmanager
    async def read(self) -> AsyncIterator[House]:
        yield self

    async def sequences(self, _: str, first: int) -> set[int]:
        return {place for place in self.ours if place >= first}

    async def next_place(self, *_: str) -> int | None:
        return None


def places(chain: Chain, *ours: int) -> Places:
    house: Any = House(chain, {*ours})
    return Places(house, "ethereum")


async def looks(of: Places, number: int) -> None:
    for _ in range(number):
        await of.look()


async def test_a_gap_is_filled_after_some_looks_and_the_filling_outbid_when_it_stands_still() -> None:
    chain = Chain(used=5, taken=5)
    gap = places(chain, 6)
    await looks(gap, PATIENCE - 1)
    assert chain.filled == []
    await looks(gap, 1)
    assert chain.filled == [5]
    await looks(gap, SLOW - PATIENCE - 1)
    assert chain.filled == [5]
    await looks(gap, 1)
    assert chain.filled == [5, 5]
    await looks(gap, SLOW)
    assert chain.filled == [5, 5, 5]
    chain.used = 6
    await looks(gap, SLOW)
    assert chain.filled == [5, 5, 5]


async def test_what_a_life_before_this_one_filled_is_outbid_too_and_what_moves_is_left_alone() -> None:
    chain = Chain(used=5, taken=9)
    gap = places(chain, 8)
    await looks(gap, SLOW - 1)
    assert chain.filled == []
    await looks(gap, 1)
    assert chain.filled == [5, 6, 7]
    moving = Chain(used=0, taken=100)
    others = places(moving, 99)
    for _ in range(5):
        await looks(others, SLOW // 2)
        moving.used += 16
    assert moving.filled == []


async def test_nothing_is_filled_where_nothing_of_ours_waits() -> None:
    chain = Chain(used=5, taken=9)
    await looks(places(chain), SLOW)
    await looks(places(chain, 5), SLOW)
    assert chain.filled == []
