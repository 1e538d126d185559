"""What new blocks and the mempool show of many legs at once. All of it is a hint where to look, never the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind, WatchedLeg
from swapd.chains.ethereum.htlc import Claimed, Event, Htlc, HtlcTerms, Locked
from swapd.chains.ethereum.node import Header, Log, Node
from swapd.chains.ethereum.stray import MOST_STRAYS, difference, resembles
from swapd.chains.per_leg import PerLeg
from swapd.errors import Unavailable

NEAR = 64
"""Blocks below the tip that are read one by one, by hash. Two epochs: deeper ones are final on a healthy chain, and are
read in ranges. Also the most blocks that one scan reads this way."""

TRAIL = 150
"""Blocks remembered to find a fork point: more than twice what may change while the chain finalizes."""


Names = tuple[str, HtlcTerms]
"""Of a leg in the contract: its lock id and its terms there."""


def names_in(htlc: Htlc) -> Callable[[WatchedLeg], Names]:
    def names(leg: WatchedLeg) -> Names:
        terms = HtlcTerms.of(leg.leg.terms)
        return htlc.id_of(terms), terms

    return names


class Watcher:
    """names: of the legs in the contract. from_block: the contract is not older. log_range: as many blocks the node
    answers for at once."""

    def __init__(self, node: Node, htlc: Htlc, names: PerLeg[Names], *, from_block: int, log_range: int) -> None:
        self._node = node
        self._htlc = htlc
        self._names = names
        self._from_block = from_block
        self._log_range = log_range

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        """See `HtlcChain.scan`. One new block costs two calls, none costs one, whatever the number of legs.

        A cursor is only returned when every call behind it was answered: whoever keeps it keeps no gap.
        """
        tip = await self._node.tip()
        if cursor is None:
            return Scan(_moved((), tip))
        fork = None
        if not await self._still_there(cursor, tip):
            cursor = await self._fork_point(cursor, tip)
            fork = cursor.height
        step = self._far if tip.height - cursor.height > NEAR else self._near
        cursor, logs = await step(cursor, tip)
        return Scan(cursor, tuple(await self._sightings(logs, legs, self._names)), fork)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """See `HtlcChain.rescan`."""
        if not legs:
            return []
        tip = await self._node.tip()
        first = max(self._from_block, min(leg.birth for leg in legs))
        logs = await self._node.logs(self._htlc.address, first, tip.height)
        return await self._sightings(logs, legs, PerLeg(names_in(self._htlc)))

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """See `HtlcChain.mempool`. One call."""
        events = [each for transaction in await self._node.pending() for each in self._htlc.pending(transaction)]
        if not events:
            return []
        index = _Index(await PerLeg(names_in(self._htlc)).of(legs))
        return [sighting for event in events if (sighting := index.exact(event)) is not None]

    # -- steps -----------------------------------------------------------------------------------------------------

    async def _near(self, cursor: Cursor, tip: Header) -> tuple[Cursor, list[Log]]:
        """Block by block, each linked to the one before. Stops where the chain moves meanwhile: the next scan sees."""
        logs: list[Log] = []
        for height in range(cursor.height + 1, tip.height + 1):
            header = tip if height == tip.height else await self._node.header(height)
            if header is None or header.parent != cursor.hash:
                break
            logs += await self._node.logs_of(self._htlc.address, header.hash)
            cursor = _moved(cursor.trail, header)
        return cursor, logs

    async def _far(self, cursor: Cursor, tip: Header) -> tuple[Cursor, list[Log]]:
        """One range, as long as the node answers for at once."""
        end = min(cursor.height + self._log_range, tip.height - NEAR)
        logs = await self._node.logs(self._htlc.address, cursor.height + 1, end)
        return _moved(cursor.trail, await self._block(end)), list(logs)

    # -- forks -----------------------------------------------------------------------------------------------------

    async def _still_there(self, cursor: Cursor, tip: Header) -> bool:
        if tip.height <= cursor.height:
            return (tip.height, tip.hash) == (cursor.height, cursor.hash)
        if tip.height == cursor.height + 1:
            return tip.parent == cursor.hash
        return (await self._block(cursor.height)).hash == cursor.hash

    async def _fork_point(self, cursor: Cursor, tip: Header) -> Cursor:
        """The newest remembered block that the chain still has, by bisection; a cursor that stands on it."""
        trail = [each for each in cursor.trail if each[0] <= tip.height]
        common, gone = 0, len(trail)  # trail[:common] is on the chain, trail[gone:] is not
        while common < gone:
            middle = (common + gone) // 2
            height, block_hash = trail[middle]
            if (await self._block(height)).hash == block_hash:
                common = middle + 1
            else:
                gone = middle
        if common:
            height, block_hash = trail[common - 1]
            return Cursor(height, block_hash, tuple(trail[:common]))
        # deeper than anything remembered: begin below it, so that nothing scanned before is believed
        oldest = min([cursor.height, *(height for height, _ in cursor.trail)])
        return _moved((), await self._block(min(max(oldest - 1, 0), tip.height)))

    async def _block(self, height: int) -> Header:
        header = await self._node.header(height)
        if header is None:
            raise Unavailable(f"the Ethereum node has no block {height} any more")
        return header

    # -- meaning ---------------------------------------------------------------------------------------------------

    async def _sightings(self, logs: Iterable[Log], legs: Sequence[WatchedLeg], names: PerLeg[Names]) -> list[Sighting]:
        events = [event for log in logs if (event := self._htlc.event(log)) is not None]
        if not events:
            return []
        index = _Index(await names.of(legs))
        return [sighting for event in events for sighting in index.all(event)]


def _moved(trail: Sequence[tuple[int, str]], header: Header) -> Cursor:
    return Cursor(header.height, header.hash, (*trail, (header.height, header.hash))[-TRAIL:])


class _Index:
    """Finds the legs that an event is about, in a time that does not depend on their number."""

    def __init__(self, legs: Iterable[tuple[WatchedLeg, Names]]) -> None:
        self._by_id: dict[str, WatchedLeg] = {}
        self._alike: defaultdict[bytes | tuple[str, str], list[tuple[WatchedLeg, HtlcTerms]]] = defaultdict(list)
        self._told: dict[tuple[str, str], set[str]] = {}
        for leg, (lock_id, terms) in legs:
            self._by_id[lock_id] = leg
            self._alike[terms.hashlock].append((leg, terms))
            self._alike[terms.sender, terms.receiver].append((leg, terms))

    def all(self, event: Event) -> list[Sighting]:
        exact = self.exact(event)
        return [exact] if exact else self._strays(event)

    def exact(self, event: Event) -> Sighting | None:
        leg = self._by_id.get(event.lock_id)
        if leg is None:
            return None
        if isinstance(event.what, Locked):
            return _sighting(leg, SightingKind.LOCK, event)
        if isinstance(event.what, Claimed):
            return _sighting(leg, SightingKind.CLAIM, event, preimage=event.what.preimage)
        return _sighting(leg, SightingKind.REFUND, event)

    def _strays(self, event: Event) -> list[Sighting]:
        if not isinstance(event.what, Locked):
            return []
        found = event.what.terms
        alike = [*self._alike.get(found.hashlock, ()), *self._alike.get((found.sender, found.receiver), ())]
        notes = {_key(leg): (leg, terms) for leg, terms in alike if resembles(found, terms)}
        return [
            _sighting(leg, SightingKind.STRAY, event, note=difference(found, terms))
            for leg, terms in notes.values()
            if self._is_told(leg, event.lock_id)
        ]

    def _is_told(self, leg: WatchedLeg, lock_id: str) -> bool:
        """Whoever keeps sightings must not be made to keep as many as anybody likes."""
        known = self._told.setdefault(_key(leg), {s.ref for s in leg.sightings if s.kind is SightingKind.STRAY})
        if len(known) < MOST_STRAYS:
            known.add(lock_id)
        return lock_id in known


def _key(leg: WatchedLeg) -> tuple[str, str]:
    return leg.swap_id, leg.leg.role.value


def _sighting(
    leg: WatchedLeg, kind: SightingKind, event: Event, *, preimage: bytes | None = None, note: str = ""
) -> Sighting:
    return Sighting(
        leg.swap_id,
        leg.leg.role.value,
        kind,
        event.lock_id,
        event.txid,
        event.log.block_hash if event.log else None,
        event.log.height if event.log else None,
        preimage,
        note,
    )
