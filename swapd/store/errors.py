"""What the store says no to. A database that does not answer is `Unavailable`, like any other peer."""

from __future__ import annotations

from swapd.errors import Invalid, Rejected


class Conflict(Rejected):
    """Somebody else wrote first: read again and decide again. Nothing was written."""


class LeaseLost(Rejected):
    """Another worker has this swap now: drop it. Nothing was written."""


class NotHere(Invalid):
    """What was asked for by its name is not in this database."""


class DamagedRow(Rejected):
    """A row that cannot be what swapd wrote. Names the row; the others are not affected.

    by_looking: the chains hold the same, so swapd mends it by itself; else a person has to.
    """

    def __init__(self, table: str, key: str, why: str) -> None:
        self.table = table
        self.key = key
        mend = "swapd looks again" if self.by_looking else "`swapd doctor` says what to do"
        super().__init__(f"row {key} of table {table} is damaged ({mend}): {why}")

    @property
    def by_looking(self) -> bool:
        return self.table == "sightings"


class AuditBroken(Rejected):
    """The audit chain does not hold: something in it was changed, removed or put in afterwards."""
