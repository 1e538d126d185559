"""Keys of the API, for admins: the same as `swapd keys` at the terminal."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from swapd.api import keys
from swapd.api.access import Caller, allows
from swapd.api.conditional import TAGGED, require_match, tagged
from swapd.api.forms import Form, Listed, Moment, Told, moment, moment_or_none
from swapd.api.paging import Paged
from swapd.api.service import Serving
from swapd.store import KeyRole, KeyRow, KeyState

router = APIRouter(tags=["keys"])

Admin = Annotated[Caller, Depends(allows(KeyRole.ADMIN))]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="A key's id.", examples=["0f3a91c25be07d64"])]
ExpiresIn = Annotated[int | None, Field(ge=1, le=keys.LONGEST_LIFE, description="Seconds from now; null: never.")]


class KeyToIssue(Form):
    name: Annotated[str, Field(pattern="^[a-z][a-z0-9._-]{0,62}$", description="Of its holder, for ever.")]
    role: Annotated[KeyRole, Field(strict=False)]
    networks: Annotated[
        list[str], Field(default_factory=list, max_length=32, description="Chains it may use; none: all.")
    ]
    requests_per_minute: Annotated[int | None, Field(ge=1, le=keys.LARGEST_RATE)] = None
    signed: Annotated[bool, Field(description="Each of its requests must bear a signature.")] = False
    expires_in: ExpiresIn = None


class Rotation(Form):
    grace: Annotated[int, Field(ge=0, le=keys.LONGEST_GRACE, description="Seconds for which the old secret is good.")]
    expires_in: ExpiresIn = None


class Key(Told):
    """A key, without its secret."""

    id: str
    name: str
    role: KeyRole
    state: KeyState
    networks: list[str]
    requests_per_minute: int | None
    signed: bool
    created: Moment
    rotated: Moment | None
    previous_secret_until: Moment | None
    expires: Moment | None
    revoked: Moment | None
    last_used: Moment | None


class KeyWithToken(Told):
    """token: shown this once and never again."""

    key: Key
    token: str


@router.get("/v1/keys")
async def list_keys(service: Serving, page: Paged, _: Admin) -> Listed[Key]:
    """Every key that there ever was, oldest first."""
    now = service.house.clock()
    async with service.house.store.read() as reading:
        found = await reading.keys()
    if page.position is not None:
        last = page.position[-1]
        found = found[1 + next((at for at, row in enumerate(found) if row.id == last), len(found)) :]
    more = found[page.limit :]
    found = found[: page.limit]
    return Listed(
        items=[told(row, now) for row in found],
        next=page.cursor(found[-1].id) if more else None,
    )


@router.post("/v1/keys", status_code=201)
async def issue_key(form: KeyToIssue, service: Serving, caller: Admin) -> KeyWithToken:
    """A new key. Its token is in this answer and nowhere else; lost, the key is rotated."""
    row, token = await keys.issue(
        service.house.store,
        caller.actor,
        form.name,
        form.role,
        chains=tuple(form.networks),
        known_chains=tuple(service.settings.chains),
        rate=form.requests_per_minute,
        signed=form.signed,
        expires_in=form.expires_in,
    )
    return KeyWithToken(key=told(row, service.house.clock()), token=token)


@router.get("/v1/keys/{key_id}", response_model=Key, responses=TAGGED)
async def read_key(key_id: KeyId, request: Request, service: Serving, _: Admin) -> Response:
    """One key."""
    return tagged(request, await _key(service, key_id))


@router.post("/v1/keys/{key_id}/rotate")
async def rotate_key(key_id: KeyId, form: Rotation, request: Request, service: Serving, caller: Admin) -> KeyWithToken:
    """A new secret, good at once. The old one stays good for `grace` seconds; 0 for one that leaked."""
    require_match(request, await _key(service, key_id))
    row, token = await keys.rotate(
        service.house.store, caller.actor, key_id, grace=form.grace, expires_in=form.expires_in
    )
    return KeyWithToken(key=told(row, service.house.clock()), token=token)


@router.delete("/v1/keys/{key_id}")
async def revoke_key(key_id: KeyId, request: Request, service: Serving, caller: Admin) -> Key:
    """At once and for ever. Again changes nothing."""
    require_match(request, await _key(service, key_id))
    return told(await keys.revoke(service.house.store, caller.actor, key_id), service.house.clock())


async def _key(service: Serving, key_id: str) -> Key:
    async with service.house.store.read() as reading:
        return told(await reading.key(key_id), service.house.clock())


def told(row: KeyRow, now: int) -> Key:
    waits = row.previous is not None and now < row.previous_until
    return Key(
        id=row.id,
        name=row.name,
        role=row.role,
        state=row.state(now),
        networks=list(row.chains),
        requests_per_minute=row.rate,
        signed=row.signed,
        created=moment(row.created_at),
        rotated=moment_or_none(row.rotated_at),
        previous_secret_until=moment(row.previous_until) if waits else None,
        expires=moment_or_none(row.expires_at),
        revoked=moment_or_none(row.revoked_at),
        last_used=moment_or_none(row.used_at),
    )
