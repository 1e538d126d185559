"""Which role may use which route. Written by hand: the tests hold the routes to it, not the other way round."""

from __future__ import annotations

from swapd.store import KeyRole

M, O, D, AU, AD = KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR, KeyRole.ADMIN  # noqa: E741
ALL = frozenset(KeyRole)
HOUSE = ALL - {M}

MATRIX: dict[str, frozenset[KeyRole]] = {
    "GET /v1/me": ALL,
    "GET /v1/settings": frozenset({O, AU, AD}),
    "GET /v1/keys": frozenset({AD}),
    "POST /v1/keys": frozenset({AD}),
    "GET /v1/keys/{key_id}": frozenset({AD}),
    "POST /v1/keys/{key_id}/rotate": frozenset({AD}),
    "DELETE /v1/keys/{key_id}": frozenset({AD}),
}
"""Of every route that needs a key."""

OPEN: frozenset[str] = frozenset()
"""Those for everybody."""

SAMPLES: dict[str, str] = {"key_id": "0123456789abcdef"}
"""A value for each name in a path, of a thing that there is not."""
