"""What a chain makes of each leg it watches, made once for as long as the leg stays the very same object.

A look comes every few seconds with all legs, of which there may be thousands and of which next to none has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from swapd.chains.base import WatchedLeg

T = TypeVar("T")


class PerLeg(Generic[T]):
    """For one kind of look, since it forgets what the last one did not ask for. make: gives the same for equal legs."""

    def __init__(self, make: Callable[[WatchedLeg], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[WatchedLeg, T]] = {}
        """By `id`, which is nobody else's while the leg is kept here: comparing legs takes longer than making this."""

    def of(self, legs: Iterable[WatchedLeg]) -> Sequence[tuple[WatchedLeg, T]]:
        made, make = self._made, self._make
        self._made = {id(leg): made.get(id(leg)) or (leg, make(leg)) for leg in legs}
        return list(self._made.values())
