"""Our legs, found without memory: in the contract's events, by our address (rule S14)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace

from swapd.chains.abilities import Trace
from swapd.chains.ethereum.address import ZERO_ADDRESS
from swapd.chains.ethereum.htlc import Event, Htlc, Locked, artifact
from swapd.chains.ethereum.node import Header, Log, Node
from swapd.errors import Unavailable
from swapd.protocol.note import Note
from swapd.protocol.terms import Asset, LegTerms

MOST_RECEIVED = 20_000
"""Of locks to us by others, the newest; anybody can make more."""

TELL_EVERY = 50
"""Ranges of blocks."""


@dataclass(frozen=True)
class Discovery:
    """own: our address. from_block: nothing of ours is older. log_range: blocks that the node answers for at once."""

    node: Node
    own: str
    assets: Mapping[str, Asset]
    from_block: int
    log_range: int

    async def traces(self, htlc: Htlc, since: int, tell: Callable[[str], None]) -> list[Trace]:
        """See `Discovers`. Whatever a lock became, its event says all its terms; its transaction, what it carries."""
        sent: list[Trace] = []
        received: deque[Trace] = deque(maxlen=MOST_RECEIVED)
        times: dict[int, int] = {}
        async for log in self._locks(htlc, htlc.address, since, tell):
            event = htlc.event(log)
            trace = self._trace(event, tell) if event is not None else None
            if trace is None:
                continue
            if trace.height not in times:
                times[trace.height] = (await self._block(trace.height)).time
            trace = replace(trace, time=times[trace.height])
            if trace.sends:
                sent.append(replace(trace, note=await self._note(htlc, log, event)))
            else:
                received.append(trace)
        return [*sent, *received]

    async def contracts(self, since: int, tell: Callable[[str], None]) -> list[str]:
        """Addresses with the code of our contract whose locks since then we made or are to receive."""
        somewhere = Htlc(0, ZERO_ADDRESS)
        found: dict[str, bool] = {}
        async for log in self._locks(somewhere, None, since, tell):
            event = somewhere.event(log)
            if event is None or self._trace(event, tell) is None:
                continue
            transaction = await self.node.transaction(log.txid)
            address = transaction.call.to if transaction else ""
            if address and address not in found:
                found[address] = await self.node.code(address) == artifact().deployed
        return [address for address, is_ours in found.items() if is_ours]

    async def _locks(
        self, htlc: Htlc, contract: str | None, since: int, tell: Callable[[str], None]
    ) -> AsyncIterator[Log]:
        tip = await self.node.tip()
        first = max(self.from_block, await self._first(tip, since))
        tell(f"reading the events of blocks {first} to {tip.height}")
        for number, start in enumerate(range(first, tip.height + 1, self.log_range), 1):
            end = min(start + self.log_range - 1, tip.height)
            for log in await self.node.logs(contract, start, end, [htlc.locked_topic]):
                yield log
            if number % TELL_EVERY == 0:
                tell(f"blocks up to {end} of {tip.height} are read")

    async def _first(self, tip: Header, since: int) -> int:
        """The first block of that time, by bisection."""
        low, high = 0, tip.height
        while low < high:
            middle = (low + high) // 2
            if (await self._block(middle)).time < since:
                low = middle + 1
            else:
                high = middle
        return low

    async def _block(self, height: int) -> Header:
        header = await self.node.header(height)
        if header is None:
            raise Unavailable(f"the Ethereum node has no block {height}")
        return header

    async def _note(self, htlc: Htlc, log: Log, event: Event | None) -> Note | None:
        transaction = await self.node.transaction(log.txid)
        if transaction is None or event is None or not isinstance(event.what, Locked):
            return None
        return Note.decode(htlc.note(event.what.terms, transaction.call) or b"")

    def _trace(self, event: Event, tell: Callable[[str], None]) -> Trace | None:
        if not isinstance(event.what, Locked) or event.log is None:
            return None
        found = event.what.terms
        if self.own not in (found.sender, found.receiver):
            return None
        asset = next((a for a in self.assets.values() if (a.token or ZERO_ADDRESS) == found.token), None)
        if asset is None:
            tell(f"passed over: a lock of the token {found.token}, which is not among the assets configured")
            return None
        if not 0 < found.fund_by < found.timelock < 2**32 or not found.amount:
            return None  # no leg of a swap
        terms = LegTerms(
            asset, found.amount, found.hashlock, found.sender, found.receiver, found.timelock, found.fund_by
        )
        sends = found.sender == self.own
        return Trace(terms, sends, found.receiver if sends else found.sender, event.log.height, time=0)
