"""What the canister's log shows of many legs at once: a hint where to look, never the truth.

There is no mempool here, and no fork: what is certified stays. A log that is shorter than it was, or whose hashes do
not fit, is a canister or a node that cannot be trusted, and nothing is read from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind, WatchedLeg
from swapd.chains.icp.canister import LogTip, SwapCanister
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import NANOSECONDS, EscrowTerms
from swapd.chains.icp.log import Block, Log
from swapd.chains.icp.stray import MOST_STRAYS, difference, found_in, resembles
from swapd.chains.per_leg import PerLeg

KINDS = {
    "swap_locked": SightingKind.LOCK,
    "swap_claiming": SightingKind.CLAIM,
    "swap_claimed": SightingKind.CLAIM,
    "swap_refunding": SightingKind.REFUND,
    "swap_refunded": SightingKind.REFUND,
}

FUNDING = "swap_funding"

Names = tuple[bytes, EscrowTerms]
"""Of a leg in the canister: its id there and its terms there."""


class Watcher:
    """beat: seconds. The log stands still while nobody swaps, but time goes on, and with it what falls due: a cursor
    moves once a beat in any case."""

    def __init__(self, canister: SwapCanister, *, most_blocks: int, beat: int) -> None:
        self._canister = canister
        self._log = Log(canister, most_blocks)
        self._beat = beat
        self._newest = LogTip(0, b"", 0)
        self._names = PerLeg(self._name)

    async def tip(self) -> LogTip:
        """The end of the log. Raises Untrusted if it is behind what was certified before."""
        tip = await self._canister.tip()
        if tip.length < self._newest.length and tip.time_ns >= self._newest.time_ns:
            raise Untrusted(f"the log has shrunk from {self._newest.length} to {tip.length} blocks")
        if tip.time_ns > self._newest.time_ns:
            self._newest = tip
        return tip if tip.length >= self._newest.length else self._newest

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        """See `HtlcChain.scan`. One call when the log is quiet, whatever the number of legs."""
        tip = await self.tip()
        if cursor is None:
            return Scan(self._cursor(tip))
        last = bytes.fromhex(cursor.hash.partition("@")[0])
        if tip.length < cursor.height:
            raise Untrusted(f"the log has {tip.length} blocks, and had {cursor.height} before")
        if tip.length == cursor.height and tip.hash != last:
            raise Untrusted(f"block {cursor.height - 1} of the log is another than before")
        found = await self._sightings(cursor.height, last, tip, legs, self._names)
        return Scan(self._cursor(tip), tuple(found))

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """See `HtlcChain.rescan`."""
        if not legs:
            return []
        tip = await self.tip()
        return await self._sightings(min(leg.birth for leg in legs), None, tip, legs, PerLeg(self._name))

    def _cursor(self, tip: LogTip) -> Cursor:
        second = tip.time_ns // NANOSECONDS
        return Cursor(tip.length, f"{tip.hash.hex()}@{second - second % self._beat}")

    async def _sightings(
        self, start: int, before: bytes | None, tip: LogTip, legs: Sequence[WatchedLeg], names: PerLeg[Names]
    ) -> list[Sighting]:
        index: _Index | None = None
        found: list[Sighting] = []
        with self._canister.agent.doubting():
            async for block in self._log.read(start, before, tip):
                index = index or _Index(await names.of(legs))
                found += index.sightings(block)
        return found  # not before the last block: only then they are proven

    def _name(self, leg: WatchedLeg) -> Names:
        terms = EscrowTerms.of(leg.leg.terms)
        return self._canister.escrow.id_of(terms), terms


class _Index:
    """Finds the legs that a block is about, in a time that does not depend on their number."""

    def __init__(self, legs: Iterable[tuple[WatchedLeg, Names]]) -> None:
        self._by_id: dict[bytes, WatchedLeg] = {}
        self._alike: defaultdict[object, list[tuple[WatchedLeg, EscrowTerms]]] = defaultdict(list)
        self._told: dict[tuple[str, str], set[str]] = {}
        for leg, (escrow_id, terms) in legs:
            self._by_id[escrow_id] = leg
            self._alike[terms.hashlock].append((leg, terms))
            self._alike[terms.sender, terms.receiver].append((leg, terms))

    def sightings(self, block: Block) -> list[Sighting]:
        swap_id = block.tx.get("id")
        if not isinstance(swap_id, bytes):
            return []
        leg = self._by_id.get(swap_id)
        if leg is not None and block.kind in KINDS:
            secret = block.tx.get("secret")
            return [_sighting(leg, KINDS[block.kind], block, preimage=secret if isinstance(secret, bytes) else None)]
        return self._strays(block, swap_id) if leg is None and block.kind == FUNDING else []

    def _strays(self, block: Block, swap_id: bytes) -> list[Sighting]:
        found = found_in(block)
        if found is None:
            return []
        alike = [*self._alike.get(found.hashlock, ()), *self._alike.get((found.sender, found.receiver), ())]
        notes = {_key(leg): (leg, terms) for leg, terms in alike if resembles(found, terms)}
        return [
            _sighting(leg, SightingKind.STRAY, block, note=difference(found, terms))
            for leg, terms in notes.values()
            if self._is_told(leg, swap_id.hex())
        ]

    def _is_told(self, leg: WatchedLeg, ref: str) -> bool:
        """Whoever keeps sightings must not be made to keep as many as anybody likes."""
        known = self._told.setdefault(_key(leg), {s.ref for s in leg.sightings if s.kind is SightingKind.STRAY})
        if len(known) < MOST_STRAYS:
            known.add(ref)
        return ref in known


def _key(leg: WatchedLeg) -> tuple[str, str]:
    return leg.swap_id, leg.leg.role.value


def _sighting(
    leg: WatchedLeg, kind: SightingKind, block: Block, *, preimage: bytes | None = None, note: str = ""
) -> Sighting:
    return Sighting(
        leg.swap_id,
        leg.leg.role.value,
        kind,
        block.tx["id"].hex(),
        str(block.index),
        block.hash.hex(),
        block.index,
        preimage,
        note,
    )
