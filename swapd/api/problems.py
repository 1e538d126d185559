"""The one shape of an error: problem details (RFC 9457).

`type` is a path, /problems/KIND, whose meaning stands in `KINDS` and in docs/problems.md. What a problem says is for
the caller: nothing of a node, of the database or of a mistake of ours is in it, only the request's id, which the log
has too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from swapd.errors import HouseOnly, Invalid, Rejected, SwapdError, Unavailable, Unknown
from swapd.store import AuditBroken, Conflict, DamagedRow, LeaseLost, NotHere

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

RETRY_SECONDS = 5
"""After which what did not answer is worth another try: a node or a database that is restarted takes as long."""


@dataclass(frozen=True)
class Kind:
    """meaning: what it says to the caller, and what to do."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "Malformed request", "It can not be read: broken JSON, a header or a path that is none."),
    "idempotency-key-missing": Kind(
        400, "Idempotency key missing", "This route acts only once for each `Idempotency-Key`: send one."
    ),
    "unauthorized": Kind(
        401,
        "Not authorized",
        "No key, or none that is good: unknown, wrong, revoked, expired, or a signature that does not fit, is too old"
        " or was used before. Which of these is not said.",
    ),
    "forbidden": Kind(403, "Forbidden", "The key is good, and its role or its networks do not allow this."),
    "not-found": Kind(404, "Not found", "There is no such route or thing, or none that this key may know of."),
    "method-not-allowed": Kind(405, "Method not allowed", "The path exists; see `Allow` for what may be done with it."),
    "not-acceptable": Kind(406, "Not acceptable", "Answers are JSON; `Accept` rules that out."),
    "too-slow": Kind(408, "Too slow", "The body did not arrive in time."),
    "conflict": Kind(409, "Conflict", "Somebody else changed it at the same moment: read it again and decide again."),
    "refused": Kind(409, "Refused", "It may not be done now; the detail says why, and `possible_at` when it may."),
    "idempotency-key-in-use": Kind(
        409, "Idempotency key in use", "A request with the same key is under way: ask again in a moment."
    ),
    "precondition-failed": Kind(412, "Precondition failed", "It has changed since: `If-Match` does not fit any more."),
    "too-large": Kind(413, "Body too large", "The body is longer than `api.body_bytes`."),
    "unsupported-media-type": Kind(415, "Unsupported media type", "A body must be `application/json`, not compressed."),
    "invalid": Kind(422, "Invalid", "It can be read and is wrong: `field` says where, `expected` what would be right."),
    "idempotency-key-reused": Kind(
        422, "Idempotency key reused", "The key came with another request before: take a new one."
    ),
    "precondition-required": Kind(428, "Precondition required", "Say with `If-Match` which state you mean."),
    "too-many-requests": Kind(429, "Too many requests", "Wait for `Retry-After` seconds."),
    "headers-too-large": Kind(431, "Headers too large", "The headers are longer than `api.header_bytes`."),
    "mistake": Kind(500, "A mistake of swapd's", "Not foreseen. The log tells more under the same `request_id`."),
    "damaged": Kind(500, "Stored data is damaged", "An operator has to look: `swapd doctor`."),
    "outcome-unknown": Kind(
        502,
        "Outcome unknown",
        "It may have happened: look before you do it again, or repeat it with its `Idempotency-Key`.",
    ),
    "unavailable": Kind(503, "Unavailable", "A node or the database does not answer. Nothing was done; try again."),
}

_BY_STATUS = {400: "malformed", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
"""Of what FastAPI and Starlette raise by themselves."""


class Problem(Exception):
    """Ends a request. more: further members, such as field, expected, rule, possible_at."""

    def __init__(self, kind: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        self.kind = KINDS[kind]
        self.type = f"/problems/{kind}"
        self.detail = detail or self.kind.meaning
        self.headers = dict(headers or {})
        self.more = {name: value for name, value in more.items() if value is not None}
        super().__init__(self.detail)

    def answer(self, path: str, request_id: str) -> JSONResponse:
        content = {
            "type": self.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": path,
            "request_id": request_id,
            **self.more,
        }
        return JSONResponse(content, self.kind.status, self.headers, MEDIA_TYPE)


def explain(error: Exception, *, ours: bool) -> Problem:
    """What an error is to the caller. ours: somebody of the house, who may read what our own nodes and database say."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _validation(error)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, "malformed" if error.status_code < 500 else "mistake")
        return Problem(kind, headers=error.headers)
    if isinstance(error, NotHere):
        return Problem("not-found", f"there is no such {error.field}")
    if isinstance(error, Invalid):
        return Problem("invalid", f"expected {error.expected}", field=error.field, expected=error.expected)
    if isinstance(error, SwapdError):
        return _of_the_house(error, ours)
    log.exception("http.mistake", exc_info=error)
    return Problem("mistake")


def _of_the_house(error: SwapdError, ours: bool) -> Problem:
    if isinstance(error, DamagedRow | AuditBroken) or _is_the_databases(error, Rejected):
        log.error("http.damaged", error=str(error))
        return Problem("damaged")
    if isinstance(error, Conflict | LeaseLost):
        return Problem("conflict", str(error))
    if isinstance(error, HouseOnly) and not ours:
        return Problem("refused", error.for_others)
    if isinstance(error, Rejected):
        more = {name: getattr(error, name, None) for name in ("rule", "possible_at")}
        return Problem("refused", str(error), **more)
    log.warning("http.trouble", error=str(error))
    words = str(error) if ours else ""
    if isinstance(error, Unknown):
        return Problem("outcome-unknown", f"the outcome is not known: {words}" if words else "")
    if isinstance(error, Unavailable):
        return Problem("unavailable", words, headers={"Retry-After": str(RETRY_SECONDS)})
    return Problem("mistake")


def _is_the_databases(error: SwapdError, kind: type[SwapdError]) -> bool:
    """A refusal of the database is a mistake of ours, and its words are about tables."""
    return type(error) is kind and isinstance(error.__cause__, SQLAlchemyError)


LONGEST_NAME = 32
"""Of a field that is told. No field of ours is longer, and every secret is."""


def _validation(error: RequestValidationError) -> Problem:
    """Each fault with a pointer (RFC 6901) into the body, or the name of a parameter. What was sent is not repeated, a
    long name of a field that is none of ours included: it may be a secret in the wrong place."""
    faults = [
        {"in": str(each["loc"][0]), "pointer": _pointer(each["loc"][1:]), "expected": _plain(each)}
        for each in error.errors()[:20]
    ]
    field = ".".join(map(_name, error.errors()[0]["loc"][1:])) or str(error.errors()[0]["loc"][0])
    expected = str(faults[0]["expected"])
    return Problem("invalid", f"{field}: {expected}", field=field, expected=expected, errors=faults)


def _pointer(location: tuple[object, ...]) -> str:
    return "".join("/" + _name(part).replace("~", "~0").replace("/", "~1") for part in location)


def _name(part: object) -> str:
    text = str(part)
    return text if len(text) <= LONGEST_NAME else "..."


def _plain(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return "no such field"
    return str(fault["msg"]).removeprefix("Input should be ")


async def _answer(request: Request, error: Exception) -> JSONResponse:
    caller = request.scope.get("swapd.caller")
    problem = explain(error, ours=caller is not None and caller.of_the_house)
    return problem.answer(request.url.path, request.scope.get("swapd.request_id", ""))


def install(app: FastAPI) -> None:
    """Every error of any route becomes a problem."""
    for kind in (Problem, RequestValidationError, HTTPException, SwapdError):
        app.add_exception_handler(kind, _answer)
