"""What happened to legs since a cursor, and what is pending. All of it hints: `look.py` tells what is true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind, WatchedLeg
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import Block, Wanted, absent
from swapd.chains.bitcoin.look import stray_reason
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script, output_script, preimage_in
from swapd.chains.bitcoin.transaction import Input, Outpoint, Transaction
from swapd.chains.per_leg import PerLeg
from swapd.errors import Unavailable

TRAIL = 150
"""Blocks by which a reorganisation is found. No chain of value was ever reorganised by a third of that."""


class Marks(NamedTuple):
    """By what a leg is known in a transaction: the script that locks it, and its outpoints as far as they are known."""

    script: bytes
    outpoints: tuple[Outpoint, ...]

    @classmethod
    def of(cls, leg: WatchedLeg) -> Marks:
        known = (Outpoint.parse(sighting.ref) for sighting in leg.sightings)
        script = output_script(htlc_script(leg.leg.terms))
        return cls(script, tuple(dict.fromkeys(outpoint for outpoint in known if outpoint)))


@dataclass
class Net:
    """What to catch: legs by their marks."""

    by_script: dict[bytes, WatchedLeg] = field(default_factory=dict)
    by_outpoint: dict[Outpoint, WatchedLeg] = field(default_factory=dict)

    @classmethod
    async def of(cls, legs: Iterable[WatchedLeg], marks: PerLeg[Marks] | None = None) -> Net:
        """marks: what the last such net was made of."""
        net = cls()
        for leg, (script, outpoints) in await (marks or PerLeg(Marks.of)).of(legs):
            net.by_script[script] = leg
            for outpoint in outpoints:
                net.by_outpoint[outpoint] = leg
        return net

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.by_script.keys(), self.by_outpoint.keys())

    def catch(self, tx: Transaction, block: Block | None) -> list[Sighting]:
        """What this transaction does to the legs. Locks that it makes are followed from here on."""
        caught = []
        for index, output in enumerate(tx.outputs):
            if leg := self.by_script.get(output.script):
                outpoint = Outpoint(tx.txid, index)
                self.by_outpoint[outpoint] = leg
                exact = output.amount == leg.leg.terms.amount
                kind = SightingKind.LOCK if exact else SightingKind.STRAY
                note = "" if exact else stray_reason(output.amount, leg.leg.terms.amount)
                caught.append(_sighting(leg, kind, outpoint, tx, block, note=note))
        for item in tx.inputs:
            if (leg := self.by_outpoint.get(item.outpoint)) and (spend := _spend(leg, item, tx, block)):
                caught.append(spend)
        return caught


def _spend(leg: WatchedLeg, item: Input, tx: Transaction, block: Block | None) -> Sighting | None:
    script = htlc_script(leg.leg.terms)
    if not item.witness or item.witness[-1] != script:
        return None  # the outpoint was not this leg's
    preimage = preimage_in(item.witness, script, leg.leg.terms.hashlock)
    kind = SightingKind.CLAIM if preimage else SightingKind.REFUND
    return _sighting(leg, kind, item.outpoint, tx, block, preimage)


def _sighting(
    leg: WatchedLeg,
    kind: SightingKind,
    outpoint: Outpoint,
    tx: Transaction,
    block: Block | None,
    preimage: bytes | None = None,
    note: str = "",
) -> Sighting:
    return Sighting(
        leg.swap_id,
        leg.leg.role.value,
        kind,
        str(outpoint),
        tx.txid,
        block_hash=block.hash if block else None,
        height=block.height if block else None,
        preimage=preimage,
        note=note,
    )


async def scan(rpc: Rpc, cursor: Cursor | None, legs: Sequence[WatchedLeg], marks: PerLeg[Marks], most: int) -> Scan:
    """Read the blocks after the cursor, at most `most`: three requests and one for each block; one if there is none."""
    tip, _ = await blocks.tip(rpc)
    if cursor is None:
        return Scan(await _cursor_at(rpc, tip.height))
    if cursor.hash == tip.hash:
        return Scan(cursor)
    common, fork = await _common(rpc, cursor)
    trail = [entry for entry in (cursor.trail or ((cursor.height, cursor.hash),)) if entry[0] <= common[0]]
    if not trail or trail[-1] != common:
        trail = [common]
    heights = range(common[0] + 1, min(tip.height, common[0] + most) + 1)
    net = await Net.of(legs, marks)
    caught: list[Sighting] = []
    for height, block_hash in zip(heights, await blocks.hashes(rpc, heights), strict=True):
        if block_hash is None:
            break  # the chain became shorter meanwhile: the next scan finds the fork
        block = await blocks.block(rpc, height, block_hash, net.wanted)
        if block.previous != trail[-1][1]:
            break  # likewise
        for tx in block.touching:
            caught += net.catch(tx, block)
        trail.append((height, block_hash))
    return Scan(Cursor(*trail[-1], trail=tuple(trail[-TRAIL:])), tuple(caught), fork)


async def _cursor_at(rpc: Rpc, height: int) -> Cursor:
    heights = range(max(0, height - TRAIL + 1), height + 1)
    trail = tuple((h, x) for h, x in zip(heights, await blocks.hashes(rpc, heights), strict=True) if x)
    return Cursor(*trail[-1], trail=trail)


async def _common(rpc: Rpc, cursor: Cursor) -> tuple[tuple[int, str], int | None]:
    """The last block that cursor and chain share, as (height, hash); and its height, if that is below the cursor."""
    trail = cursor.trail or ((cursor.height, cursor.hash),)
    if (await blocks.hashes(rpc, [cursor.height]))[0] == cursor.hash:
        return (cursor.height, cursor.hash), None
    now = await blocks.hashes(rpc, [height for height, _ in trail])
    shared = [entry for entry, block_hash in zip(trail, now, strict=True) if entry[1] == block_hash]
    if shared:
        return shared[-1], shared[-1][0]
    # Deeper than the trail: a regtest made anew, or a node far behind. Begin where the trail begins, or at its tip.
    height = max((h for (h, _), x in zip(trail, now, strict=True) if x), default=None)
    start = max(0, trail[0][0] - 1) if height is not None else (await blocks.tip(rpc))[0].height
    block_hash = (await blocks.hashes(rpc, [start]))[0]
    if block_hash is None:
        raise Unavailable(f"bitcoin node: its chain became shorter than {start} blocks while it was read")
    return (start, block_hash), start


async def rescan(rpc: Rpc, legs: Sequence[WatchedLeg]) -> list[Sighting]:
    """Every block since the oldest leg's birth, once for all legs. As many requests as blocks: not for every day."""
    if not legs:
        return []
    tip, _ = await blocks.tip(rpc)
    net, caught = await Net.of(legs), []
    heights = range(max(0, min(leg.birth for leg in legs)), tip.height + 1)
    for height, block_hash in zip(heights, await blocks.hashes(rpc, heights), strict=True):
        if block_hash is None:
            raise Unavailable("bitcoin node: its chain became shorter while it was read")
        block = await blocks.block(rpc, height, block_hash, net.wanted)
        for tx in block.touching:
            caught += net.catch(tx, block)
    return caught


