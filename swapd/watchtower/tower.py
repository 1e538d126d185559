"""The watchtower's one loop: read the packets, look at the chains, ask the core what is due, and send it.

It decides as swapd does, by `decide`, with entry closed for ever and a memory that may be out of date; and it waits a
while, so that it does not race a swapd that is well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import structlog

from swapd.chains.base import Health, HtlcChain, WatchedLeg
from swapd.coordinator.house import wall_clock
from swapd.errors import SwapdError, Unavailable
from swapd.protocol.decide import Clocks, Decision, decide
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.terms import Role
from swapd.watchtower.act import Errand, Hand, as_urgent_as, sendable, waits_until
from swapd.watchtower.packet import Packet
from swapd.watchtower.post import Post
from swapd.watchtower.shelf import Shelf
from swapd.watchtower.state import States

log = structlog.get_logger()

AT_ONCE = 8
"""Swaps looked at at the same time: most of each is waiting for a node."""

EXAMINE_EVERY = 30
"""Looks. With twenty seconds between two, gas that runs out is told within ten minutes."""

LONGEST_STEP = 60.0
"""Seconds for one errand; what it had sent is looked up at the next look."""

FORGET_AFTER = 90 * 86_400
"""Seconds after its longer timelock from which an ended swap's packet is not looked at any more, as in swapd itself."""


@dataclass(frozen=True)
class Standing:
    """What one look showed of one swap. errands: what is due, by the time from which the tower does it itself.
    trouble: in words."""

    packet: Packet
    views: Mapping[Role, LegView]
    clocks: Clocks
    decision: Decision
    errands: Sequence[tuple[int, Errand]] = ()
    trouble: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        status = self.decision.status
        holding = (LegState.UNKNOWN, LegState.SEEN, LegState.LOCKED)
        held = any(view.state in holding or any(s.refundable for s in view.strays) for view in self.views.values())
        return status is not None and status.ended and not held


