"""A side's API, spoken to as its users do: over HTTP, with a key for each role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from swapd.api import keys
from swapd.api.app import make_app
from swapd.api.service import Service
from swapd.protocol.request import Side as Party
from swapd.store import KeyRole
from tests.scenarios.side import Side

Json = dict[str, Any]


class Http:
    """Asks and expects an answer of this status; anything else fails with what was said."""

    def __init__(self, client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
        self._client = client
        self.tokens = tokens

    async def ask(self, who: str, method: str, path: str, form: Json | None = None, status: int = 200) -> Json:
        """who: the name of a key. A request that makes something gets an idempotency key of its own."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": str(uuid4())}
        answer = await self._client.request(method, path, json=form, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    async def get(self, who: str, path: str, status: int = 200) -> Json:
        return await self.ask(who, "GET", path, None, status)

    async def post(self, who: str, path: str, form: Json | None = None, status: int = 200) -> Json:
        return await self.ask(who, "POST", path, form, status)


PEOPLE = {
    "shop": KeyRole.MARKETPLACE,
    "stall": KeyRole.MARKETPLACE,
    "olga": KeyRole.OPERATOR,
    "otto": KeyRole.OPERATOR,
    "dora": KeyRole.DISPUTE,
    "aud": KeyRole.AUDITOR,
}
"""By the name of the key."""


@asynccontextmanager
async def http_of(side: Side, tokens: dict[str, str] | None = None) -> AsyncIterator[Http]:
    """The doors of this very daemon, open until the end of the block. tokens: as they were issued before a restart."""
    service = Service(side.house, side.settings, side.daemon)
    if tokens is None:
        issued = {name: await keys.issue(side.house.store, "operator", name, role) for name, role in PEOPLE.items()}
        tokens = {name: token for name, (_, token) in issued.items()}
    transport = httpx.ASGITransport(make_app(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://swapd") as client:
        yield Http(client, tokens)


def party(side: Party) -> Json:
    """As the form of a swap takes it."""
    given = {"wallet": side.wallet.value, "refund_to": side.refund_to, "receive_at": side.receive_at}
    return {**{name: value for name, value in given.items() if value is not None}, "claims_itself": side.claims_itself}
