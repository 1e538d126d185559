"""What may happen to a swap while its daemons are killed: one function a story, from blocks and moments to its ending.

A story is told step by step: before each step both daemons have done all that they can, and it yields what it waits
for, a block or a moment. Killed daemons are started again by `play.py`; here only those are stopped that have to be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from swapd.coordinator import agree
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms, Wallet
from swapd.store import SwapRow
from tests.chains.icp.market import HOT, external
from tests.crash.party import Party
from tests.crash.world import World
from tests.scenarios.rig import AMOUNTS, CHAIN, Direction

FOLLOWED_BLOCKS = 4
"""After an ending without a lock: what was signed for one may still have to be called off."""

Step = int | None
"""A moment to wait for, Unix seconds; None: the next block."""


@dataclass
class Stage:
    """One swap between two parties."""

    world: World
    pair: Direction
    initiator: Party
    participant: Party
    swap_id: str = ""
    terms: SwapTerms | None = None
    holding: bool = False
    """No transaction gets into a Bitcoin block."""

    @property
    def parties(self) -> tuple[Party, Party]:
        return self.initiator, self.participant

    async def agreed(self) -> SwapTerms:
        """Both sides take part."""
        index, receiver, sender = await agree.reserve_keys(
            self.participant.house, CHAIN[self.pair.give], CHAIN[self.pair.get]
        )
        request = agree.Request(
            *(self.pair.give, AMOUNTS[self.pair.give], self.pair.get, AMOUNTS[self.pair.get]),
            initiator=agree.Side(Wallet.HOT),
            participant=agree.Side(Wallet.EXTERNAL, sender.identity, receiver.identity, claims_itself=True),
        )
        terms = await agree.create(self.initiator.house, request, "operator")
        await agree.accept(self.participant.house, terms, index, "operator")
        self.swap_id, self.terms = terms.swap_id, terms
        return terms

    async def row(self, party: Party) -> SwapRow:
        async with party.house.store.read() as reading:
            return await reading.swap(self.swap_id)

    async def over(self, *parties: Party) -> bool:
        """Whether these have ended the swap, with nothing left to send or to follow."""
        for party in parties:
            async with party.house.store.read() as reading:
                ended = (await reading.swap(self.swap_id)).status.ended
                if not ended or self.swap_id in await reading.unfinished():
                    return False
        return True


Story = AsyncIterator[Step]


@dataclass(frozen=True)
class Situation:
    """tell: the story. ends: with which status. moves: whether the amounts change hands. locks: how often each leg is
    locked on its chain. prelude: a point at which the initiator dies before the one that is looked at, and, if this is
    late, stays so until the story starts it again. alone: only the initiator is a swapd, and it takes requests. gives:
    what the initiator may give for it."""

    name: str
    tell: Callable[[Stage], Story]
    ends: Status
    moves: bool = False
    locks: tuple[int, int] = (1, 1)
    prelude: str | None = None
    late: bool = False
    alone: bool = False
    gives: tuple[str, ...] = ("BTC", "ETH", "ICP")


async def _completed(stage: Stage) -> Story:
    while not await stage.over(*stage.parties):
        yield None


async def _refunded(stage: Stage) -> Story:
    """Both lock, and the initiator is away until it is too late to show its secret."""
    assert stage.terms is not None
    initiator, participant = stage.parties
    while (await stage.row(initiator)).legs[Role.INITIATOR].view.state is not LegState.LOCKED:
        yield None
    await initiator.daemon.kill()
    leg = stage.terms.participant
    while True:
        view = (await stage.row(participant)).legs[Role.PARTICIPANT].view
        if view.state is LegState.LOCKED and view.depth >= leg.confirmations:
            break
        yield None
    yield stage.terms.reveal_by + 1
    await initiator.daemon.start()
    yield None
    yield stage.terms.participant.terms.timelock + 1
    for _ in range(3):
        yield None
    yield stage.terms.initiator.terms.timelock + 1
    while not await stage.over(*stage.parties):
        yield None


async def _late(stage: Stage) -> Story:
    """Dead with a signed lock that was not sent, until it is too late to send it."""
    assert stage.terms is not None
    while stage.initiator.daemon.running:
        yield None
    yield stage.terms.participant.terms.fund_by + 1
    await stage.initiator.daemon.start()
    while not all([(await stage.row(party)).status.ended for party in stage.parties]):
        yield None
    for _ in range(FOLLOWED_BLOCKS):
        yield None


async def _stuck(stage: Stage) -> Story:
    """The initiator's bitcoin wait in the mempool, for more fee each time, until it is too late and they come back."""
    assert stage.terms is not None
    stage.holding = True
    yield None
    yield stage.terms.initiator.lock_by - 120
    yield None
    yield stage.terms.initiator.terms.fund_by + 1
    while not await _taken_back(stage):
        yield None
    stage.holding = False
    while not await stage.over(*stage.parties):
        yield None


