"""Pages: `?limit=` and `?cursor=`.

A cursor is sealed under the database's key, for one route, one caller's view and one set of filters: it tells nothing,
can not be made up, and used anywhere else it is refused. It says where a page ended, so rows that come meanwhile move
nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Query, Request

from swapd.api.access import Caller
from swapd.api.problems import Problem
from swapd.api.service import Serving
from swapd.errors import SwapdError
from swapd.store.codec import Json, canonical, parse

PAGE_DEFAULT = 50
PAGE_MAX = 200
CURSOR_MAX = 1_000

_OWN = ("cursor", "limit")


class Page:
    """limit: how many to give at most. position: what `cursor` was called with for the page before, None on the
    first."""

    def __init__(
        self,
        request: Request,
        service: Serving,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")] = PAGE_DEFAULT,
        cursor: Annotated[
            str | None,
            Query(
                pattern="^[A-Za-z0-9_-]*$",
                max_length=CURSOR_MAX,
                description="`next` of the page before.",
                examples=[None],
            ),
        ] = None,
    ) -> None:
        caller: Caller | None = request.scope.get("swapd.caller")
        filters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _OWN)
        view = [request.url.path, caller.tenant if caller else "", [list(each) for each in filters]]
        self._place = f"cursor/{view!r}"
        self._store = service.house.store
        self.limit = limit
        self.position: list[Json] | None = None if cursor is None else self._opened(cursor)

    def cursor(self, *position: Json) -> str:
        """What leads to the page after `position`."""
        sealed = self._store.seal(self._place, canonical(list(position)).encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _opened(self, cursor: str) -> list[Json]:
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            position = parse(self._store.unseal(self._place, sealed).decode())
        except (SwapdError, binascii.Error, ValueError):
            position = None
        if not isinstance(position, list):
            expected = "`next` of the page before, with the same filters"
            raise Problem("invalid", f"cursor: {expected}", field="cursor", expected=expected)
        return position


Paged = Annotated[Page, Depends(Page)]
"""A route's parameter."""
