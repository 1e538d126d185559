"""Approvals: several operators look at a large swap before swapd locks anything for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from swapd.api.access import Caller, allows
from swapd.api.routes.swaps import READERS, SwapId, visible
from swapd.api.service import Serving
from swapd.api.views import ApprovalsTold, approvals_told
from swapd.coordinator import approvals
from swapd.store import KeyRole

router = APIRouter(tags=["approvals"])

Operator = Annotated[Caller, Depends(allows(KeyRole.OPERATOR))]


@router.get("/v1/swaps/{swap_id}/approvals")
async def read_approvals(
    swap_id: SwapId, service: Serving, caller: Annotated[Caller, Depends(allows(*READERS))]
) -> ApprovalsTold:
    """Who agreed, and how many must."""
    return approvals_told(service.house, await visible(service, caller, swap_id))


@router.put("/v1/swaps/{swap_id}/approval")
async def approve_swap(swap_id: SwapId, service: Serving, caller: Operator) -> ApprovalsTold:
    """My word for this swap, for `entry.approval_seconds`. Again renews it. Refused where none is needed."""
    row = await approvals.approve(service.house, swap_id, caller.actor, caller.actor)
    return approvals_told(service.house, row)


@router.delete("/v1/swaps/{swap_id}/approval")
async def withdraw_approval(swap_id: SwapId, service: Serving, caller: Operator) -> ApprovalsTold:
    """Take it back. What is locked stays locked; nothing more is until enough agree again."""
    row = await approvals.withdraw(service.house, swap_id, caller.actor, caller.actor)
    return approvals_told(service.house, row)
