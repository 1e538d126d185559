"""What a watchtower could do for each swap as it stands, in words for the person who has to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swapd.chains.abilities import ByHand, SignsAhead
from swapd.chains.base import HtlcChain
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from swapd.watchtower.tower import Standing


def lines(standing: Standing, chains: Mapping[str, HtlcChain], *, has_gas: bool) -> Iterator[tuple[bool, str]]:
    """One line for each way out of each leg, and whether it is open."""
    if standing.is_over:
        yield True, "over: its packet can be deleted"
        return
    for why in standing.trouble:
        yield False, why
    for role in Role:
        leg = standing.packet.terms.leg(role)
        what = f"{role.value} leg on {leg.terms.chain}, {standing.views[role].state.value}"
        for kind, able in ((EffectKind.CLAIM, leg.claim_by_swapd), (EffectKind.REFUND, leg.refund_by_swapd)):
            if not able:
                yield True, f"{what}: its {kind.value} is left to its owner, who has the only key"
                continue
            good, words = _way(standing, role, kind, chains.get(leg.terms.chain), has_gas=has_gas)
            yield good, f"{what}: {words}"
    for at, errand in standing.errands:
        yield True, f"{errand.effect.key} is due; the tower sends it from {at} on"


def _way(
    standing: Standing, role: Role, kind: EffectKind, chain: HtlcChain | None, *, has_gas: bool
) -> tuple[bool, str]:
    if chain is None:
        return False, f"no {kind.value}: its chain is not configured"
    if not isinstance(chain, SignsAhead):
        by_hand = isinstance(chain, ByHand) and not has_gas
        return not by_hand, f"{kind.value} {'told to you, to be sent by hand' if by_hand else 'by the tower itself'}"
    view = standing.views[role]
    if view.state not in (LegState.SEEN, LegState.LOCKED):
        return True, f"no {kind.value} needed as it is"
    prepared = standing.packet.leg(role).prepared
    rates = [each.tx.rate for each in prepared if each.kind is kind and each.ref == view.lock_ref]
    if not rates:
        return False, f"no {kind.value} was signed ahead for {view.lock_ref}: this takes a newer packet"
    return True, f"{kind.value} signed ahead, {len(rates)} times for a rate from {min(rates)} to {max(rates)}"
