"""Which swaps have ended so thoroughly that only news from a chain can change anything about them.

They stay watched for months (rule S12), and there may be thousands: news wakes them at once, and the net below that
comes by once a day. All others, among them what has ended a moment ago, are swept every few minutes.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from swapd.protocol.observation import LegState
from swapd.store import SwapRow

DAY_SECONDS = 86_400


def is_at_rest(row: SwapRow, now: int) -> bool:
    """Ended, all its times long over by whatever clock, nothing there that could still be moved, and its last look was
    a good one. now: Unix seconds."""
    if not row.status.ended or row.reason or now <= row.terms.initiator.terms.timelock + DAY_SECONDS:
        return False
    legs = [(row.legs[leg.role].view, leg.confirmations) for leg in row.terms.legs]
    return all(
        not view.strays
        and (
            view.state is LegState.ABSENT
            or (view.state in (LegState.CLAIMED, LegState.REFUNDED) and view.depth >= confirmations)
        )
        for view, confirmations in legs
    )


class Restless:
    """Tells again and again what is not at rest. What was at rest stays so until something of it changes, and a row
    that has changed is another object."""

    def __init__(self) -> None:
        self._resting: dict[int, SwapRow] = {}
        """By `id`, which is nobody else's while the row is kept here."""

    def of(self, rows: Sequence[SwapRow], now: int) -> list[SwapRow]:
        known = self._resting
        restless = [row for row in rows if id(row) not in known and not is_at_rest(row, now)]
        moving = set(map(id, restless))
        self._resting = {id(row): row for row in rows if id(row) not in moving}
        return restless


def to_sweep(rows: Sequence[SwapRow], now: int, busy: Collection[str], least: int) -> list[str]:
    """Ids of what is not at rest; and of the rest some, by lot, that were not looked at for a day. busy: ids of what
    is not to rest, however it looks. least: so many of the rest, or one of a hundred."""
    resting = [row for row in rows if row.id not in busy and is_at_rest(row, now)]
    going = {row.id for row in rows} - {row.id for row in resting}
    old = [row.id for row in resting if not now - DAY_SECONDS <= row.updated_at <= now]
    return [*going, *random.sample(old, min(len(old), max(least, len(resting) // 100)))]