class Mempool:
    """Looks at what is pending. Remembers which transactions are of interest and which not; forgetting does no harm."""

    def __init__(self, rpc: Rpc, batch: int) -> None:
        self._rpc = rpc
        self._batch = batch
        self._dull: frozenset[str] = frozenset()
        self._telling: frozenset[str] = frozenset()

    async def look(self, legs: Sequence[WatchedLeg]) -> list[Sighting]:
        """Three requests, however many legs: who spends the known locks, what is in the mempool, what is new there."""
        if not legs:
            return []
        net = await Net.of(legs)
        outpoints = [{"txid": o.txid, "vout": o.vout} for o in net.by_outpoint]
        questions = [Call("getrawmempool")] + ([Call("gettxspendingprevout", (outpoints,))] if outpoints else [])
        listed, *spending = await self._rpc.batch(questions)
        if absent(listed) or any(absent(answer) for answer in spending):
            raise Unavailable("bitcoin node: it does not show its mempool")
        spenders = {s["spendingtxid"] for answer in spending for s in answer if "spendingtxid" in s}
        now = frozenset(listed)
        # Only so many of each: what is new and was left out comes first at the next look, and the block will show it.
        new = sorted(now - self._dull - self._telling - spenders)[: self._batch]
        again = sorted((now & self._telling) - spenders)[: self._batch]
        pending = await blocks.transactions(self._rpc, [*new, *again, *sorted(spenders)])
        sightings = [sighting for tx in _parents_first(pending) for sighting in net.catch(tx, None)]
        found = frozenset(sighting.txid for sighting in sightings)
        self._telling = now & (self._telling.difference(again) | found)
        self._dull = now & (self._dull.union(new, again) - found)
        return sightings


def _parents_first(transactions: Sequence[Transaction]) -> list[Transaction]:
    """Claims after the locks they spend, so that a lock and its claim that are both new are both found."""
    spent = {item.outpoint.txid for tx in transactions for item in tx.inputs}
    return sorted(transactions, key=lambda tx: tx.txid not in spent)
