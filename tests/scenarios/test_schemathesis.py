"""The whole API against its own document once more, with real nodes behind it, and swaps and disputes whose ids the
machine knows: a daemon goes on with all of them meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swapd.api import keys
from swapd.api.server import serving
from swapd.api.service import Service
from swapd.coordinator import agree, disputes
from swapd.devnet.ports import free_port
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import KeyRole
from tests.api.machine import LIMITS, in_a_thread, let_it_run
from tests.api.matrix import MATRIX
from tests.scenarios.chains import Chains
from tests.scenarios.rig import AMOUNTS, DIRECTIONS, Rig, new_rig
from tests.scenarios.test_external import People

SHOP = "shop"
PAUSE = 0.2
"""Seconds between two looks of the daemon."""

NEEDS_MORE = {
    "POST /v1/swaps": "two addresses that are right",
    "POST /v1/quotes": "amounts within the bounds",
    "POST /v1/swaps/{swap_id}/refund": "a timelock that has passed",
    "POST /v1/offers": "terms of another swapd",
    "POST /v1/swaps/{swap_id}/legs/{role}/transactions": "a signature",
    "POST /v1/swaps/{swap_id}/legs/{role}/consent": "a signature",
    "PUT /v1/swaps/{swap_id}/approval": "a threshold",
    "DELETE /v1/swaps/{swap_id}/approval": "a threshold",
}
"""What a machine does not find out by itself, and for what: tests/scenarios/test_api.py and its neighbours do it."""

ELSEWHERE = "^/v1/(audit|events|keys|me|settings|health|webhooks)|^/(healthz|readyz)"
"""Routes that need no chain and no swap."""


@dataclass
class Market:
    """known: ids of everything that there is."""

    tokens: dict[KeyRole, str] = field(default_factory=dict)
    known: dict[str, list[str | int]] = field(default_factory=dict)


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def served(chains: Chains, market: Market, tmp_path: Path) -> Iterator[str]:
    """The base URL of an API with all of that behind it."""
    port = free_port()
    more = LIMITS | {"SWAPD__API__ENABLED": "true", "SWAPD__API__PORT": str(port)}

    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        async with new_rig(chains, DIRECTIONS[0], tmp_path, more=more) as rig:
            await _open(rig, market)
            house = rig.house
            at_work = asyncio.create_task(_goes_on(rig))
            try:
                async with serving(Service(house.house, house.settings, house.daemon), asyncio.Event()):
                    yield f"http://127.0.0.1:{port}"
                    assert not at_work.done(), at_work
            finally:
                at_work.cancel()
                await asyncio.wait({at_work})

    with in_a_thread(serve) as base_url:
        yield base_url


async def _goes_on(rig: Rig) -> None:
    while True:
        await rig.settle()
        await asyncio.sleep(PAUSE)


async def _open(rig: Rig, market: Market) -> None:
    """A key for each role, and swaps of all kinds: done, new, funded, disputed, decided."""
    store = rig.house.house.store
    for role in KeyRole:
        name = SHOP if role is KeyRole.MARKETPLACE else role.value
        _, market.tokens[role] = await keys.issue(store, "operator", name, role)
    done = await rig.agreed(rig.house, rig.other)
    await rig.until_over(done.swap_id, Status.COMPLETED)

    people = await People.met(rig)
    brokered = [await _brokered(people) for _ in range(6)]
    for terms in brokered[:3]:
        await people.fund(people.alice, terms, Role.INITIATOR)
        await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rows = [
        await disputes.open_dispute(rig.house.house, terms.swap_id, "not delivered", "dispute:dora")
        for terms in brokered[1:5]
    ]
    await disputes.force_refund(rig.house.house, rows[0].id, "not delivered", "dispute:dora")
    market.known |= {
        "swap_id": [done.swap_id, *(terms.swap_id for terms in brokered)],
        "dispute_id": [row.id for row in rows],
    }


async def _brokered(people: People) -> SwapTerms:
    give, get = people.rig.direction.give, people.rig.direction.get
    initiator, participant = await people.side(people.alice, give, get), await people.side(people.bob, get, give)
    request = agree.Request(give, AMOUNTS[give], get, AMOUNTS[get], initiator, participant)
    terms = await agree.create(people.rig.house.house, request, f"marketplace:{SHOP}", owner=SHOP)
    await people.rig.settle()
    return terms


@pytest.mark.parametrize("examples", [2, pytest.param(100, marks=pytest.mark.full)])
def test_the_api_keeps_to_its_document_with_swaps_on_real_nodes(served: str, market: Market, examples: int) -> None:
    known = {name: tuple(ids) for name, ids in market.known.items()}
    found = let_it_run(served, market.tokens, examples=examples, known=known, but_not=ELSEWHERE)
    assert found.faults == [], "\n\n".join(found.faults)
    asked = {operation for operation, _ in found.answers}
    assert asked <= MATRIX.keys()
    assert {each for each in asked if not found.reached(each)} <= NEEDS_MORE.keys()
