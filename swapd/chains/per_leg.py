"""What a chain makes of each leg it watches, made once for as long as the leg stays the very same object.

A look comes every few seconds with all legs, of which there may be thousands and of which next to none has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from swapd.chains.base import WatchedLeg

T = TypeVar("T")

AT_ONCE = 50
"""Made before others get their turn: of ten thousand legs, as after a start, it takes seconds."""


class PerLeg(Generic[T]):
    """For one kind of look, since it forgets what the last one did not ask for. make: gives the same for equal legs."""

    def __init__(self, make: Callable[[WatchedLeg], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[WatchedLeg, T]] = {}
        """By `id`, which is nobody else's while the leg is kept here: comparing legs takes longer than making this."""

    async def of(self, legs: Iterable[WatchedLeg]) -> Sequence[tuple[WatchedLeg, T]]:
        known, found, new = self._made, {}, 0
        for leg in legs:
            each = known.get(id(leg))
            if each is None:
                each = (leg, self._make(leg))
                new += 1
                if new % AT_ONCE == 0:
                    await asyncio.sleep(0)
            found[id(leg)] = each
        self._made = found
        return list(found.values())
