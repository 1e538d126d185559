"""What a canister's answer to one of our calls says: done, or why not."""

from __future__ import annotations

from typing import Any

from swapd.chains.icp import candid, interface
from swapd.chains.icp.canister import ACKNOWLEDGE, swap_of
from swapd.chains.icp.escrow import Phase
from swapd.chains.icp.ledger import APPROVE


def refusal(method: str, reply: bytes) -> str | None:
    """None if the call had its effect, else why not, in words for people. The same approval sent twice is one approval
    (ICRC-2: Duplicate)."""
    if method == APPROVE:
        answer = candid.decode(interface.ApproveResult, reply)
        if "Ok" in answer or "Duplicate" in answer["Err"]:
            return None
        return f"the ledger refuses the approval: {_words(answer['Err'])}"
    answer = candid.decode(interface.RequestResult if method == ACKNOWLEDGE else interface.SwapResult, reply)
    if "Err" in answer:
        error = answer["Err"]
        return f"the swap canister refuses {method}: {_words(error['kind'])}: {error['message'] or ''}".rstrip(": ")
    if method == ACKNOWLEDGE:
        return None
    phase = swap_of(answer["Ok"]).phase
    if phase in (Phase.LOCKED, Phase.CLAIMED, Phase.REFUNDED):
        return None
    return f"the swap canister has it as {phase.value} after {method}"


def _words(variant: Any) -> str:
    """`InsufficientFunds balance 5` of {"InsufficientFunds": {"balance": 5}}."""
    if isinstance(variant, dict):
        return " ".join(f"{name} {_words(value)}".rstrip() for name, value in variant.items())
    return "" if variant is None else str(variant)
