"""What the store says no to. A database that does not answer is `Unavailable`, like any other peer."""

from __future__ import annotations

from swapd.errors import Rejected


class Conflict(Rejected):
    """Somebody else wrote first: read again and decide again. Nothing was written."""


class LeaseLost(Rejected):
    """Another worker has this swap now: drop it. Nothing was written."""


class DamagedRow(Rejected):
    """A row that cannot be what swapd wrote. Names the row; the others are not affected."""

    def __init__(self, table: str, key: str, why: str) -> None:
        self.table = table
        self.key = key
        super().__init__(f"row {key} of table {table} is damaged: {why}")


class AuditBroken(Rejected):
    """The audit chain does not hold: something in it was changed, removed or put in afterwards."""
