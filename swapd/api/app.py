"""The application: routers, the doors before them, and the document that describes it all.

To add routes: a module in `swapd/api/routes/` with a `router`, and its line in `ROUTERS`. Each route names its roles
(`access.allows`) and has its row in the role matrix (tests/api/test_role_matrix.py). Then `python -m docs.generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from swapd.api import document, idempotency, problems
from swapd.api.doors import Doors, doors_of, open_door
from swapd.api.routes import (
    approvals,
    audit,
    chains,
    disputes,
    events,
    health,
    keys,
    legs,
    offers,
    quotes,
    swaps,
    system,
    webhooks,
)
from swapd.api.service import Service

ROUTERS: tuple[APIRouter, ...] = (
    system.router,
    health.router,
    keys.router,
    swaps.router,
    legs.router,
    offers.router,
    quotes.router,
    chains.router,
    disputes.router,
    approvals.router,
    events.router,
    webhooks.router,
    audit.router,
)

DOCS = ("/openapi.json", "/docs")
"""Shown where `api.docs` is on, to everybody who can reach the port."""

VERSION = "1"
"""Of the interface. What is added to it keeps the number; what would break a client gets another path beside /v1."""


NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own takes bodies and stack traces along, and variables of the environment can send them anywhere (S9). What
swapd tells of requests is `telemetry/`'s."""


def make_app(service: Service, routers: Sequence[APIRouter] = ROUTERS) -> FastAPI:
    docs = service.settings.api.docs
    app = _app(routers, docs=docs)
    app.state.service = service
    problems.install(app)
    idempotency.install(app)
    shown = (open_door(path) for path in DOCS if docs)
    app.add_middleware(Doors, service=service, doors=(*doors_of(routers), *shown))
    return app


def make_document(routers: Sequence[APIRouter] = ROUTERS) -> dict[str, Any]:
    """The OpenAPI document, which needs nothing that runs."""
    return _app(routers, docs=False).openapi()


def _app(routers: Sequence[APIRouter], *, docs: bool) -> FastAPI:
    app = FastAPI(
        title="swapd",
        version=VERSION,
        summary="Atomic swaps between chains, with your own nodes and your own keys",
        openapi_url=DOCS[0] if docs else None,
        docs_url=DOCS[1] if docs else None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        telemetry=NO_TELEMETRY,
    )
    for router in routers:
        app.include_router(router)
    doors = doors_of(routers)
    app.state.doors = doors
    app.openapi = lambda: document.describe(app, doors)  # type: ignore[method-assign]
    return app


def operation_id(route: APIRoute) -> str:
    """The name of its function: a test sees that there are no two."""
    return route.name
