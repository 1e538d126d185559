"""Where the sightings of a leg lead, and which of them to follow first: anybody can make any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from swapd.chains.base import Sighting, SightingKind
from swapd.chains.bitcoin.search import Place
from swapd.chains.bitcoin.transaction import Outpoint

MOST_MINED = 2000
"""Outputs in blocks that one look asks for. Each costs its maker a fee and what is in it."""
MOST_PENDING = 50
"""Outputs that only the mempool showed. By replacing one transaction they are made for almost nothing, and a block will
show whatever becomes of them."""
_MOST_PLACES = 8
"""Blocks in which one spend was sighted: more than one takes a reorganisation. A search finds what these do not."""


def hints_of(sightings: Iterable[Sighting]) -> dict[Outpoint, list[Sighting]]:
    """The outpoints to look at, each with what was sighted of it."""
    hints: dict[Outpoint, list[Sighting]] = {}
    for sighting in sightings:
        if outpoint := Outpoint.parse(sighting.ref):
            hints.setdefault(outpoint, []).append(sighting)
    mined = [outpoint for outpoint, seen in hints.items() if in_block(seen)]
    pending = [outpoint for outpoint, seen in reversed(hints.items()) if not in_block(seen)]  # newest first
    chosen = _weightiest(mined, hints)[:MOST_MINED] + _weightiest(pending, hints)[:MOST_PENDING]
    return {outpoint: hints[outpoint] for outpoint in chosen}


def in_block(seen: Sequence[Sighting]) -> bool:
    return any(sighting.block_hash for sighting in seen)


def heights(hints: Mapping[Outpoint, Sequence[Sighting]], first: int, last: int) -> list[int]:
    """Of the blocks that these were seen in, as far as they are among `first` to `last`."""
    found = {s.height for seen in hints.values() for s in seen if s.block_hash and s.height is not None}
    return sorted(height for height in found if first <= height <= last)


def in_chain(
    hints: Mapping[Outpoint, Sequence[Sighting]], hashes: Mapping[int, str | None]
) -> dict[Outpoint, list[Sighting]]:
    """What of these was seen in blocks of this chain. hashes: of its blocks, by height. Another chain's may have been
    invented, and of what is not in a block that the node has it must not be asked anything."""
    return {
        outpoint: [s for s in seen if s.block_hash and s.height is not None and hashes.get(s.height) == s.block_hash]
        for outpoint, seen in hints.items()
    }


def places(seen: Sequence[Sighting]) -> list[Place]:
    """Where these saw a spend, the newest first: it is the likeliest to be still true."""
    spends = (SightingKind.CLAIM, SightingKind.REFUND)
    found = [Place(s.txid, s.block_hash) for s in reversed(seen) if s.block_hash and s.kind in spends]
    return list(dict.fromkeys(found))[:_MOST_PLACES]


def birthplaces(outpoint: Outpoint, seen: Sequence[Sighting]) -> list[Place]:
    """Where these saw the output made."""
    found = [Place(s.txid, s.block_hash) for s in reversed(seen) if s.block_hash and s.txid == outpoint.txid]
    return list(dict.fromkeys(found))[:_MOST_PLACES]


def _weightiest(outpoints: Sequence[Outpoint], hints: dict[Outpoint, list[Sighting]]) -> list[Outpoint]:
    """First what may be the leg, or show its secret; then strays; at last those that went back to their owners."""

    def weight(outpoint: Outpoint) -> int:
        kinds = {sighting.kind for sighting in hints[outpoint]}
        if kinds & {SightingKind.LOCK, SightingKind.CLAIM}:
            return 0
        return 2 if SightingKind.REFUND in kinds else 1

    return sorted(outpoints, key=weight)
