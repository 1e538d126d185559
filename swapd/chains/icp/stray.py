"""Locks that are not the leg but look meant for it: shown, with the way back, and never counted (rule S11)."""

from __future__ import annotations

from swapd.chains.icp.canister import REFUND
from swapd.chains.icp.escrow import NANOSECONDS, EscrowTerms
from swapd.chains.icp.log import Block
from swapd.chains.icp.principal import Account, text
from swapd.chains.words import moment
from swapd.errors import Invalid
from swapd.protocol.observation import Stray

MOST_STRAYS = 50
"""Of one leg. Anybody can make more for a known hashlock; a person needs to see no more than that there are many."""


def found_in(block: Block) -> EscrowTerms | None:
    """The terms that a block says somebody begins to fund; None if it says nothing of the kind."""
    tx = block.tx
    try:
        return EscrowTerms(
            ledger=tx["ledger"],
            amount=tx["amount"],
            sender=_account(tx["refund_to"]),
            receiver=_account(tx["recipient"]),
            hashlock=tx["hashlock"],
            fund_by=tx["fund_by"],
            timelock=tx["deadline"],
        )
    except (KeyError, TypeError, AttributeError, Invalid):
        return None


def _account(value: dict[str, bytes]) -> Account:
    return Account(value["owner"], value.get("subaccount"))


def resembles(found: EscrowTerms, agreed: EscrowTerms) -> bool:
    """Whether a lock was probably meant for these terms.

    It has their hashlock; or their two parties and, because these may trade with each other all day, also their times
    or their amount. A lock of exactly these terms under another name resembles them, too: it has another nonce.
    """
    if found.hashlock == agreed.hashlock:
        return True
    same_parties = (found.sender, found.receiver) == (agreed.sender, agreed.receiver)
    return same_parties and (
        (found.fund_by, found.timelock) == (agreed.fund_by, agreed.timelock)
        or (found.ledger, found.amount) == (agreed.ledger, agreed.amount)
    )


def difference(found: EscrowTerms, agreed: EscrowTerms) -> str:
    """What is wrong with it, in words: `amount is 5, agreed 6`."""
    wrong = []
    for name in ("hashlock", "ledger", "amount", "sender", "receiver", "fund_by", "timelock"):
        is_, should = getattr(found, name), getattr(agreed, name)
        if is_ != should:
            wrong.append(f"{name} is {_shown(name, is_)}, agreed {_shown(name, should)}")
    return "; ".join(wrong) or "initiator or nonce are not those of the instructions"


def stray(swap_id: bytes, canister: bytes, found: EscrowTerms, agreed: EscrowTerms) -> Stray:
    """Not for swapd to refund: the canister sends it back by itself, and anybody may ask for it."""
    return Stray(
        ref=swap_id.hex(),
        amount=found.amount,
        why=difference(found, agreed),
        way_back=(
            f"from {moment(found.timelock // NANOSECONDS)} on the canister {text(canister)} sends it back to "
            f"{found.sender.text} by itself; a call by anybody to {REFUND} with its id makes it do so at once"
        ),
        refundable=False,
    )


def _shown(name: str, value: object) -> str:
    if isinstance(value, Account):
        return value.text
    if isinstance(value, bytes):
        return text(value) if name == "ledger" else value.hex()
    if isinstance(value, int) and name in ("fund_by", "timelock"):
        return moment(value // NANOSECONDS)
    return str(value)
