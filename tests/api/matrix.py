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
    "GET /v1/events": frozenset({M, O, D, AU}),
    "GET /v1/events/stream": frozenset({M, O, D, AU}),
    "GET /v1/webhooks": frozenset({M, O, AU}),
    "POST /v1/webhooks": frozenset({M, O}),
    "GET /v1/webhooks/{webhook_id}": frozenset({M, O, AU}),
    "DELETE /v1/webhooks/{webhook_id}": frozenset({M, O}),
    "POST /v1/webhooks/{webhook_id}/pause": frozenset({M, O}),
    "POST /v1/webhooks/{webhook_id}/resume": frozenset({M, O}),
    "POST /v1/webhooks/{webhook_id}/ping": frozenset({M, O}),
    "POST /v1/webhooks/{webhook_id}/rotate": frozenset({M, O}),
    "POST /v1/webhooks/{webhook_id}/replay": frozenset({M, O}),
    "GET /v1/webhooks/{webhook_id}/deliveries": frozenset({M, O, AU}),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": frozenset({M, O}),
    "GET /v1/audit": frozenset({O, D, AU}),
    "GET /v1/audit/head": frozenset({M, O, D, AU}),
    "GET /v1/audit/{seq}/proof": frozenset({M, O, D, AU}),
}
"""Of every route that needs a key."""

OPEN: frozenset[str] = frozenset()
"""Those for everybody."""

SAMPLES: dict[str, str] = {
    "key_id": "0123456789abcdef",
    "webhook_id": "wh_0123456789abcdef",
    "delivery_id": "msg_0123456789abcdef0123456789abcdef",
    "seq": "999999999",
}
"""A value for each name in a path, of a thing that there is not."""
