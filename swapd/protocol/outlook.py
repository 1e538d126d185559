"""What still lies ahead of a swap, and how each moment of it passes if nobody does anything: so that people can sleep.

The times are those of the terms, by the clock of the chain that is named; swapd's own safety lies in `decide` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, Role, SecretHolder, SwapTerms, Wallet


@dataclass(frozen=True)
class Deadline:
    """at: Unix seconds. what: has to be done by then. after: what happens then by itself, if it is not done."""

    at: int
    what: str
    after: str


def outlook(swap: SwapTerms, views: dict[Role, LegView], status: Status) -> tuple[Deadline, ...]:
    """Every deadline that still means something to this swap, the nearest first; passed ones too, while they do."""
    if status.ended:
        return ()
    found = [each for leg in swap.legs if (each := _funding(leg, views, status))]
    unrevealed = status not in (Status.REDEEMING, Status.REFUNDING)
    if unrevealed and swap.secret is SecretHolder.SELF:
        found.append(Deadline(swap.reveal_by, "swapd shows the secret", "it is kept, and both legs go back"))
    found += [_ending(swap, leg, status) for leg in swap.legs if views[leg.role].state in _THERE]
    return tuple(sorted(found, key=lambda deadline: deadline.at))


_THERE = (LegState.UNKNOWN, LegState.SEEN, LegState.LOCKED)


def _where(leg: Leg) -> str:
    return f"the {leg.role.value} leg on {leg.terms.chain}"


def _funding(leg: Leg, views: dict[Role, LegView], status: Status) -> Deadline | None:
    waits = status in (Status.PROPOSED, Status.ACCEPTED, Status.INITIATOR_LOCKED)
    if not waits or views[leg.role].state not in (LegState.ABSENT, LegState.SEEN):
        return None
    who = "swapd funds" if leg.funded_by is Wallet.HOT else "its owner funds"
    other = views[leg.role.other].state in (LegState.SEEN, LegState.LOCKED)
    return Deadline(
        leg.terms.fund_by,
        f"{who} {_where(leg)}",
        "the swap is over, and what is locked goes back" if other else "the swap expires, with nothing locked",
    )


def _ending(swap: SwapTerms, leg: Leg, status: Status) -> Deadline:
    back = (
        f"swapd sends it back to {leg.refund_to}"
        if leg.refund_by_swapd
        else f"its owner can take it back, with the key {leg.terms.sender}"
    )
    if status is Status.REFUNDING:
        return Deadline(leg.terms.timelock, f"{_where(leg)} stays locked", back)
    who = "swapd claims" if leg.claim_by_swapd and not leg.own else "its receiver claims"
    if status is not Status.REDEEMING and swap.secret is SecretHolder.REMOTE and leg.role is Role.INITIATOR:
        who = "swapd claims, once the secret is public,"
    return Deadline(leg.terms.timelock, f"{who} {_where(leg)}", f"{back}, unless a claim comes first")
