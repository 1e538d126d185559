"""Things that happen to swaps, for receivers to hear of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from swapd.coordinator.receivers import new_secret
from swapd.store import Store
from swapd.store.webhooks import DeliveryRow, DeliveryState, WebhookRow
from tests.webhooks.receiver import Got


async def happen(store: Store, number: int, swaps: Iterable[str] = ("swap-a", "swap-b", "swap-c")) -> None:
    """So many events of each swap, in turn, each in a transaction of its own."""
    for count in range(number):
        for swap in swaps:
            async with store.write("world") as tx:
                tx.audit("status", swap, before=str(count), after=str(count + 1), note=f"{swap} {count}")


async def hook(
    store: Store, url: str, *, owner: str = "", types: tuple[str, ...] = (), secret: bytes | None = None
) -> WebhookRow:
    async with store.write("tests") as tx:
        return await tx.add_webhook(owner, url, types, secret or new_secret(), most_of_owner=20, most=20)


async def rows(store: Store, hook: WebhookRow, state: DeliveryState | None = None) -> list[DeliveryRow]:
    async with store.read() as tx:
        return await tx.deliveries(hook.id, state=state, limit=1000)


def told(got: Iterable[Got]) -> dict[str, list[str]]:
    """By swap, the notes of its events in the order of their first arrival."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in got:
        event = each.event
        if event["type"] == "swap.status_changed" and event["data"]["note"] not in found[event["swap_id"]]:
            found[event["swap_id"]].append(event["data"]["note"])
    return dict(found)


def expected(number: int, swaps: Iterable[str] = ("swap-a", "swap-b", "swap-c")) -> dict[str, list[str]]:
    return {swap: [f"{swap} {count}" for count in range(number)] for swap in swaps}
