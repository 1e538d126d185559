"""Which transaction took an output, when no hint leads there: the blocks since a leg's birth, each read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import Wanted
from swapd.chains.bitcoin.rpc import Rpc
from swapd.chains.bitcoin.transaction import Outpoint
from swapd.errors import Unavailable

MOST_BLOCKS = 100
"""Read in one go: full ones take about ten seconds. What is left is read at the next look."""


class Place(NamedTuple):
    """Where a spend may be found: a transaction, and the block that holds it."""

    txid: str
    block_hash: str


@dataclass
class Search:
    """Remembers what it found, and how far it looked in vain, so that an output that is nowhere (a lock that was
    reorganised away, an invented one) costs a search once and not at every look. Forgetting that does no harm."""

    rpc: Rpc
    _found: dict[Outpoint, Place] = field(default_factory=dict)
    _passed: dict[Outpoint, tuple[int, str]] = field(default_factory=dict)

    def known(self, outpoint: Outpoint) -> list[Place]:
        """What an earlier search found; a reorganisation may have made it false."""
        place = self._found.get(outpoint)
        return [place] if place else []

    async def spends(self, outpoints: frozenset[Outpoint], birth: int, height: int) -> dict[Outpoint, Place]:
        """Look for what spent these in the blocks from `birth` to `height`, but not again in blocks seen before.

        Raises Unavailable when that is more than one go; the next call goes on from there.
        """
        if not outpoints:
            return {}
        first = await self._first_unread(outpoints, max(0, birth))
        heights = range(min(first.values()), height + 1)[:MOST_BLOCKS]
        found: dict[Outpoint, Place] = {}
        before = ""
        for current, block_hash in zip(heights, await blocks.hashes(self.rpc, heights), strict=True):
            due = frozenset(o for o in outpoints if first[o] <= current and o not in found)
            if block_hash is None:
                raise Unavailable("bitcoin node: its chain became shorter while it was read")
            block = await blocks.block(self.rpc, current, block_hash, Wanted(frozenset(), due))
            if before not in ("", block.previous):
                raise Unavailable("bitcoin node: its chain was reorganised while it was read")
            before = block_hash
            for tx in block.touching:
                found |= {i.outpoint: Place(tx.txid, block_hash) for i in tx.inputs if i.outpoint in due}
            self._passed |= dict.fromkeys(due, (current, block_hash))
            if found.keys() == outpoints:
                break
        for outpoint in found:
            del self._passed[outpoint]  # should a reorganisation undo its spend, it is looked for from the beginning
        self._found |= found
        if heights and heights[-1] < height and found.keys() != outpoints:
            raise Unavailable(
                f"bitcoin node: blocks {heights[-1] + 1} to {height} are still to be searched for a spend"
            )
        return found

    async def _first_unread(self, outpoints: frozenset[Outpoint], birth: int) -> dict[Outpoint, int]:
        """From which height on each of these has to be looked for."""
        marks = sorted({self._passed[outpoint] for outpoint in outpoints if outpoint in self._passed})
        now = await blocks.hashes(self.rpc, [height for height, _ in marks])
        # what was searched and then reorganised is not the chain any more
        true = {mark for mark, block_hash in zip(marks, now, strict=True) if mark[1] == block_hash}
        passed = {outpoint: self._passed.get(outpoint) for outpoint in outpoints}
        return {outpoint: mark[0] + 1 if mark in true and mark else birth for outpoint, mark in passed.items()}
