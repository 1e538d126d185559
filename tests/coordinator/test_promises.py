"""What swapd's wallets hold is promised once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from swapd.chains.base import ChainClock, Tip
from swapd.coordinator import agree
from swapd.coordinator.funds import NotEnough
from swapd.protocol.terms import Leg, Role, Wallet
from tests.coordinator.world import Away, Rooms
from tests.store.store_samples import AMOUNTS, add_swap, decision, get, lease, locked, make_terms

NEEDED = AMOUNTS[Role.PARTICIPANT]
"""Of ETH, by each swap."""


class Paying(Away):
    """While it is asked what its wallet holds, which is enough for one swap and a half, the first one is paid."""

    rooms: Rooms
    swap_id: str

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        return {leg.terms.asset.symbol: leg.terms.amount if leg.funded_by is Wallet.HOT else 0}

    async def balances(self) -> Mapping[str, int]:
        held = {"ETH": NEEDED * 3 // 2}
        fence = await lease(self.rooms.store, self.swap_id)
        async with self.rooms.store.write() as writing:
            row = await writing.swap(self.swap_id)
            await writing.record_decision(row, fence, decision(), {Role.PARTICIPANT: locked()})
        return held

    async def clock(self) -> ChainClock:
        return ChainClock(Tip(1, "tip", self.rooms.clock.now), self.rooms.clock.now)


async def test_what_is_paid_between_two_questions_is_not_promised_again(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def enough(*_: object) -> None:
        """What holds in the transaction is another test's."""

    monkeypatch.setattr(agree, "require_room", enough)
    first = await add_swap(rooms.store)
    for name in rooms.chains:
        chain = Paying(name)
        chain.rooms, chain.swap_id = rooms, first
        rooms.chains[name] = chain
    second = make_terms((await get(rooms.store, first)).terms.index + 1)
    with pytest.raises(NotEnough):
        await agree._store(rooms.house, second, "tester")
    async with rooms.store.read() as reading:
        assert await reading.reserved(rooms.clock.now) == {}, "it was paid meanwhile"
        assert not await reading.knows(second.swap_id)
