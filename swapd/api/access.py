"""Who may do what.

    @router.get("/v1/swaps")
    async def list_swaps(caller: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.MARKETPLACE))]) -> ...

Every route names its roles, or is marked with `open_route`; an app with one that does neither is not made. By the time
a route runs, `doors.Doors` has found out who the caller is; here is only asked whether it may."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from swapd.api.problems import Problem
from swapd.store import KeyRole, KeyRow

HOUSE = ""
"""The owner of swaps that no marketplace made."""

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Caller:
    """Who asks. name: of the key, and of its holder: it stays the same when the key is rotated. networks: the chains it
    may use; none means all. tenant: the owner of what it makes, "" for the house."""

    key_id: str
    name: str
    role: KeyRole
    networks: tuple[str, ...] = ()

    @property
    def of_the_house(self) -> bool:
        return self.role is not KeyRole.MARKETPLACE

    @property
    def tenant(self) -> str:
        return HOUSE if self.of_the_house else self.name

    @property
    def actor(self) -> str:
        """As the audit chain names it."""
        return f"{self.role.value}:{self.name}"

    def sees(self, owner: str) -> bool:
        """Whether what belongs to this owner is there for the caller: a marketplace sees its own and nothing else."""
        return self.of_the_house or owner == self.tenant

    def require_networks(self, *chains: str) -> None:
        """Raises a 403 problem for a chain that the key may not use."""
        for chain in chains:
            if self.networks and chain not in self.networks:
                raise Problem("forbidden", f"this key may use {', '.join(self.networks)} only, and not {chain}")


def caller_of(key: KeyRow) -> Caller:
    return Caller(key.id, key.name, key.role, key.chains)


class Allows:
    """A dependency: the caller, if its role is one of these."""

    def __init__(self, *roles: KeyRole) -> None:
        if not roles:
            raise ValueError("a route for nobody")
        self.roles = frozenset(roles)

    async def __call__(self, request: Request) -> Caller:
        caller: Caller | None = request.scope.get("swapd.caller")
        if caller is None:  # the doors let nobody in without: a route that is reached past them is closed
            raise unauthorized()
        require_role(caller, self.roles)
        return caller


def require_role(caller: Caller, roles: Set[KeyRole]) -> None:
    if caller.role not in roles:
        wanted = ", ".join(sorted(role.value for role in roles))
        raise Problem("forbidden", f"this is for {wanted}; the key {caller.name} is for {caller.role.value}")


def allows(*roles: KeyRole) -> Allows:
    return Allows(*roles)


def anyone() -> Allows:
    """Whoever has a key."""
    return Allows(*KeyRole)


def unauthorized(detail: str = "") -> Problem:
    """One answer for all that can be wrong with a key, so that nobody learns which ones there are."""
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="swapd"'})


def open_route(endpoint: _F) -> _F:
    """For everybody, without a key. Say nothing there that not everybody may know."""
    return _marked(endpoint, "open")


def exit_route(endpoint: _F) -> _F:
    """A way out of a swap: never limited by rates (rule S8)."""
    return _marked(endpoint, "exit")


def stream_route(endpoint: _F) -> _F:
    """Its answer does not end: it takes no place among the key's other requests, and has a limit of its own."""
    return _marked(endpoint, "stream")


def marks(endpoint: Callable[..., Any]) -> frozenset[str]:
    return getattr(endpoint, "swapd_marks", frozenset())


def _marked(endpoint: _F, mark: str) -> _F:
    endpoint.swapd_marks = marks(endpoint) | {mark}  # type: ignore[attr-defined]
    return endpoint
