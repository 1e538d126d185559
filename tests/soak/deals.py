"""Random swaps between the traders, and what their owners do beside the rules: not accept, stay away, call off."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from swapd.coordinator import agree
from swapd.errors import SwapdError
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms, Wallet
from swapd.store import SwapRow
from tests.crash.world import World
from tests.scenarios.rig import CHAIN
from tests.soak.log import Log
from tests.soak.trader import Trader

AMOUNTS = {"BTC": (200_000, 3_000_000), "ETH": (2 * 10**16, 2 * 10**18), "ICP": (10**8, 50 * 10**8)}
SYMBOLS = tuple(AMOUNTS)
OPEN_MOST = 8
MOST_WAITING = 8
"""Swaps begun until time is moved to the next timelock of those that wait for one."""

KINDS = {"plain": 10, "not accepted": 2, "called off": 3, "never locks": 2, "stays away": 2}
"""How often which. never locks: the participant has accepted, and its daemon is down. stays away: the initiator's
daemon is down once its own leg is locked. Both only with the sleeper, whose other money is nowhere at such times."""

Story = AsyncIterator[None]


@dataclass
class Deal:
    """One swap, as it was meant."""

    kind: str
    give: str
    give_amount: int
    get: str
    get_amount: int
    initiator: Trader
    participant: Trader
    terms: SwapTerms
    accepted: bool
    story: Story | None = None

    @property
    def swap_id(self) -> str:
        return self.terms.swap_id

    @property
    def parties(self) -> tuple[Trader, ...]:
        return (self.initiator, self.participant) if self.accepted else (self.initiator,)

    async def row(self, trader: Trader) -> SwapRow:
        async with trader.house.store.read() as reading:
            return await reading.swap(self.swap_id)

    async def over(self) -> bool:
        """Ended for everybody, with nothing left to send or to follow."""
        for trader in self.parties:
            async with trader.house.store.read() as reading:
                ended = (await reading.swap(self.swap_id)).status.ended
                if not ended or self.swap_id in await reading.unfinished():
                    return False
        return True

    def moments(self) -> list[int]:
        """At which something may be done, or may not be done any more (Unix seconds)."""
        terms = self.terms
        legs = [moment for leg in terms.legs for moment in (leg.lock_by, leg.terms.fund_by, leg.terms.timelock)]
        return [*legs, terms.reveal_by]

    def __str__(self) -> str:
        return (
            f"swap {self.swap_id} ({self.kind}): {self.initiator.name} gives {self.give_amount} {self.give} to "
            f"{self.participant.name} for {self.get_amount} {self.get}"
        )


@dataclass
class Deals:
    """sleeper: the last of the traders, who has one swap at a time and may stay away from it for long. refused: why
    swaps were not begun."""

    world: World
    traders: list[Trader]
    dice: random.Random
    log: Log
    all: list[Deal] = field(default_factory=list)
    open: list[Deal] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    began_since_jump: int = 0

    @property
    def sleeper(self) -> Trader:
        return self.traders[-1]

    @property
    def full(self) -> bool:
        return len(self.open) >= OPEN_MOST or self.began_since_jump >= MOST_WAITING

    async def maybe(self) -> None:
        """Begin one, if the dice say so and not too many are open."""
        if self.full or self.dice.random() < 0.3:
            return
        kind = self.dice.choices(list(KINDS), list(KINDS.values()))[0]
        sleepy = kind in ("never locks", "stays away")
        busy = any(self.sleeper in (deal.initiator, deal.participant) for deal in self.open)
        if sleepy and (busy or self.sleeper.down):
            return
        pool = self.traders[:-1]
        initiator, participant = self.dice.sample(pool, 2)
        if kind == "never locks":
            participant = self.sleeper
        elif kind == "stays away":
            initiator = self.sleeper
        if initiator.disturbed or participant.disturbed:
            return  # the owners of others would wait, and everything here with them
        try:
            await self._begin(kind, initiator, participant)
        except SwapdError as error:
            self.refused[type(error).__name__] += 1
            self.log.say(f"not begun between {initiator.name} and {participant.name}: {error}")

    async def _begin(self, kind: str, initiator: Trader, participant: Trader) -> None:
        give, get = self.dice.sample(SYMBOLS, 2)
        amounts = self.dice.randint(*AMOUNTS[give]), self.dice.randint(*AMOUNTS[get])
        if kind == "never locks":
            await participant.kill()
        index, receiver, sender = await agree.reserve_keys(participant.house, CHAIN[give], CHAIN[get])
        request = agree.Request(
            *(give, amounts[0], get, amounts[1]),
            initiator=agree.Side(Wallet.HOT),
            participant=agree.Side(Wallet.EXTERNAL, sender.identity, receiver.identity, claims_itself=True),
        )
        terms = await agree.create(initiator.house, request, "operator")
        deal = Deal(kind, give, amounts[0], get, amounts[1], initiator, participant, terms, accepted=False)
        self.all.append(deal)
        self.open.append(deal)
        self.began_since_jump += 1
        self.log.say(f"begun: {deal}")
        if kind != "not accepted":
            try:
                await agree.accept(participant.house, terms, index, "operator")
                deal.accepted = True
            except SwapdError as error:
                self.log.say(f"{deal.swap_id} not accepted: {error}")
        deal.story = {"called off": self._called_off, "never locks": self._never_locks, "stays away": self._away}.get(
            kind, self._plain
        )(deal)
        if kind == "called off":
            await self._go_on(deal)

    async def step(self) -> None:
        """What the owners do in this minute."""
        for deal in list(self.open):
            await self._go_on(deal)
            if deal.story is None and await deal.over():
                self.open.remove(deal)
                ends = [f"{trader.name}: {(await deal.row(trader)).status.value}" for trader in deal.parties]
                self.log.say(f"over: {deal.swap_id}, {', '.join(ends)}")

    async def _go_on(self, deal: Deal) -> None:
        if deal.story is None or any(trader.disturbed for trader in deal.parties):
            return
        try:
            await anext(deal.story)
        except StopAsyncIteration:
            deal.story = None
        except SwapdError as error:
            deal.story = None
            self.log.say(f"{deal.swap_id}: {error}")

    async def wake(self) -> None:
        """Nobody stays away any longer."""
        if self.sleeper.down:
            await self.sleeper.revive()
        for deal in self.open:
            deal.story = None

    # -- stories ---------------------------------------------------------------------------------------------------

    async def _plain(self, _: Deal) -> Story:
        return
        yield

    async def _called_off(self, deal: Deal) -> Story:
        """At once by who would lock first, or later by either: a fast machine has locked after a minute."""
        waits = self.dice.choice([0, 0, 0, 1, 2, 4])
        for _ in range(waits):
            yield
        trader = self.dice.choice(deal.parties) if waits else deal.initiator
        async with trader.house.store.write("operator") as writing:
            await writing.cancel(deal.swap_id, "the soak says so")
        self.log.say(f"{deal.swap_id} called off by {trader.name}")

    async def _never_locks(self, deal: Deal) -> Story:
        """Until a moment after it may not lock any more."""
        terms = deal.terms
        until = self.dice.choice([terms.participant.terms.fund_by, terms.participant.terms.timelock])
        while self.world.now <= until:
            yield
        await self.sleeper.revive()

    async def _away(self, deal: Deal) -> Story:
        """Once its leg is locked, until a moment after which it may not show its secret; unless it has done that."""
        while (await deal.row(self.sleeper)).legs[Role.INITIATOR].view.state is not LegState.LOCKED:
            if self.world.now > deal.terms.reveal_by:
                return
            yield
        for _ in range(self.dice.randrange(3)):
            yield
        while self.sleeper.down:  # by the weather, which starts it again
            yield
        await self.sleeper.kill()
        row = await deal.row(self.sleeper)
        if row.reveal_sent or row.status in (Status.REDEEMING, Status.COMPLETED):
            await self.sleeper.revive()
            return
        self.log.say(f"{deal.swap_id}: {self.sleeper.name} stays away")
        terms = deal.terms
        until = self.dice.choice([terms.reveal_by, terms.participant.terms.timelock, terms.initiator.terms.timelock])
        while self.world.now <= until:
            yield
        await self.sleeper.revive()
