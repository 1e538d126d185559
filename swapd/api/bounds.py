"""What a request may be at all, before anybody looks at what it says: small, in time, and plain JSON.

Duplicate names are refused because two readers of such an object see two different amounts; NaN and the infinities
because JSON has none; lone surrogates and NUL because no database keeps them.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from swapd.api.problems import Problem
from swapd.settings.models import ApiSettings

GIVEN = frozenset(
    {"application/json", "application/problem+json", "text/event-stream", "text/plain", "application/openmetrics-text"}
)
"""Every media type that some route answers with."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NUL_IN_URL = re.compile(rb"%00|\x00")
_LENGTH = re.compile(r"[0-9]{1,15}")


def check_head(scope: Scope, settings: ApiSettings) -> None:
    """Raises the problem of a request that goes no further than its headers."""
    size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if size + len(scope.get("raw_path") or b"") + len(scope["query_string"]) > settings.header_bytes:
        raise Problem("headers-too-large")
    if _NUL_IN_URL.search(scope["query_string"]) or "\x00" in scope["path"]:
        raise Problem("malformed", "a NUL in the address")
    headers = Headers(scope=scope)
    for name in ("authorization", "content-length", "content-type", "idempotency-key", "if-match", "if-none-match"):
        if len(headers.getlist(name)) > 1:
            raise Problem("malformed", f"the header {name} comes more than once")
    if not acceptable(",".join(headers.getlist("accept"))):
        raise Problem("not-acceptable")


def acceptable(accept: str) -> bool:
    """Whether a header Accept (RFC 9110, 12.5.1) leaves room for what we give; nothing said is anything."""
    ranges = [part.strip() for part in accept.split(",") if part.strip()]
    if not ranges:
        return True
    for each in ranges:
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        refused = any(re.fullmatch(r"q=0(\.0{0,3})?", parameter) for parameter in parameters)
        family = kind.removesuffix("*") if kind.endswith("/*") else None
        if not refused and (kind in GIVEN or kind == "*/*" or (family and any(g.startswith(family) for g in GIVEN))):
            return True
    return False


async def read_body(scope: Scope, receive: Receive, settings: ApiSettings) -> bytes:
    """All of the body, however its length was announced. Raises the problem of one that is too long, too slow or not
    JSON."""
    headers = Headers(scope=scope)
    length = headers.get("content-length")
    if length is not None and (not _LENGTH.fullmatch(length) or int(length) > settings.body_bytes):
        raise Problem("too-large" if length.isdigit() else "malformed")
    try:
        async with asyncio.timeout(settings.body_seconds):
            body = await _received(receive, settings.body_bytes)
    except TimeoutError:
        raise Problem("too-slow") from None
    if body:
        check_type(headers)
        check_json(body, settings.json_depth)
    return body


async def _received(receive: Receive, most: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise Problem("too-large")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


class Disconnected(Exception):
    """The caller has gone: there is nobody to answer."""


def check_type(headers: Headers) -> None:
    kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    charsets = {p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")}
    if (
        kind != "application/json"
        or not charsets <= {"utf-8"}
        or headers.get("content-encoding", "identity") != "identity"
    ):
        raise Problem("unsupported-media-type", headers={"Accept": "application/json"})


def check_json(body: bytes, depth_max: int) -> None:
    """Depth first: reading a nest takes stack."""
    if _depth(body) > depth_max:
        raise Problem("malformed", f"the JSON is nested deeper than {depth_max}")
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise Problem("malformed", "the body is not UTF-8") from None
    except ValueError as error:
        said = f"the body is not JSON: {error}" if isinstance(error, _Refused | json.JSONDecodeError) else ""
        raise Problem("malformed", said) from None
    if b"\\u0000" in body and _has_nul(value):
        raise Problem("invalid", field="body", expected="text without NUL characters, which no database keeps")


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", body):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


class _Refused(ValueError):
    pass


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("a name comes twice in an object")
    return found


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is no JSON number")


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(each) for name, each in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
