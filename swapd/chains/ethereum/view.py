"""One leg as the chain shows it now.

Two witnesses are heard about the same block: the contract's events, which tell the whole story, and its storage, which
tells how it stands. A node whose two answers do not fit has lost something, and says nothing that money may rest on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swapd.chains.base import Sighting, SightingKind, WatchedLeg
from swapd.chains.ethereum.htlc import Claimed, Event, Htlc, HtlcTerms, Locked, SlotState
from swapd.chains.ethereum.node import Header, Log, Node
from swapd.chains.ethereum.stray import MOST_STRAYS, resembles, stray
from swapd.errors import Rejected, Unavailable
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView, Stray
from swapd.protocol.terms import Leg

_MANY_STRAYS = 1_000  # events: with more, somebody plays tricks, and a person is not helped by a choice of them
_MOST_HINTS = 8  # pending transactions looked up for a leg: more than one at a time is rare already

_HASH = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True)
class _Story:
    """What events say of one lock."""

    locked: Event | None
    ended: Event | None


class Viewer:
    """from_block: the contract is not older. finalized_from: legs that want this many confirmations or more wait for
    the block to be finalized. own: claims that this account sends are no news to us."""

    def __init__(self, node: Node, htlc: Htlc, *, from_block: int, finalized_from: int, own: str) -> None:
        self._node = node
        self._htlc = htlc
        self._from_block = from_block
        self._finalized_from = finalized_from
        self._own = own

    async def view(self, watched: WatchedLeg) -> LegView:
        terms = HtlcTerms.of(watched.leg.terms)
        lock_id = self._htlc.id_of(terms)
        tip = await self._node.tip()
        if tip.height < watched.birth:
            raise Unavailable(f"the Ethereum node is at block {tip.height}, behind block {watched.birth} of this swap")
        span = (max(watched.birth, self._from_block), tip.height)
        own = await self._node.logs(self._htlc.address, *span, [self._htlc.topics, [lock_id]])
        story = _story(self._read(own), lock_id)
        await self._confirm(story, lock_id, terms, tip)
        strays = await self._strays(watched, terms, lock_id, span)
        if story.locked is None or story.ended is None:
            return await self._unfinished(watched, story.locked, lock_id, strays, tip)
        claimed = isinstance(story.ended.what, Claimed)
        return LegView(
            LegState.CLAIMED if claimed else LegState.REFUNDED,
            await self._depth(watched.leg, story.ended, tip),
            story.ended.what.preimage if isinstance(story.ended.what, Claimed) else None,
            lock_id,
            story.locked.txid,
            story.ended.txid,
            strays,
        )

    # -- in blocks -------------------------------------------------------------------------------------------------

    def _read(self, logs: Iterable[Log]) -> list[Event]:
        return [event for log in logs if (event := self._htlc.event(log)) is not None]

    async def _confirm(self, story: _Story, lock_id: str, terms: HtlcTerms, tip: Header) -> None:
        """Raise Unavailable unless events, receipts and storage agree, all of the chain that ends in this tip."""
        if story.locked is not None and story.locked.what != Locked(terms):
            raise _contradiction("an event with the leg's id has other terms")
        end = story.ended.what if story.ended else None
        if isinstance(end, Claimed) and not opens(end.preimage, terms.hashlock):
            raise _contradiction("a claim's preimage does not open the hashlock")
        for event in (story.locked, story.ended):
            if event is not None:
                await self._confirm_receipt(event)
        slot = await self._node.storage(self._htlc.address, bytes.fromhex(lock_id[2:]), tip.hash)
        if slot not in _expected_slot(story):
            raise _contradiction(f"events and storage disagree about lock {lock_id}")
        now = await self._node.header(tip.height)
        if now is None or now.hash != tip.hash:
            raise Unavailable("the chain was reorganised while it was read")

    async def _confirm_receipt(self, event: Event) -> None:
        receipt, log = await self._node.receipt(event.txid), event.log
        if receipt is None or log is None or not receipt.succeeded or receipt.block_hash != log.block_hash:
            raise _contradiction(f"the receipt of {event.txid} does not fit its event")

    async def _depth(self, leg: Leg, event: Event, tip: Header) -> int:
        """Blocks since inclusion. Where finality is asked for, blocks alone never reach the number asked."""
        height = event.log.height if event.log else tip.height + 1
        depth = tip.height - height + 1
        if leg.confirmations < self._finalized_from:
            return depth
        finalized = await self._node.header("finalized")
        if finalized is not None and height <= finalized.height:
            return depth
        return min(depth, leg.confirmations - 1)

    # -- strays ----------------------------------------------------------------------------------------------------

    async def _strays(
        self, watched: WatchedLeg, agreed: HtlcTerms, lock_id: str, span: tuple[int, int]
    ) -> tuple[Stray, ...]:
        """Asked for apart from the leg: anybody can make any number of them, and must not blind us to it by that."""
        try:
            events = await self._alike(watched, agreed, lock_id, span)
        except (Unavailable, Rejected):
            return ()  # they are for people to see, and no decision rests on them: the next view asks again
        ended = {event.lock_id for event in events if not isinstance(event.what, Locked)}
        found = [
            stray(self._htlc, event.lock_id, event.what.terms, agreed)
            for event in _owners_first(events, agreed)
            if isinstance(event.what, Locked) and event.lock_id not in ended
            if resembles(event.what.terms, agreed)
        ]
        return tuple(found[:MOST_STRAYS])

    async def _alike(
        self, watched: WatchedLeg, agreed: HtlcTerms, lock_id: str, span: tuple[int, int]
    ) -> Sequence[Event]:
        """What happened to locks with the leg's hashlock, and to those that scans took for strays."""
        same_hashlock = [self._htlc.locked_topic, None, "0x" + agreed.hashlock.hex()]
        found = self._read(await self._node.logs(self._htlc.address, *span, same_hashlock))
        if len(found) > _MANY_STRAYS:
            return []
        hinted = [s.ref for s in watched.sightings if s.kind is SightingKind.STRAY and _HASH.fullmatch(s.ref)]
        refs = dict.fromkeys([*hinted[-MOST_STRAYS:], *(event.lock_id for event in _owners_first(found, agreed))])
        ids = [ref for ref in refs if ref != lock_id][: 2 * MOST_STRAYS]
        return self._read(await self._node.logs(self._htlc.address, *span, [self._htlc.topics, ids])) if ids else []

    # -- on the way ------------------------------------------------------------------------------------------------

    async def _unfinished(
        self, watched: WatchedLeg, locked: Event | None, lock_id: str, strays: tuple[Stray, ...], tip: Header
    ) -> LegView:
        """A leg that is open, or not there: what is pending about it makes the difference."""
        lock = locked or await self._pending(watched.sightings, SightingKind.LOCK, lock_id)
        if lock is None:
            return LegView(LegState.ABSENT, strays=strays)
        claim = await self._pending(watched.sightings, SightingKind.CLAIM, lock_id)
        if claim is not None and isinstance(claim.what, Claimed):
            return LegView(LegState.CLAIMED, 0, claim.what.preimage, lock_id, lock.txid, claim.txid, strays)
        if locked is None:
            return LegView(LegState.SEEN, 0, None, lock_id, lock.txid, None, strays)
        depth = await self._depth(watched.leg, locked, tip)
        return LegView(LegState.LOCKED, depth, None, lock_id, locked.txid, None, strays)

    async def _pending(self, hints: Iterable[Sighting], kind: SightingKind, lock_id: str) -> Event | None:
        """The pending transaction of this kind, if the node still knows one that was hinted at."""
        hinted = [hint.txid for hint in hints if hint.kind is kind and hint.block_hash is None]
        for txid in list(dict.fromkeys(reversed(hinted)))[:_MOST_HINTS]:
            transaction = await self._node.transaction(txid) if _HASH.fullmatch(txid) else None
            if transaction is None or transaction.height is not None:
                continue
            if kind is SightingKind.CLAIM and transaction.sender == self._own:
                continue  # else our own claim would look done as soon as it is sent, and nobody would raise its fee
            wanted = Locked if kind is SightingKind.LOCK else Claimed
            for event in self._htlc.pending(transaction):
                if event.lock_id == lock_id and isinstance(event.what, wanted):
                    return event
        return None


def _owners_first(events: Iterable[Event], agreed: HtlcTerms) -> list[Event]:
    """Locks by the leg's own sender before all others: it is he who misses his money, and nobody can lock as him."""
    return sorted(
        events, key=lambda event: not (isinstance(event.what, Locked) and event.what.terms.sender == agreed.sender)
    )


def _story(events: Iterable[Event], lock_id: str) -> _Story:
    own = [event for event in events if event.lock_id == lock_id]
    locks = [event for event in own if isinstance(event.what, Locked)]
    ends = [event for event in own if not isinstance(event.what, Locked)]
    if len(locks) > 1 or len(ends) > len(locks):
        raise _contradiction(f"lock {lock_id} has {len(locks)} beginnings and {len(ends)} ends")
    return _Story(locks[0] if locks else None, ends[0] if ends else None)


def _expected_slot(story: _Story) -> tuple[SlotState, ...]:
    if story.locked is None:
        return (SlotState.ABSENT,)
    if story.ended is None:
        return (SlotState.LOCKED,)
    return (SlotState.ABSENT, SlotState.CLOSED)


def _contradiction(what: str) -> Unavailable:
    return Unavailable(f"the Ethereum node contradicts itself, so nothing can be said of the leg: {what}")
