"""What happens next, in words: for `swap show`, alerts and the operator's peace of mind."""

from __future__ import annotations

from swapd.protocol.decide import Decision
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import MEANING, Status
from swapd.protocol.terms import Leg, Role, SwapTerms, Wallet


def next_step(swap: SwapTerms, views: dict[Role, LegView], status: Status, decision: Decision) -> str:
    """One sentence: what swapd does now, or what it waits for and until when (Unix seconds are left to the reader's
    clock: callers show them as times)."""
    blind = [leg.terms.chain for leg in swap.legs if views[leg.role].state is LegState.UNKNOWN]
    if blind:
        return f"{' and '.join(blind)} can not be read; nothing new is begun until it can, exits elsewhere go on"
    if decision.effects:
        return "; ".join(_doing(effect, swap.leg(effect.role)) for effect in decision.effects)
    if status.ended or status in (Status.PROPOSED, Status.REDEEMING):
        return _MORE.get(status, MEANING[status])
    for leg in swap.legs:
        waiting = _waiting(leg, views[leg.role], status)
        if waiting:
            return waiting
    return MEANING[status]


_MORE = {Status.REDEEMING: "the secret is out; waiting until both claims are final, or for the receiver's own claim"}


def _doing(effect: Effect, leg: Leg) -> str:
    where = f"the {leg.role.value} leg on {leg.terms.chain}"
    if effect.stray:
        return f"sending back {effect.stray}, which is not {where}"
    if effect.kind is EffectKind.LOCK:
        return f"funding {where}"
    if effect.kind is EffectKind.REFUND:
        return f"refunding {where}"
    return f"claiming {where}" + (", which shows the secret" if effect.reveals else "")


def _waiting(leg: Leg, view: LegView, status: Status) -> str:
    where = f"the {leg.role.value} leg on {leg.terms.chain}"
    if view.state is LegState.ABSENT and status is not Status.REFUNDING:
        who = "swapd" if leg.funded_by is Wallet.HOT else "its owner"
        return f"waiting for {who} to fund {where}"
    if view.state is not LegState.ABSENT and view.depth < leg.confirmations:
        return f"waiting for {where} to be final: {view.depth} of {leg.confirmations} confirmations"
    if view.state is LegState.LOCKED and status is Status.REFUNDING:
        who = "swapd refunds" if leg.refund_by_swapd else "its owner can refund"
        return f"{who} {where} when its timelock has passed"
    return ""
