"""Swaps found again from the seed and the chains alone (rule S14), to be finished by the ordinary daemon.

What is taken back is what swapd itself has locked, and whatever stands against it on the other chain. Nothing new is
ever funded for it. Its secret is shown for the first time only if the lock's note proves that the other leg is the one
that was agreed on (rules S2, S11); else each side gets its own back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from swapd.chains.abilities import Clues, Discovers, Hides, Trace
from swapd.chains.base import Sighting, WatchedLeg
from swapd.coordinator.agree import index_floor
from swapd.coordinator.house import House
from swapd.coordinator.notes import tag
from swapd.errors import Invalid, Rejected, SwapdError
from swapd.protocol.decide import Clocks, Memory, decide
from swapd.protocol.note import nearest
from swapd.protocol.observation import LegView
from swapd.protocol.status import Status
from swapd.protocol.story import next_step
from swapd.protocol.terms import Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import LONGEST_TIMELOCK, LegTiming
from swapd.store.restore import RESTORED

REORG = 10
"""Blocks below a leg from which on it is looked for: a reorganisation may put it into an earlier one."""

NEVER = 1
"""Unix seconds, long ago: by when swapd funds a leg that was recovered."""

AHEAD = 86_400 // 10
"""Indexes by which counting may be ahead of the clock."""

UNPROVEN = "recovered, and nothing proves that the other leg is the one that was agreed on: its secret stays with us"
TOO_LATE = "recovered, and by the present settings there is no time left to show its secret"
ALONE = "recovered, and no leg of the other side was found"

MARK = "recovered"
"""Key in the database's notes about itself: what is in it came from here."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Recovered:
    """A swap put together again. births: as in `add_swap`. missing: the leg that was not found; a stand-in that nobody
    can fund is in its place. kept: why the secret is not shown for the first time, "" if it may be. status, next_step:
    as both chains show it now."""

    terms: SwapTerms
    births: Mapping[Role, int]
    missing: Role | None
    kept: str
    status: Status = Status.ACCEPTED
    next_step: str = ""


@dataclass(frozen=True)
class Pair:
    """The legs of one swap, as found. own: swapd's money. proven: the note says that these two were agreed on."""

    own: Trace
    other: Trace | None
    proven: bool


