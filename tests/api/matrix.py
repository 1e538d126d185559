"""Which role may use which route. Written by hand: the tests hold the routes to it, not the other way round."""

from __future__ import annotations

from swapd.store import KeyRole

M, O, D, AU, AD = KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR, KeyRole.ADMIN  # noqa: E741
ALL = frozenset(KeyRole)
HOUSE = ALL - {M}
READERS = ALL - {AD}
"""Who reads swaps: an admin has keys in its hands, and needs no more."""

MATRIX: dict[str, frozenset[KeyRole]] = {
    "GET /v1/me": ALL,
    "GET /v1/settings": frozenset({O, AU, AD}),
    "GET /v1/keys": frozenset({AD}),
    "POST /v1/keys": frozenset({AD}),
    "GET /v1/keys/{key_id}": frozenset({AD}),
    "POST /v1/keys/{key_id}/rotate": frozenset({AD}),
    "DELETE /v1/keys/{key_id}": frozenset({AD}),
    "GET /v1/health": HOUSE,
    "GET /metrics": frozenset({O, AU}),
    "GET /v1/chains": ALL,
    "GET /v1/wallets": frozenset({O, AU}),
    "POST /v1/quotes": frozenset({M, O}),
    "POST /v1/swaps": frozenset({M, O}),
    "GET /v1/swaps": READERS,
    "GET /v1/swaps/{swap_id}": READERS,
    "GET /v1/swaps/{swap_id}/timeline": READERS,
    "POST /v1/swaps/{swap_id}/cancel": frozenset({M, O}),
    "POST /v1/swaps/{swap_id}/refund": frozenset({M, O, D}),
    "GET /v1/swaps/{swap_id}/legs/{role}/funding": frozenset({M, O, D}),
    "GET /v1/swaps/{swap_id}/legs/{role}/claim": frozenset({M, O, D}),
    "GET /v1/swaps/{swap_id}/legs/{role}/refund": frozenset({M, O, D}),
    "POST /v1/swaps/{swap_id}/legs/{role}/transactions": frozenset({M, O, D}),
    "GET /v1/swaps/{swap_id}/legs/{role}/consent": frozenset({M, O, D}),
    "POST /v1/swaps/{swap_id}/legs/{role}/consent": frozenset({M, O, D}),
    "POST /v1/reservations": frozenset({O}),
    "GET /v1/swaps/{swap_id}/offer": frozenset({O}),
    "POST /v1/offers": frozenset({O}),
    "POST /v1/swaps/{swap_id}/disputes": frozenset({D}),
    "GET /v1/swaps/{swap_id}/disputes": READERS,
    "GET /v1/disputes": READERS - {M},
    "GET /v1/disputes/{dispute_id}": READERS,
    "POST /v1/disputes/{dispute_id}/notes": frozenset({D}),
    "POST /v1/disputes/{dispute_id}/resume": frozenset({D}),
    "POST /v1/disputes/{dispute_id}/force-refund": frozenset({D}),
    "GET /v1/swaps/{swap_id}/evidence": READERS - {M},
    "GET /v1/swaps/{swap_id}/approvals": READERS,
    "PUT /v1/swaps/{swap_id}/approval": frozenset({O}),
    "DELETE /v1/swaps/{swap_id}/approval": frozenset({O}),
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

OPEN: frozenset[str] = frozenset({"GET /healthz", "GET /readyz"})
"""Those for everybody."""

SAMPLES: dict[str, str] = {
    "swap_id": "0123456789abcdef",
    "role": "initiator",
    "dispute_id": "999999999",
    "key_id": "0123456789abcdef",
    "webhook_id": "wh_0123456789abcdef",
    "delivery_id": "msg_0123456789abcdef0123456789abcdef",
    "seq": "999999999",
}
"""A value for each name in a path, of a thing that there is not."""
