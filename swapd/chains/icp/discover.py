"""Our legs, found without memory: in the canister's certified log, by our principal (rule S14)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swapd.chains.abilities import Trace
from swapd.chains.icp.canister import LogTip, SwapCanister
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import NANOSECONDS
from swapd.chains.icp.log import Block, Log
from swapd.chains.icp.principal import text
from swapd.chains.icp.stray import found_in
from swapd.chains.icp.watch import FUNDING
from swapd.protocol.note import Note
from swapd.protocol.terms import Asset, LegTerms

MOST_RECEIVED = 20_000
"""Of locks to us by others, the newest; anybody can make more."""

TELL_EVERY = 10_000
"""Blocks."""


@dataclass(frozen=True)
class Discovery:
    """own: our principal. tokens: assets by their ledgers' principals."""

    canister: SwapCanister
    log: Log
    own: bytes
    tokens: Mapping[bytes, Asset]

    async def traces(self, tip: LogTip, since: int, tell: Callable[[str], None]) -> list[Trace]:
        """See `Discovers`. Whatever a lock became, it began with a block that says all its terms."""
        with self.canister.agent.doubting():
            first = await self._first(tip, since * NANOSECONDS)
            before = max(0, first - 1)
            tell(f"reading {tip.length - first} blocks of the canister's log")
            sent: list[Trace] = []
            received: deque[Trace] = deque(maxlen=MOST_RECEIVED)
            async for block in self.log.read(before, None, tip):
                if block.index < first:
                    # the bisection asked for times that nobody has proven: those of early blocks could be made up so
                    # that some of ours are passed over. This one is proven, and none before it is later
                    if block.time_ns >= since * NANOSECONDS:
                        raise Untrusted(f"the canister's log was said to begin at block {first}, and begins before it")
                    continue
                trace = self._trace(block, tell) if block.kind == FUNDING else None
                if trace is not None:
                    (sent if trace.sends else received).append(trace)
                if (block.index - first + 1) % TELL_EVERY == 0:
                    tell(f"{block.index - first + 1} of {tip.length - first} blocks of the log are read")
        return [*sent, *received]  # not before the last block: only then they are proven

    async def _first(self, tip: LogTip, since_ns: int) -> int:
        """The first block of that time, by bisection."""
        low, high = 0, tip.length
        while low < high:
            middle = (low + high) // 2
            if await self.log.time_of(middle) < since_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def _trace(self, block: Block, tell: Callable[[str], None]) -> Trace | None:
        found = found_in(block)
        if found is None or self.own not in (found.sender.owner, found.receiver.owner):
            return None
        sends = found.sender.owner == self.own
        asset = self.tokens.get(found.ledger)
        if asset is None:
            tell(f"passed over: a lock in tokens of {text(found.ledger)}, which are not among the assets configured")
            return None
        if self.canister.escrow.id_of(found) != block.tx.get("id"):
            return None  # not as swapd locks: it can be no leg of a swap
        terms = LegTerms(
            asset=asset,
            amount=found.amount,
            hashlock=found.hashlock,
            sender=found.sender.text,
            receiver=found.receiver.text,
            timelock=found.timelock // NANOSECONDS,
            fund_by=found.fund_by // NANOSECONDS,
        )
        note = block.tx.get("note")
        return Trace(
            terms=terms,
            sends=sends,
            theirs=terms.receiver if sends else terms.sender,
            height=block.index,
            time=block.time_ns // NANOSECONDS,
            note=Note.decode(note) if sends and isinstance(note, bytes) else None,
        )
