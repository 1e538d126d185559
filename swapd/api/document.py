"""The OpenAPI document (3.1): what FastAPI finds in the routes, and what holds for all of them alike: who may call
them, and every problem they may end in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from swapd.api.doors import Door
from swapd.api.idempotency import HEADER, PATTERN
from swapd.api.problems import KINDS, MEDIA_TYPE

ALWAYS = (400, 406, 408, 413, 415, 422, 431, 500, 503)
"""Statuses that any route may answer with."""

GUARDED = (401, 403, 429)
"""Also those that need a key."""

CHANGING = (409, 412, 428, 502)
"""Also those that change something."""

DESCRIPTION = """
Amounts are whole numbers of the asset's smallest unit, as decimal strings. Times are Unix seconds and RFC 3339 beside
each other. Every error is a problem document (RFC 9457); its `type` is one of those in docs/problems.md.
"""


def describe(app: FastAPI, doors: Iterable[Door]) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = _described(app, tuple(doors))
    return app.openapi_schema


def _described(app: FastAPI, doors: tuple[Door, ...]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION.strip(),
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "swk_ID_SECRET"},
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": "HTTP message signature (RFC 9421) with HMAC-SHA256; the profile is in docs/api-keys.md.",
        },
    }
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    components["responses"] = {f"Problem{status}": _response(status) for status in sorted(_statuses())}
    for door in doors:
        if (operation := document["paths"].get(door.path, {}).get(door.method.lower())) is not None:
            _complete(operation, door)
    return document


def _complete(operation: dict[str, Any], door: Door) -> None:
    statuses = set(ALWAYS) | {int(status) for status in operation["responses"] if status[0] in "45"}
    if "{" in door.path:
        statuses.add(404)
    if door.roles:
        statuses |= set(GUARDED)
        operation["security"] = [{"key": []}, {"signature": []}]
        operation["x-roles"] = sorted(role.value for role in door.roles)
    if door.method not in ("GET", "HEAD"):
        statuses |= set(CHANGING)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header" and parameter["name"].lower() == HEADER.lower():
            # to FastAPI it may be missing, so that its absence has a problem of its own
            parameter |= {"required": True, "schema": {"type": "string", "pattern": PATTERN}}
    for status in statuses:
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _statuses() -> set[int]:
    return {kind.status for kind in KINDS.values()}


def _response(status: int) -> dict[str, Any]:
    kinds = {f"/problems/{name}": kind for name, kind in KINDS.items() if kind.status == status}
    return {
        "description": " ".join(f"`{name}`: {kind.meaning}" for name, kind in kinds.items()),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a request was not done (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "enum": [f"/problems/{name}" for name in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked."},
        "request_id": {"type": "string", "description": "As in X-Request-ID and in the log."},
        "field": {"type": "string", "description": "What is wrong, by its name."},
        "expected": {"type": "string", "description": "What would be right there."},
        "rule": {"type": "string", "description": "The rule that forbids it, such as S2."},
        "possible_at": {
            "type": ["integer", "null"],
            "description": "From when on it is possible, in Unix seconds; null if never.",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"type": "string", "description": "body, query, path or header."},
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)."},
                    "expected": {"type": "string"},
                },
            },
        },
    },
}
