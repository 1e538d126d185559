"""A request that may be sent again without being done again (draft-ietf-httpapi-idempotency-key-header).

    @router.post("/v1/swaps", status_code=201)
    async def create_swap(form: ..., once: Once, ...):
        async def also(writing, terms):
            await once.remember(writing, 201, answer)
        ...

The first answer is written in the same transaction as what was done, so there is never one without the other. It is
bound to the key's holder and to method, path, query and body. A repeat never reaches the route: it gets the first
answer. Answers that are no success are not remembered, because nothing was done: a repeat tries again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from swapd.api.access import Caller, unauthorized
from swapd.api.problems import Problem
from swapd.api.service import Serving
from swapd.store import FirstAnswer, Transaction

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PATTERN = r'^("[ !#-\[\]-~]{1,128}"|[!#-~]{1,128})$'
"""A structured-field string (RFC 9651), or the same without its quotation marks, as most clients send it."""
_KEY = re.compile(PATTERN)


class OnceOnly:
    """One such request."""

    def __init__(self, holder: str, key: str, digest: str) -> None:
        self._holder, self._key, self._digest = holder, key, digest

    async def remember(self, writing: Transaction, status: int, answer: BaseModel) -> None:
        """Inside the transaction of what is done. If another worker was faster, all of it is as if it never was."""
        first = FirstAnswer(self._digest, status, answer.model_dump_json())
        if not await writing.remember_answer(self._holder, self._key, first):
            raise _in_use()


class Replayed(Exception):
    """Ends a request with its first answer."""

    def __init__(self, answer: FirstAnswer) -> None:
        self.answer = answer
        super().__init__()


async def once(
    request: Request,
    service: Serving,
    idempotency_key: Annotated[
        str | None, Header(description="Any text of your own, 1 to 128 characters, new for each new request.")
    ] = None,
) -> AsyncIterator[OnceOnly]:
    caller: Caller | None = request.scope.get("swapd.caller")
    if caller is None:
        raise unauthorized()
    if idempotency_key is None:
        raise Problem("idempotency-key-missing")
    if not _KEY.fullmatch(idempotency_key):
        expected = "1 to 128 printable ASCII characters, in quotation marks or without"
        raise Problem("invalid", f"{HEADER}: {expected}", field=HEADER, expected=expected)
    holder, key = caller.actor, idempotency_key.strip('"')
    if (holder, key) in service.under_way:
        raise _in_use()
    service.under_way.add((holder, key))
    try:
        digest = _digest(request)
        async with service.house.store.read() as reading:
            first = await reading.first_answer(holder, key)
        if first is not None and first.digest != digest:
            raise Problem("idempotency-key-reused")
        if first is not None:
            raise Replayed(first)
        yield OnceOnly(holder, key, digest)
    finally:
        service.under_way.discard((holder, key))


Once = Annotated[OnceOnly, Depends(once, scope="function")]
"""A route's parameter. The key is free again as soon as the route has returned."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(Replayed, _replay)


async def _replay(_: Request, error: Exception) -> Response:
    assert isinstance(error, Replayed)  # noqa: S101 - installed for nothing else
    return Response(error.answer.body, error.answer.status, {REPLAYED: "true"}, "application/json")


def _digest(request: Request) -> str:
    body: bytes = request.scope.get("swapd.body", b"")
    what = [request.method, request.url.path, request.url.query, hashlib.sha256(body).hexdigest()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _in_use() -> Problem:
    return Problem("idempotency-key-in-use", headers={"Retry-After": "1"})
