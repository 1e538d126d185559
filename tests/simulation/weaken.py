"""swapd without one of its rules, to see that the simulation finds what the rule is there for. In tests alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from swapd.protocol.decide import _Case
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role, SecretHolder, Wallet


def _lock_without_the_first(case: _Case, role: Role) -> bool:
    """S1 off: the participant leg is funded without looking at the initiator leg."""
    if role is Role.INITIATOR:
        return _wants_lock(case, role)
    leg = case.swap.participant
    idle = case.is_(role, LegState.ABSENT) and leg.funded_by is Wallet.HOT
    return idle and case.entry_open and not case.revealed and case.clocks.latest <= leg.lock_by


def _reveal_at_sight(case: _Case) -> bool:
    """S2 off: the secret is shown as soon as the participant leg is in a block, whatever its depth and the time."""
    return case.swap.secret is SecretHolder.SELF and not case.revealed and case.is_(Role.PARTICIPANT, LegState.LOCKED)


def _never_refund(case: _Case, role: Role) -> bool:
    """S5 off."""
    return False


def _claim_only_as_revealer(case: _Case, role: Role) -> bool:
    """S6 off: a secret that the other side shows is not used, and an own reveal is not kept up."""
    return False


_wants_lock = _Case.wants_lock

WEAKER: dict[str, tuple[str, Callable[..., Any]]] = {
    "S1": ("wants_lock", _lock_without_the_first),
    "S2": ("may_reveal", _reveal_at_sight),
    "S5": ("wants_refund", _never_refund),
    "S6": ("wants_claim", _claim_only_as_revealer),
}


@contextmanager
def rule(name: str) -> Iterator[None]:
    """Within this, swapd does not keep that rule. "": it keeps all of them."""
    if not name:
        yield
        return
    method, instead = WEAKER[name]
    with patch.object(_Case, method, instead):
        yield
