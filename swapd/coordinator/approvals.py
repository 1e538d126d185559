"""Swaps over a threshold wait for the word of several operators before the first lock of swapd's own."""

from __future__ import annotations

from swapd.coordinator.house import House
from swapd.errors import Rejected
from swapd.protocol.terms import SwapTerms, Wallet
from swapd.store import SwapRow


def needed(house: House, terms: SwapTerms) -> int:
    """How many operators must agree: by the settings as they are now, so that nothing in the database can lower it."""
    for leg in terms.legs:
        if leg.funded_by is Wallet.HOT and leg.terms.asset.symbol in house.markets[leg.terms.chain].assets:
            threshold = house.markets[leg.terms.chain].assets[leg.terms.asset.symbol].approve_from
            if threshold is not None and leg.terms.amount >= threshold:
                return house.limits.approvals
    return 0


def given(house: House, row: SwapRow) -> int:
    """By how many different operators, of those that still count."""
    return len({each.operator for each in row.approvals if each.counts(house.clock())})


def missing(house: House, row: SwapRow) -> str:
    """Why swapd locks nothing for this swap yet, "" if nothing stands in its way."""
    wanted, there = needed(house, row.terms), given(house, row)
    return f"it waits for approvals: {there} of {wanted} operators have agreed" if there < wanted else ""


async def approve(house: House, swap_id: str, operator: str, actor: str) -> SwapRow:
    """An operator's word. Rejected where none is wanted: then it would look as if it had meant something."""
    async with house.store.write(actor) as writing:
        row = await writing.swap(swap_id)
        if not needed(house, row.terms):
            raise Rejected(f"swap {swap_id} needs no approval: its amounts are below the thresholds")
        if row.status.ended:
            raise Rejected(f"swap {swap_id} has ended ({row.status.value})")
        await writing.approve(swap_id, operator, house.limits.approval_seconds)
        return await writing.swap(swap_id)


async def withdraw(house: House, swap_id: str, operator: str, actor: str) -> SwapRow:
    """The word taken back. What was locked before stays locked; nothing more is, until enough agree again."""
    async with house.store.write(actor) as writing:
        await writing.withdraw_approval(swap_id, operator)
        return await writing.swap(swap_id)
