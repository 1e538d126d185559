"""Who I am to swapd, and how it is set up."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from swapd.api.access import Caller, allows, anyone
from swapd.api.conditional import TAGGED, tagged
from swapd.api.forms import Told
from swapd.api.redacted import shown
from swapd.api.service import Serving
from swapd.store import KeyRole

router = APIRouter(tags=["system"])


class Me(Told):
    """networks: the chains that the key may use; empty for all. tenant: the owner of swaps it makes, "" for the
    house."""

    key_id: str
    name: str
    role: KeyRole
    tenant: str
    networks: list[str]


class SettingsInForce(Told):
    """By section and key, as in config/default.toml. Of URLs only where they lead."""

    settings: dict[str, Any]


@router.get("/v1/me")
async def read_me(caller: Annotated[Caller, Depends(anyone())]) -> Me:
    """The key that this request bears."""
    return Me(
        key_id=caller.key_id,
        name=caller.name,
        role=caller.role,
        tenant=caller.tenant,
        networks=list(caller.networks),
    )


@router.get("/v1/settings", response_model=SettingsInForce, responses=TAGGED)
async def read_settings(
    request: Request,
    service: Serving,
    _: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.AUDITOR, KeyRole.ADMIN))],
) -> Response:
    """The settings in force, without their secrets."""
    return tagged(request, SettingsInForce(settings=shown(service.settings)))
