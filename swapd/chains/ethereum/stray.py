"""Locks that are not the leg but look meant for it: shown, with the way back, and never counted (rule S11)."""

from __future__ import annotations

from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.words import moment
from swapd.protocol.observation import Stray

MOST_STRAYS = 50
"""Of one leg. Anybody can make more for a known hashlock; a person needs to see no more than that there are many."""


def resembles(found: HtlcTerms, agreed: HtlcTerms) -> bool:
    """Whether a lock was probably meant for these terms.

    It has their hashlock; or their two parties and, because these may trade with each other all day, also their times
    or their amount.
    """
    if found == agreed:
        return False
    if found.hashlock == agreed.hashlock:
        return True
    same_parties = (found.sender, found.receiver) == (agreed.sender, agreed.receiver)
    return same_parties and (
        (found.fund_by, found.timelock) == (agreed.fund_by, agreed.timelock)
        or (found.token, found.amount) == (agreed.token, agreed.amount)
    )


def difference(found: HtlcTerms, agreed: HtlcTerms) -> str:
    """What is wrong with it, in words: `amount is 5, agreed 6; receiver is 0x…, agreed 0x…`."""
    wrong = []
    for name in ("hashlock", "token", "amount", "sender", "receiver", "fund_by", "timelock"):
        is_, should = getattr(found, name), getattr(agreed, name)
        if is_ != should:
            wrong.append(f"{name} is {_shown(is_)}, agreed {_shown(should)}")
    return "; ".join(wrong)


def stray(htlc: Htlc, lock_id: str, found: HtlcTerms, agreed: HtlcTerms) -> Stray:
    """Not for swapd to refund: it would pay gas for whatever anybody locks with a known hashlock."""
    refund = htlc.refund(found)
    return Stray(
        ref=lock_id,
        amount=found.amount,
        why=difference(found, agreed),
        way_back=(
            f"from {moment(found.timelock)} on anybody can send it back to {found.sender}: a transaction to "
            f"{refund.to} on chain {htlc.chain_id} with value 0 and data 0x{refund.data.hex()}"
        ),
        refundable=False,
    )


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
