"""A refund on demand: looked for from the first day on, and refused with the rule and the time if it is too early."""

from __future__ import annotations

from datetime import UTC, datetime

from swapd.coordinator.house import House
from swapd.coordinator.look import look
from swapd.errors import Invalid, Rejected
from swapd.protocol.decide import refund_possible_at
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from swapd.store import SwapRow


class Forbidden(Rejected):
    """A rule of docs/safety.md says no. rule: its number. possible_at: Unix seconds from which on it does not, None if
    that never comes by waiting."""

    def __init__(self, rule: str, words: str, possible_at: int | None = None) -> None:
        self.rule = rule
        self.possible_at = possible_at
        super().__init__(words)


async def ask_refund(house: House, swap_id: str, actor: str) -> SwapRow:
    """Have the daemon look for anything of this swap that can go back now, and send it. Refused (`Forbidden`) before
    the timelock, unless the receiver agreed."""
    async with house.store.read() as reading:
        row = await reading.swap(swap_id)
    await _rediscover(house, row, actor)
    async with house.store.read() as reading:
        row = await reading.swap(swap_id)
    await _require_refundable(house, row)
    async with house.store.write(actor) as writing:
        writing.audit("refund asked for", swap_id)
        await writing.touch([swap_id])
        return await writing.swap(swap_id)


async def _rediscover(house: House, row: SwapRow, actor: str) -> None:
    """Look for the swap's money from its first day on, however long ago that is (rule S12)."""
    for role in Role:
        chain = house.chain(row.terms.leg(role).terms.chain)
        sightings = await chain.rescan([row.watched_leg(role)])
        async with house.store.write(actor) as writing:
            await writing.add_sightings(chain.name, sightings)


async def _require_refundable(house: House, row: SwapRow) -> None:
    seen = await look(house, row)
    refusals, possible = list(seen.trouble), []
    for leg in row.terms.legs:
        view = seen.views[leg.role]
        if view.state is not LegState.LOCKED and not view.strays:
            continue
        where = f"the {leg.role.value} leg on {leg.terms.chain}"
        if not leg.refund_by_swapd and not any(stray.refundable for stray in view.strays):
            refusals.append(f"{where} can only be refunded by its owner, with the key {leg.terms.sender}")
            continue
        if row.memory.forced and leg.role in row.consents:
            return
        try:
            refund_possible_at(row.terms, leg.role, seen.clocks)
            return
        except Invalid:
            possible.append(leg.terms.timelock)
            reached = seen.clocks.of(leg.role)
            refusals.append(
                f"{where} can go back from {_utc(leg.terms.timelock)} on, by the chain's own clock, which is at "
                + ("a time not known" if reached is None else _utc(reached))
            )
    words = "; ".join(refusals) or f"nothing of swap {row.id} is locked ({row.status.value})"
    if possible:
        raise Forbidden("S5", words, min(possible))
    raise Rejected(words)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
