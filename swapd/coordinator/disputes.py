"""Disputes: a person stops a swap at once, and decides whether it goes on or back."""

from __future__ import annotations

import structlog

from swapd.chains.abilities import Cooperates
from swapd.chains.base import WatchedLeg
from swapd.coordinator.house import House
from swapd.coordinator.look import Look, look
from swapd.coordinator.refunds import Forbidden
from swapd.errors import Invalid, Rejected, Unavailable
from swapd.protocol.decide import may_consent, may_force
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role, Wallet
from swapd.store import DisputeRow, SwapRow

log = structlog.get_logger()

FROZEN = "a dispute is open: no secret is shown and nothing is locked; refunds that are due go on"


async def open_dispute(house: House, swap_id: str, reason: str, actor: str) -> DisputeRow:
    """Freeze a swap: from here on no worker shows its secret or locks anything for it. Refunds that are due, and claims
    of a secret that is out, go on (S5, S6)."""
    async with house.store.write(actor) as writing:
        return await writing.dispute(await writing.open_dispute(swap_id, reason))


async def note(house: House, dispute_id: int, text: str, actor: str) -> None:
    async with house.store.write(actor) as writing:
        await writing.note_dispute(dispute_id, text)


async def resume(house: House, dispute_id: int, why: str, actor: str) -> DisputeRow:
    """The swap goes on, if there is time left; what is too late for it goes back by itself."""
    async with house.store.write(actor) as writing:
        await writing.resume(dispute_id, why)
        return await writing.dispute(dispute_id)


async def force_refund(house: House, dispute_id: int, why: str, actor: str) -> DisputeRow:
    """What is locked goes back: at its timelock, or before where its receiver agrees. `Forbidden` by S6 when the secret
    is out: then both sides end the swap by their claims."""
    async with house.store.read() as reading:
        row = await reading.swap((await reading.dispute(dispute_id)).swap_id)
    seen = await look(house, row)
    _require_seen(seen)
    try:
        may_force(row.terms, seen.views, row.memory, seen.clocks)
    except Invalid as error:
        raise Forbidden("S6", f"swap {row.id} can not be refunded by force: it takes {error.expected}") from None
    async with house.store.write(actor) as writing:
        await writing.force_refund(dispute_id, why)
        return await writing.dispute(dispute_id)


async def receive_consent(house: House, row: SwapRow, role: Role, consent: bytes, actor: str) -> None:
    """A receiver's signature under giving its leg back, checked by the leg's chain, and kept."""
    chain = cooperating(house, row, role)
    if row.forced_at is None:
        raise Rejected(f"swap {row.id} is not to be refunded: a dispute handler decides that first")
    await chain.check_consent(row.watched_leg(role), consent)
    async with house.store.write(actor) as writing:
        await writing.consent(row.id, role, consent, row.terms.leg(role).terms.receiver)


async def give_back(house: House, row: SwapRow, seen: Look) -> None:
    """Of a swap that is to go back: swapd's own agreement, as a receiver, as soon as that is safe."""
    if row.forced_at is None or seen.trouble:
        return
    for leg in row.terms.legs:
        view, chain = seen.views[leg.role], house.chain(leg.terms.chain)
        there = view.state in (LegState.SEEN, LegState.LOCKED)
        if leg.claimed_by is not Wallet.HOT or not there or not isinstance(chain, Cooperates):
            continue
        try:
            may_consent(row.terms, leg.role, seen.views, row.memory, seen.clocks)
            consent = await _own_consent(chain, row.watched_leg(leg.role))
        except Invalid as error:
            log.info("consent.not_yet", swap=row.id, role=leg.role, why=error.expected)
            continue
        except (Rejected, Unavailable) as error:  # not in a block yet, or not any more: the next look asks again
            log.info("consent.not_yet", swap=row.id, role=leg.role, why=str(error))
            continue
        if consent is not None:
            async with house.store.write() as writing:
                await writing.consent(row.id, leg.role, consent, "swapd")


async def _own_consent(chain: Cooperates, leg: WatchedLeg) -> bytes | None:
    """None if the one that is there is still good. A lock that a reorganisation replaced takes a new one."""
    if leg.consent:
        try:
            await chain.check_consent(leg, leg.consent)
        except Invalid:
            log.info("consent.outdated", swap=leg.swap_id, role=leg.leg.role)
        else:
            return None
    return await chain.own_consent(leg)


def cooperating(house: House, row: SwapRow, role: Role) -> Cooperates:
    """The leg's chain, where a receiver can give a leg back before its timelock. Rejected elsewhere."""
    chain = house.chain(row.terms.leg(role).terms.chain)
    if not isinstance(chain, Cooperates):
        raise Rejected(f"{row.terms.leg(role).terms.chain} takes no refund before the timelock")
    return chain


def _require_seen(seen: Look) -> None:
    """A decision that can not be taken back rests on what both chains show."""
    if seen.trouble:
        raise Rejected("; ".join(seen.trouble))
