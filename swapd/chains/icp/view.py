"""One leg as the canister's certified state shows it now."""

from __future__ import annotations

import asyncio

from swapd.chains.base import SightingKind, WatchedLeg
from swapd.chains.icp.canister import SwapCanister
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import EscrowTerms, Phase, Swap
from swapd.chains.icp.program import Program
from swapd.chains.icp.stray import stray
from swapd.errors import SwapdError
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView

FINAL = 1
"""Depth of everything that is certified: the subnet does not take it back. 0 is on its way."""

_STATES = {
    Phase.FUNDING: (LegState.SEEN, 0),
    Phase.LOCKED: (LegState.LOCKED, FINAL),
    # from here on the canister does one thing alone, however long the ledger keeps it waiting
    Phase.CLAIMING: (LegState.CLAIMED, 0),
    Phase.CLAIMED: (LegState.CLAIMED, FINAL),
    Phase.REFUNDING: (LegState.REFUNDED, 0),
    Phase.REFUNDED: (LegState.REFUNDED, FINAL),
    Phase.CANCELLED: (LegState.ABSENT, 0),
}

_MOST_STRAYS_SHOWN = 10
"""Looked up for one leg: each costs a call, and a person is not helped by more."""

_HOLDING = (Phase.LOCKED, Phase.CLAIMING, Phase.REFUNDING)


async def view(canister: SwapCanister, program: Program, watched: WatchedLeg) -> LegView:
    """See `HtlcChain.view`. What an unknown program shows as locked, or is read by a clock that is late, is there for
    exits and never final."""
    agreed = EscrowTerms.of(watched.leg.terms)
    swap_id = canister.escrow.id_of(agreed)
    swap = await canister.swap(swap_id)
    alike = await _alike(canister, watched, swap_id)
    if swap is not None and not canister.escrow.is_it(swap, agreed):
        alike.insert(0, swap)  # of the right name, and with other terms: it is not the leg
        swap = None
    strays = tuple(stray(each.id, canister.principal, each.terms, agreed) for each in alike if each.course in _HOLDING)
    shown = next((s for each in alike if (s := each.secret) is not None and opens(s, agreed.hashlock)), None)
    if swap is None:
        return LegView(LegState.ABSENT, preimage=shown, strays=strays)
    state, depth = _STATES[swap.course]
    if swap.secret is not None and not opens(swap.secret, agreed.hashlock):
        raise Untrusted(f"the canister shows a secret for {swap_id.hex()} that does not open its hashlock")
    if state is LegState.CLAIMED and swap.secret is None:
        raise Untrusted(f"the canister shows {swap_id.hex()} as claimed without its secret")
    if swap.phase is Phase.QUARANTINED or (swap.phase is Phase.LOCKED and not await _is_sure(canister, program)):
        depth = 0
    return LegView(
        state,
        depth,
        swap.secret or shown,
        swap_id.hex(),
        _block(swap.lock_block),
        _block(swap.payout_block),
        strays,
    )


async def _is_sure(canister: SwapCanister, program: Program) -> bool:
    """Whether something new may rest on this lock. That the program can not be asked for is a no as well, and no reason
    to keep exits waiting (rule S8)."""
    try:
        return await program.is_trusted() and not canister.agent.is_late
    except SwapdError:
        return False


async def _alike(canister: SwapCanister, watched: WatchedLeg, swap_id: bytes) -> list[Swap]:
    """Locks that scans took for strays, as they are now. No decision rests on them: trouble here blinds us to nothing,
    and the next view asks again."""
    refs = [s.ref for s in watched.sightings if s.kind is SightingKind.STRAY and len(s.ref) == 2 * len(swap_id)]
    ids = [bytes.fromhex(ref) for ref in dict.fromkeys(reversed(refs)) if ref != swap_id.hex()]
    try:
        found = await asyncio.gather(*(canister.swap(each) for each in ids[:_MOST_STRAYS_SHOWN]))
    except SwapdError:
        return []
    return [swap for swap in found if swap is not None]


def _block(index: int | None) -> str | None:
    """Of the ledger, whose blocks are the transactions here."""
    return None if index is None else str(index)
