"""Everything that can be written in one transaction."""

from __future__ import annotations

from swapd.errors import Invalid
from swapd.store import models as m
from swapd.store.deliveries import WebhookWriting
from swapd.store.events import EventReading
from swapd.store.figures import FigureReading
from swapd.store.keys import KeyReading, KeyWriting
from swapd.store.leases import Leasing
from swapd.store.outbox import OutboxWriting
from swapd.store.people import PeopleReading, PeopleWriting
from swapd.store.requests import RequestWriting
from swapd.store.scans import ScanWriting
from swapd.store.webhooks import WebhookReading

__all__ = ["Reading", "Transaction"]


class Reading(PeopleReading, EventReading, WebhookReading, KeyReading, FigureReading):
    """A transaction that only reads."""


class Transaction(
    PeopleWriting, RequestWriting, ScanWriting, OutboxWriting, Leasing, WebhookWriting, KeyWriting, Reading
):
    """All of it or nothing, the audit entries included."""

    async def bind(self, key: str, value: str) -> None:
        """Write down what this database belongs to (a seed's fingerprint, a network's name), once and for all.

        Raises Invalid if it belongs to something else.
        """
        await self._connection.execute(
            self._insert(m.Meta).values(key=key, value=value).on_conflict_do_nothing(index_elements=["key"])
        )
        stored = await self.meta(key)
        if stored != value:
            raise Invalid(key, value, f"{stored}, to which this database belongs")

    async def write_probe(self, size: int) -> None:
        """Something of this many bytes, in the place of what was there."""
        row = self._insert(m.Meta).values(key="probe", value="x" * size)
        same = row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value})
        await self._connection.execute(same)
