"""Entity tags (RFC 9110, section 13): nothing is sent twice that has not changed, and nothing is done on an old
reading."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from swapd.api.problems import Problem

_TAGS = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


TAGGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It has not changed: the tag is in `If-None-Match`. Without a body."}
}
"""`responses=TAGGED` of a route that answers with `tagged`."""


def etag(content: bytes) -> str:
    """A strong one: equal bytes, equal tag."""
    return f'"{base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:18]).decode()}"'


def tagged(request: Request, answer: BaseModel, status: int = 200) -> Response:
    """The answer with its tag; 304 without it for who has it already. For routes that read."""
    body = answer.model_dump_json().encode()
    tag = etag(body)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _names(request.headers.get("if-none-match", ""), tag, weak=True):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


def as_it_is(answer: BaseModel) -> Response:
    """The answer without a tag, for long lists whose cursors are new each time: written once, where the framework
    would check every field of it a second time."""
    return Response(answer.model_dump_json(), media_type="application/json")


def require_match(request: Request, current: BaseModel, *, needed: bool = False) -> None:
    """For routes that change what `tagged` showed: `If-Match` must name its tag (412). needed: it must be there
    (428)."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        if needed:
            raise Problem("precondition-required")
        return
    if not _names(wanted, etag(current.model_dump_json().encode()), weak=False):
        raise Problem("precondition-failed")


def _names(header: str, tag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    found = _TAGS.findall(header)
    return tag in ([each.removeprefix("W/") for each in found] if weak else found)