@dataclass
class Tower:
    """grace: seconds for which swapd has the first go. has_gas: see `Hand`. standings: of the last look, by swap.
    `_told` is what was logged and is still true."""

    chains: Mapping[str, HtlcChain]
    shelf: Shelf
    states: States
    grace: int
    has_gas: bool = True
    clock: Callable[[], int] = wall_clock
    standings: dict[str, Standing] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    posts: dict[str, Post] = field(init=False)
    _hand: Hand = field(init=False)

    def __post_init__(self) -> None:
        self.shelf.load()
        self.states.load()
        self.posts = {name: Post(name, chain) for name, chain in self.chains.items()}
        self._hand = Hand(self.states, self.has_gas)

    async def run(self, pause: float, stopped: asyncio.Event) -> None:
        """Look every `pause` seconds until stopped. Whatever goes wrong, the next look comes."""
        for turn in count():
            if stopped.is_set():
                return
            try:
                await self.look()
                if turn % EXAMINE_EVERY == 0:
                    await self.examine()
            except Exception:  # the last net: a tower that is dead saves nobody
                log.exception("watchtower.mistake")
            try:
                async with asyncio.timeout(pause):
                    await stopped.wait()
            except TimeoutError:
                continue

    async def examine(self) -> Mapping[str, Sequence[Health]]:
        """What is right and wrong with the nodes, and whether there is gas; what is wrong is logged as well."""
        now, found = self.clock(), dict[str, list[Health]]()
        for name, chain in self.chains.items():
            try:
                async with asyncio.timeout(LONGEST_STEP):
                    healths = [each for each in await chain.examine(now) if self.has_gas or each.name != "balance"]
            except (SwapdError, TimeoutError) as error:
                healths = [Health("node", False, str(error) or f"no answer within {LONGEST_STEP:g} s")]
            found[name] = healths
            for health in healths:
                mend = f": {health.mend}" if health.mend else ""
                self._report(f"{name} {health.name}", "" if health.ok else f"{health.says}{mend}")
        return found

    async def close(self) -> None:
        for chain in self.chains.values():
            await chain.close()

    # -- one look --------------------------------------------------------------------------------------------------

    async def look(self, *, act: bool = True) -> None:
        """See how every swap stands, and send what is due. act: False only looks."""
        packets = await self._read()
        await asyncio.gather(*(post.look(self._legs(name, packets)) for name, post in self.posts.items()))
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(packet: Packet) -> Standing | None:
            async with turns:
                return await self._standing(packet)

        found = await asyncio.gather(*map(in_turn, packets))
        self.standings = {standing.packet.id: standing for standing in found if standing is not None}
        for standing in self.standings.values():
            self._report(standing.packet.id, "; ".join(standing.trouble))
        if act:
            await asyncio.gather(*(self._act(name) for name in self.posts))
        for standing in self.standings.values():
            if standing.is_over and not self.states[standing.packet.id].sent:
                self._end(standing)

    async def _read(self) -> list[Packet]:
        before = set(self.shelf.bad)
        packets = await asyncio.to_thread(self.shelf.packets)
        self._report("packets", self.shelf.trouble)
        for name in before | set(self.shelf.bad):
            self._report(name, self.shelf.bad.get(name, ""))
        for old in [packet for packet in packets if self._is_old(packet)]:
            packets.remove(old)
            self._put_away(old)
        return packets

    def _is_old(self, packet: Packet) -> bool:
        return self.clock() > packet.terms.initiator.terms.timelock + FORGET_AFTER

    def _legs(self, name: str, packets: Sequence[Packet]) -> list[WatchedLeg]:
        return [packet.watched_leg(role) for packet in packets for role in Role if _chain_of(packet, role) == name]

    async def _standing(self, packet: Packet) -> Standing | None:
        """None when a mistake of ours keeps it from being told; other swaps go on."""
        try:
            return await self._look_at(packet)
        except SwapdError as error:
            self._report(packet.id, str(error))
        except Exception as error:
            log.exception("watchtower.mistake", swap=packet.id)
            self._report(packet.id, f"{type(error).__name__}, a mistake of swapd's own")
        return None

    async def _look_at(self, packet: Packet) -> Standing:
        sides = dict(zip(Role, await asyncio.gather(*(self._side(packet, role) for role in Role)), strict=True))
        views = {role: view for role, (view, _, _) in sides.items()}
        times = {role: clock for role, (_, clock, _) in sides.items()}
        now = self.clock()
        clocks = Clocks(now, times[Role.INITIATOR], times[Role.PARTICIPANT])
        memory = self.states[packet.id].added_to(packet.memory)
        decision = decide(packet.terms, views[Role.INITIATOR], views[Role.PARTICIPANT], memory, clocks, False)
        self.states[packet.id] = self.states[packet.id].after(packet.terms, views, decision, now)
        trouble = tuple(why for _, _, why in sides.values() if why)
        return Standing(packet, views, clocks, decision, self._errands(packet, decision, now), trouble)

    async def _side(self, packet: Packet, role: Role) -> tuple[LegView, int | None, str]:
        post = self.posts.get(_chain_of(packet, role))
        if post is None:
            return LegView(LegState.UNKNOWN), None, f"{_chain_of(packet, role)} is not among the configured chains"
        view, clock, why = await post.view(packet.watched_leg(role), packet.leg(role).fingerprint)
        return view, clock.time if clock else None, why

    def _errands(self, packet: Packet, decision: Decision, now: int) -> list[tuple[int, Errand]]:
        found = []
        for effect in decision.effects:
            post = self.posts.get(_chain_of(packet, effect.role))
            if post is not None and sendable(effect, decision.preimage):
                since = self.states[packet.id].wanted_since(effect.key, now)
                leg = post.told(packet.watched_leg(effect.role))
                preimage = decision.preimage if effect.kind is EffectKind.CLAIM else None
                found.append((waits_until(effect, since, self.grace), Errand(packet, effect, effect, leg, preimage)))
        return found

    # -- acting ----------------------------------------------------------------------------------------------------

    async def _act(self, name: str) -> None:
        """Everything that is due on one chain, the most urgent first. Never raises."""
        chain, now = self.chains[name], self.clock()
        errands = [each for each in self._all_errands() if _chain_of(each[1].packet, each[1].effect.role) == name]
        due = sorted((errand for at, errand in errands if at <= now), key=_urgency)
        wanted = {(errand.packet.id, errand.effect.key) for _, errand in errands}
        places = {(e.packet.id, e.effect.key): self.states[e.packet.id].places(e.effect.key) for e in due}
        deadlines = [(max(places[e.packet.id, e.effect.key], default=-1), e.effect.deadline) for e in due]
        for errand in due:
            # they wait for each other: each pays for the most urgent behind it
            own = min(places[errand.packet.id, errand.effect.key], default=None)
            behind = [deadline for place, deadline in deadlines if own is not None and place > own]
            bid = as_urgent_as(errand.effect, min(behind, default=errand.effect.deadline))
            label = f"{errand.packet.id} {errand.effect.key}"
            step = Errand(errand.packet, errand.effect, bid, errand.leg, errand.preimage)
            if not await self._try(name, label, self._hand.run(chain, step, now)):
                break
        last = max((place for place, _ in deadlines), default=-1)
        for swap_id, key in self._unwanted(name, wanted, last):
            unseen = self._unseen(swap_id)
            if not await self._try(name, f"{swap_id} {key}", self._hand.let_go(chain, swap_id, key, unseen=unseen)):
                break

    async def _try(self, name: str, label: str, step: Awaitable[None]) -> bool:
        """False when the chain hangs or is away, so that the rest has no use."""
        try:
            async with asyncio.timeout(LONGEST_STEP):
                await step
        except TimeoutError:
            self._report(label, f"no answer within {LONGEST_STEP:g} s")
            return False
        except Unavailable as error:  # of one leg alone, perhaps
            self._report(label, str(error))
            return not self.posts[name].trouble
        except SwapdError as error:
            self._report(label, str(error))
        except Exception as error:  # a mistake of ours in one errand must not keep another from its deadline
            log.exception("watchtower.mistake", errand=label)
            self._report(label, f"{type(error).__name__}, a mistake of swapd's own")
        else:
            self._report(label, "")
        return True

    def _all_errands(self) -> list[tuple[int, Errand]]:
        return [each for standing in self.standings.values() for each in standing.errands]

    def _unwanted(self, name: str, wanted: set[tuple[str, str]], last: int) -> list[tuple[str, str]]:
        """Of what may still be under way here, what nobody wants any more; not to see a swap is no reason for that, but
        if what is due waits behind it. last: the highest place of all that is due."""
        found: dict[tuple[str, str], None] = {}
        for swap_id, sent in self.states.under_way().items():
            seen = not self._unseen(swap_id)
            for each in sent:
                if each.chain == name and (seen or (each.tx.sequence is not None and each.tx.sequence < last)):
                    found[swap_id, each.key] = None
        return [each for each in found if each not in wanted]

    def _unseen(self, swap_id: str) -> bool:
        standing = self.standings.get(swap_id)
        return standing is None or standing.decision.status is None

    # -- telling ---------------------------------------------------------------------------------------------------

    def _report(self, about: str, trouble: str) -> None:
        """Once, and again when it changes."""
        if trouble and self._told.get(about) != trouble:
            log.warning("watchtower.trouble", about=about, error=trouble)
        if trouble:
            self._told[about] = trouble
        else:
            self._told.pop(about, None)

    def _end(self, standing: Standing) -> None:
        status = standing.decision.status
        log.info("watchtower.over", swap=standing.packet.id, status=status.value if status else "")
        self._put_away(standing.packet)

    def _put_away(self, packet: Packet) -> None:
        self.shelf.put_away(packet)
        self.states.forget(packet.id)
        for post in self.posts.values():
            post.forget(packet.id)

    @property
    def troubles(self) -> Mapping[str, str]:
        """What is wrong now, by what it is about: a swap, one of its effects, a packet's file."""
        return dict(self._told)


def _chain_of(packet: Packet, role: Role) -> str:
    return packet.terms.leg(role).terms.chain


def _urgency(errand: Errand) -> tuple[bool, int]:
    return (errand.effect.stray is not None, errand.effect.deadline)