@dataclass(frozen=True)
class Recovery:
    """tell: hears how far it is, in words for people."""

    house: House
    tell: Tell

    async def find(self, since: int) -> list[Recovered]:
        """Every swap that can be put together from locks since this Unix time, ended ones too. Changes nothing.

        Raises Unavailable if a chain can not be read to the end: half of what there is would look like all of it.
        """
        traces = await self._search(since)
        groups: defaultdict[bytes, list[Trace]] = defaultdict(list)
        for trace in traces:
            groups[trace.terms.hashlock].append(trace)
        ours = {hashlock: group for hashlock, group in groups.items() if any(trace.sends for trace in group)}
        strange = len(groups) - len(ours)
        if strange:
            self.tell(f"{strange} locks for us that answer none of ours: left to their senders")
        indexes = await asyncio.to_thread(self._indexes, ours)
        found = []
        for hashlock, group in ours.items():
            try:
                found.append(await self._put_together(group, indexes.get(hashlock)))
            except (Invalid, Rejected) as error:
                self.tell(f"swap {swap_id_of(hashlock)} can not be put together: {error}")
        return await self._look(found)

    async def keep(self, found: Sequence[Recovered]) -> list[str]:
        """Write down those that have not ended, each by itself; again is no error. Returns the ids of those that are
        there then: what is wrong with one of them is told, and keeps no other from its end."""
        async with self.house.store.write("operator") as writing:
            there = await writing.swaps(limit=1)
            strange = await writing.meta(MARK) is None and await writing.meta(RESTORED) is None
            if strange and (there.swaps or there.damaged):
                raise Rejected("this database has swaps that were not recovered: recover into an empty one")
            await writing.bind(MARK, "yes")
        going = []
        for each in found:
            if each.status.ended:
                continue
            try:
                await self._add(each)
            except SwapdError as error:
                self.tell(f"swap {each.terms.swap_id} is not written down, begin again for it: {error}")
            else:
                going.append(each.terms.swap_id)
        return going

    async def _add(self, each: Recovered) -> None:
        terms = each.terms
        names = {leg.role: self.house.chain(leg.terms.chain).fingerprint(leg.terms) for leg in terms.legs}
        async with self.house.store.write("operator") as writing:
            if await writing.knows(terms.swap_id):
                return  # by an earlier run, whatever became of it since
            await writing.add_swap(terms, each.births, names, Status.ACCEPTED, restored=True)
            if each.kept:
                await writing.cancel(terms.swap_id, each.kept)
            missing = each.missing.value if each.missing else ""
            writing.audit("recovered", terms.swap_id, missing=missing, kept=each.kept)

    # -- searching -------------------------------------------------------------------------------------------------

    async def _search(self, since: int) -> list[Trace]:
        """Chains that show their legs first: what hides on the others is found by what was seen there."""
        found: list[Trace] = []
        for hidden in (False, True):
            for name, market in self.house.markets.items():
                chain = market.chain
                if isinstance(chain, Hides) is hidden and isinstance(chain, Discovers):
                    clues = Clues(self.house.secrets.hashlock, _index, tuple(found))
                    new = await chain.discover(since, clues, lambda words, name=name: self.tell(f"{name}: {words}"))  # type: ignore[misc]
                    self.tell(f"{name}: {len(new)} locks of ours or for us")
                    found += new
        return found

    def _indexes(self, groups: Mapping[bytes, Sequence[Trace]]) -> dict[bytes, int]:
        """Of each swap, as far as it can be known. Slow: where no note says it, and the secret may be ours, indexes of
        the time are tried one by one."""
        known: dict[bytes, int] = {}
        unknown: dict[bytes, int] = {}
        for hashlock, group in groups.items():
            for trace in (trace for trace in group if trace.sends):
                if trace.note is not None:
                    known[hashlock] = _index(trace.note.index, trace.time)
                else:
                    unknown[hashlock] = trace.time
        unknown = {hashlock: time for hashlock, time in unknown.items() if hashlock not in known}
        if unknown:
            times = unknown.values()
            for index in range(index_floor(min(times) - LONGEST_TIMELOCK), index_floor(max(times)) + AHEAD):
                hashlock = self.house.secrets.hashlock(index)
                if hashlock in unknown:
                    known[hashlock] = index
        return known

    # -- putting together ------------------------------------------------------------------------------------------

    async def _put_together(self, group: Sequence[Trace], index: int | None) -> Recovered:
        hashlock = group[0].terms.hashlock
        mine = index is not None and self.house.secrets.hashlock(index) == hashlock
        secret = SecretHolder.SELF if mine else SecretHolder.REMOTE
        if index is None:  # nobody's keys hang on it: it only has to be new
            async with self.house.store.write() as writing:
                index = await writing.next_index(index_floor(self.house.clock()))
        pair = self._pair(group, index, secret)
        if pair.other is not None:
            try:
                return await self._whole(pair, pair.other, index, secret)
            except Invalid as error:  # whatever others lock under this hashlock, our own must come back
                self.tell(f"swap {swap_id_of(hashlock)}: what stands against our own lock can be no leg: {error}")
        return await self._alone(pair.own, index, secret)

    def _pair(self, group: Sequence[Trace], index: int, secret: SecretHolder) -> Pair:
        """The two legs that belong together; by the note, or else the largest that fits."""
        pairs = list(_pairs(group, secret))
        for own, other in pairs:
            if self._proves(own, other, index):
                return Pair(own, other, proven=True)
        if pairs:
            return Pair(*max(pairs, key=lambda pair: pair[1].terms.amount), proven=False)
        return Pair(next(trace for trace in group if trace.sends), None, proven=False)

    def _proves(self, own: Trace, other: Trace, index: int) -> bool:
        legs = sorted((own.terms, other.terms), key=lambda terms: -terms.timelock)
        return own.note is not None and own.note.tag == tag(self.house, index, legs, own.note.unseen)

    async def _whole(self, pair: Pair, other: Trace, index: int, secret: SecretHolder) -> Recovered:
        first, second = sorted((pair.own, other), key=lambda trace: -trace.terms.timelock)
        first_terms, second_terms = self._dated(first.terms, second.terms)
        legs = (
            await self._leg(Role.INITIATOR, first, first_terms, index),
            await self._leg(Role.PARTICIPANT, second, second_terms, index),
        )
        terms, in_time = self._terms(legs, index, secret, min(first.time, second.time))
        births = {Role.INITIATOR: _birth(first), Role.PARTICIPANT: _birth(second)}
        return Recovered(terms, births, None, "" if not _shows(secret) else _kept(pair.proven, in_time))

    async def _alone(self, own: Trace, index: int, secret: SecretHolder) -> Recovered:
        """Only our own lock is there. It goes back at its timelock, whichever of the two it was."""
        role = Role.INITIATOR if _shows(secret) else Role.PARTICIPANT
        terms = own.terms
        if self._hides(terms.chain):
            terms = replace(terms, fund_by=min(terms.fund_by, terms.timelock - 2))
        leg = await self._leg(role, own, terms, index)
        stand_in, birth = await self._stand_in(role.other, leg, own, index)
        legs = (leg, stand_in) if role is Role.INITIATOR else (stand_in, leg)
        whole, _ = self._terms(legs, index, secret, own.time)
        births = {role: _birth(own), role.other: birth}
        return Recovered(whole, births, role.other, ALONE if _shows(secret) else "")

    async def _stand_in(self, role: Role, own: Leg, trace: Trace, index: int) -> tuple[Leg, int]:
        """A leg from us to us of the smallest amount, due when the lock that was found is: nobody can fund it, since
        nobody else could have our part in it, and nothing rests on it."""
        hidden = trace.note is not None and trace.note.unseen is not None and not self._hides(own.terms.chain)
        others = [name for name in self.house.markets if name != own.terms.chain]
        names = [name for name in others if self._hides(name) is hidden] or others
        if not names:
            raise Invalid("chains", own.terms.chain, "another chain beside it in the configuration")
        chain = self.house.chain(names[0])
        sender = await chain.party("sender", None, index, sends=True)
        receiver = await chain.party("receiver", None, index, sends=False)
        first = role is Role.INITIATOR
        terms = LegTerms(
            asset=next(iter(chain.assets.values())),
            amount=1,
            hashlock=own.terms.hashlock,
            sender=sender.identity,
            receiver=receiver.identity,
            timelock=own.terms.timelock + (1 if first else -1),
            fund_by=NEVER if first else own.terms.fund_by,
        )
        leg = Leg(
            role=role,
            terms=terms,
            funded_by=Wallet.EXTERNAL,
            claimed_by=Wallet.HOT,
            pay_to=receiver.payout,
            refund_to=sender.payout,
            claim_by_swapd=True,
            refund_by_swapd=sender.by_swapd,
            claim_waived=False,
            confirmations=1,
            lock_by=NEVER,
        )
        return leg, (await chain.clock()).tip.height

    def _dated(self, first: LegTerms, second: LegTerms) -> tuple[LegTerms, LegTerms]:
        """With a time to fund by where the chain does not keep one: the other's, which is long ago or is kept there."""
        if self._hides(first.chain):
            first = replace(first, fund_by=min(second.fund_by, first.timelock - 1))
        if self._hides(second.chain):
            second = replace(second, fund_by=min(first.fund_by, second.timelock - 1))
        return first, second

    async def _leg(self, role: Role, trace: Trace, terms: LegTerms, index: int) -> Leg:
        market = self.house.markets[terms.chain]
        own = await market.chain.party("own", None, index, sends=trace.sends)
        theirs = await market.chain.party("theirs", trace.theirs, index, sends=not trace.sends)
        sender, receiver = (own, theirs) if trace.sends else (theirs, own)
        for field, party in (("sender", sender), ("receiver", receiver)):
            if party.identity != getattr(terms, field):
                raise Invalid(f"{role.value}.{field}", getattr(terms, field), f"{party.identity}, by the seed")
        leg = Leg(
            role=role,
            terms=terms,
            funded_by=Wallet.HOT if trace.sends else Wallet.EXTERNAL,
            claimed_by=Wallet.EXTERNAL if trace.sends else Wallet.HOT,
            pay_to=receiver.payout,
            refund_to=sender.payout,
            claim_by_swapd=receiver.by_swapd,
            refund_by_swapd=sender.by_swapd,
            # else it had not been made: see `agree.py`
            claim_waived=role is Role.INITIATOR and not receiver.by_swapd,
            confirmations=market.assets[terms.asset.symbol].confirmations(terms.amount),
            lock_by=NEVER,
        )
        market.chain.check_terms(leg)
        return leg

    def _terms(
        self, legs: tuple[Leg, Leg], index: int, secret: SecretHolder, created_at: int
    ) -> tuple[SwapTerms, bool]:
        """And whether the secret may still be shown before `reveal_by`, by the present settings."""
        first, second = legs
        timing = LegTiming(self.house.markets[second.terms.chain].profile, second.confirmations, second.funded_by)
        latest = second.terms.timelock - timing.claim_lead
        reveal_by = max(second.terms.fund_by, latest)
        swap_id = swap_id_of(first.terms.hashlock)
        return SwapTerms(swap_id, index, secret, first, second, reveal_by, created_at), reveal_by == latest

    def _hides(self, name: str) -> bool:
        return isinstance(self.house.chain(name), Hides)

    # -- how it stands ---------------------------------------------------------------------------------------------

    async def _look(self, found: Sequence[Recovered]) -> list[Recovered]:
        """The same with what both chains show of it, each chain read once for all."""
        views: dict[tuple[str, Role], LegView] = {}
        shown: defaultdict[str, list[bytes]] = defaultdict(list)
        clocks: dict[str, int] = {}
        for name, market in self.house.markets.items():
            legs = [leg for each in found for leg in _watched(each) if leg.leg.terms.chain == name]
            if not legs:
                continue
            clocks[name] = (await market.chain.clock()).time
            self.tell(f"{name}: looking at {len(legs)} legs")
            sightings = [*await market.chain.rescan(legs), *await market.chain.mempool(legs)]
            for leg in legs:
                own = tuple(s for s in sightings if (s.swap_id, s.role) == (leg.swap_id, leg.leg.role))
                shown[leg.swap_id] += _preimages(own)
                views[leg.swap_id, leg.leg.role] = await market.chain.view(replace(leg, sightings=own))
        return [self._standing(each, views, shown[each.terms.swap_id], clocks) for each in found]

    def _standing(
        self,
        each: Recovered,
        views: Mapping[tuple[str, Role], LegView],
        shown: Collection[bytes],
        clocks: Mapping[str, int],
    ) -> Recovered:
        terms = each.terms
        seen = {role: views[terms.swap_id, role] for role in Role}
        now = Clocks(self.house.clock(), clocks[terms.initiator.terms.chain], clocks[terms.participant.terms.chain])
        memory = Memory(preimage=next(iter(shown), None), cancelled=bool(each.kept), restored=True)
        decision = decide(terms, seen[Role.INITIATOR], seen[Role.PARTICIPANT], memory, now, False)
        status = decision.status or Status.ACCEPTED
        return replace(each, status=status, next_step=next_step(terms, seen, status, decision))


def _index(low: int, time: int) -> int:
    return nearest(low, index_floor(time))


def _pairs(group: Sequence[Trace], secret: SecretHolder) -> Iterator[tuple[Trace, Trace]]:
    """(our own leg, another that may belong to it). Whose secret it is not has funded the leg that ends first."""
    for own in (trace for trace in group if trace.sends):
        for other in group:
            apart = other.terms.chain != own.terms.chain and other.terms.timelock != own.terms.timelock
            if apart and (_shows(secret) or own.terms.timelock < other.terms.timelock):
                yield own, other


def _shows(secret: SecretHolder) -> bool:
    return secret is SecretHolder.SELF


def _kept(proven: bool, in_time: bool) -> str:
    if not proven:
        return UNPROVEN
    return "" if in_time else TOO_LATE


def _birth(trace: Trace) -> int:
    return max(0, trace.height - REORG)


def _watched(each: Recovered) -> list[WatchedLeg]:
    return [WatchedLeg(each.terms.swap_id, each.terms.index, leg, each.births[leg.role]) for leg in each.terms.legs]


def _preimages(sightings: Sequence[Sighting]) -> list[bytes]:
    return [sighting.preimage for sighting in sightings if sighting.preimage]