async def _taken_back(stage: Stage) -> bool:
    """Whether the last that was sent for the lock takes it back."""
    async with stage.initiator.house.store.read() as reading:
        effects = await reading.effects(stage.swap_id)
    sent = [attempt for effect in effects for attempt in effect.attempts if attempt.sent_at is not None]
    return bool(sent) and sent[-1].voiding


async def _asked_for(stage: Stage) -> Story:
    """Somebody asks on a chain, is answered there, and never locks."""
    initiator, world = stage.initiator, stage.world
    address = [await _address(stage, symbol) for symbol in (stage.pair.get, stage.pair.give)]
    await world.ask(
        initiator.market,
        {
            "give": stage.pair.give,
            "give_amount": AMOUNTS[stage.pair.give],
            "get": stage.pair.get,
            "get_amount": AMOUNTS[stage.pair.get],
            "initiator": HOT,
            "participant": external(*address),
        },
    )
    while not stage.swap_id:
        yield None
        async with initiator.house.store.read() as reading:
            for row in (await reading.swaps()).swaps:
                stage.swap_id, stage.terms = row.id, row.terms
    assert stage.terms is not None
    while (await stage.row(initiator)).legs[Role.INITIATOR].view.state is not LegState.LOCKED:
        yield None
    yield stage.terms.initiator.terms.timelock + 1
    while not await stage.over(initiator):
        yield None


async def _refused(stage: Stage) -> Story:
    """The same, and it can not be."""
    wanted: dict[str, Any] = {"give_amount": 1, "get_amount": 1}
    address = [await _address(stage, symbol) for symbol in (stage.pair.get, stage.pair.give)]
    sides = {"initiator": HOT, "participant": external(*address)}
    await stage.world.ask(stage.initiator.market, {"give": stage.pair.give, "get": stage.pair.get} | wanted | sides)
    while True:
        yield None
        async with stage.initiator.house.store.read() as reading:
            if any(row.state.value == "answered" for row in (await reading.requests()).requests):
                return


async def _address(stage: Stage, symbol: str) -> str:
    place = stage.participant.account.at[CHAIN[symbol]]
    if symbol != "BTC":
        return place
    address: str = await stage.world.bitcoind.rpc("getnewaddress", "", "bech32", wallet=place)
    return address


MAIN = (
    Situation("completed", _completed, Status.COMPLETED, moves=True),
    Situation("refunded", _refunded, Status.REFUNDED),
)
"""Both endings: every point is tried in both."""

BESIDE = (
    Situation("late", _late, Status.EXPIRED, locks=(0, 0), prelude="execute.signed", late=True),
    Situation("stuck", _stuck, Status.EXPIRED, locks=(0, 0), gives=("BTC",)),
    Situation("resent", _completed, Status.COMPLETED, moves=True, prelude="execute.sent"),
    Situation("asked_for", _asked_for, Status.REFUNDED, locks=(1, 0), alone=True),
    Situation(
        "answered_again",
        _asked_for,
        Status.REFUNDED,
        locks=(1, 0),
        prelude="requests.answer.signed",
        alone=True,
    ),
    Situation("refused", _refused, Status.EXPIRED, locks=(0, 0), alone=True),
)
"""For points at which a daemon comes by in neither of them."""

SITUATIONS = {each.name: each for each in (*MAIN, *BESIDE)}
