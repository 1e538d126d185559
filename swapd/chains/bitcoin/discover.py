"""Our legs, found without memory: every block since then, read for notes of ours and for scripts that notes on other
chains lead to (rule S14).

A block shows of a leg no more than a hash. What it commits to is put together from a note (index, the other side, the
timelock) and a hashlock, and it is right if and only if an output has its script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from bitcoin.core import CBlockHeader, CTransaction
from bitcoin.core.serialize import VarIntSerializer

from swapd.chains.abilities import Clues, Trace
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.people import party
from swapd.chains.bitcoin.rpc import Rpc
from swapd.chains.bitcoin.script import htlc_script, output_script
from swapd.chains.bitcoin.settings import Network
from swapd.chains.bitcoin.spending import Keys
from swapd.chains.bitcoin.transaction import Output
from swapd.chains.bitcoin.unseen import other_side, timelocks
from swapd.errors import Invalid, Unavailable
from swapd.protocol.note import LONG, Note
from swapd.protocol.terms import Asset, LegTerms
from swapd.vault.derivation import KeyPurpose

CLOCK_BACK = 7_200
"""Seconds by which the timestamps of blocks may go back, and a little more: they must be above the median of eleven."""

AT_ONCE = 200
"""Block hashes asked for in one request."""

TELL_EVERY = 500
"""Blocks: a minute or two of full ones."""

_NOTE_OUTPUT = bytes([0x6A, LONG])  # OP_RETURN and the length
_WITNESS_OUTPUT = b"\x00\x20"


@dataclass(frozen=True)
class _Leg:
    """A leg that may stand in a block, whole but for its amount. note: which our own lock carries."""

    terms: LegTerms
    sends: bool
    theirs: str
    note: Note | None

    @property
    def script(self) -> bytes:
        return output_script(htlc_script(self.terms))


@dataclass(frozen=True)
class _Read:
    """Of one block. telling: the outputs of each transaction that may concern us."""

    time: int
    telling: Sequence[Sequence[Output]]


@dataclass(frozen=True)
class Discovery:
    rpc: Rpc
    network: Network
    keys: Keys
    asset: Asset

    async def traces(self, since: int, clues: Clues, tell: Callable[[str], None]) -> list[Trace]:
        """See `Discovers`."""
        expected = await asyncio.to_thread(self._expected, clues)
        tip, _ = await blocks.tip(self.rpc)
        first = await self._first(tip.height, since - CLOCK_BACK)
        tell(f"reading {tip.height - first + 1} blocks, from {first} on")
        found: dict[tuple[bytes, int], Trace] = {}
        for start in range(first, tip.height + 1, AT_ONCE):
            heights = range(start, min(start + AT_ONCE, tip.height + 1))
            for height, block_hash in zip(heights, await blocks.hashes(self.rpc, heights), strict=True):
                if block_hash is None:
                    raise Unavailable("bitcoin node: its chain became shorter while it was read")
                raw = bytes.fromhex(await self.rpc.call("getblock", block_hash, 0))
                for trace in await asyncio.to_thread(self._in_block, raw, height, expected, clues):
                    found.setdefault((output_script(htlc_script(trace.terms)), trace.terms.amount), trace)
                if (height - first + 1) % TELL_EVERY == 0:
                    tell(f"{height - first + 1} of {tip.height - first + 1} blocks are read")
        return list(found.values())

    async def _first(self, tip: int, since: int) -> int:
        """The first block of that time, by bisection: near enough, for times that nearly only rise."""
        low, high = 0, tip
        while low < high:
            middle = (low + high) // 2
            block_hash = (await blocks.hashes(self.rpc, [middle]))[0]
            if (await self.rpc.call("getblockheader", block_hash))["time"] < since:
                low = middle + 1
            else:
                high = middle
        return low

    def _expected(self, clues: Clues) -> dict[bytes, _Leg]:
        """Legs that others funded or will, from what our own locks elsewhere carry; by their output scripts."""
        legs = (
            leg
            for trace in clues.traces
            if trace.sends and trace.note is not None
            for leg in self._legs(trace.note, trace.time, [trace.terms.hashlock], clues, sends=False)
        )
        return {leg.script: leg for leg in legs}

    def _in_block(self, raw: bytes, height: int, expected: dict[bytes, _Leg], clues: Clues) -> list[Trace]:
        block = _parse(raw, expected.keys())
        return [
            trace for outputs in block.telling for trace in self._traces(outputs, height, block.time, expected, clues)
        ]

    def _traces(
        self, outputs: Sequence[Output], height: int, time: int, expected: dict[bytes, _Leg], clues: Clues
    ) -> Iterator[Trace]:
        own = self._own_leg(outputs, time, clues)
        for output in outputs:
            leg = own if own is not None and output.script == own.script else expected.get(output.script)
            if leg is not None and output.amount > 0:
                terms = LegTerms(
                    self.asset,
                    output.amount,
                    leg.terms.hashlock,
                    leg.terms.sender,
                    leg.terms.receiver,
                    leg.terms.timelock,
                    leg.terms.fund_by,
                )
                yield Trace(terms, leg.sends, leg.theirs, height, time, leg.note)

    def _own_leg(self, outputs: Sequence[Output], time: int, clues: Clues) -> _Leg | None:
        """The leg that a note in this transaction is about, if one of its outputs has the leg's script."""
        scripts = {output.script for output in outputs}
        payloads = (output.script[2:] for output in outputs if _is_note(output.script))
        for note in filter(None, map(Note.decode, payloads)):
            index = clues.index(note.index, time)
            known = (trace.terms.hashlock for trace in clues.traces)
            hashlocks = dict.fromkeys((clues.hashlock(index), *known))
            for leg in self._legs(note, time, hashlocks, clues, sends=True):
                if leg.script in scripts:
                    return leg
        return None

    def _legs(self, note: Note, time: int, hashlocks: Iterable[bytes], clues: Clues, *, sends: bool) -> Iterator[_Leg]:
        """All that a note of this time can mean, with one of these hashlocks."""
        theirs = other_side(note.unseen, self.network) if note.unseen is not None else None
        if note.unseen is None or theirs is None:
            return
        index = clues.index(note.index, time)
        own, their = (KeyPurpose.REFUND, KeyPurpose.CLAIM) if sends else (KeyPurpose.CLAIM, KeyPurpose.REFUND)
        own_key = self.keys.bitcoin_pubkey(index, own).hex()
        their_key = party("note", theirs, self.keys.bitcoin_pubkey(index, their), self.network).identity
        sender, receiver = (own_key, their_key) if sends else (their_key, own_key)
        for hashlock in hashlocks:
            for timelock in timelocks(note.unseen, time):
                fund_by = max(1, min(time, timelock - 1))
                try:
                    terms = LegTerms(self.asset, 1, hashlock, sender, receiver, timelock, fund_by)
                    htlc_script(terms)
                except Invalid:
                    continue  # no script can hold it, so no output has it
                yield _Leg(terms, sends, theirs, note if sends else None)


def _is_note(script: bytes) -> bool:
    return len(script) == len(_NOTE_OUTPUT) + LONG and script.startswith(_NOTE_OUTPUT)


def _parse(raw: bytes, wanted: Iterable[bytes]) -> _Read:
    """Transactions with one of these scripts, or with a note beside an output that may be a leg."""
    scripts = frozenset(wanted)
    stream = BytesIO(raw)
    header = CBlockHeader.stream_deserialize(stream)
    telling = []
    for _ in range(VarIntSerializer.stream_deserialize(stream)):
        tx = CTransaction.stream_deserialize(stream)
        outputs = [Output(int(item.nValue), bytes(item.scriptPubKey)) for item in tx.vout]
        noted = any(_is_note(o.script) for o in outputs)
        legs = any(len(o.script) == 34 and o.script.startswith(_WITNESS_OUTPUT) for o in outputs)
        if (noted and legs) or any(o.script in scripts for o in outputs):
            telling.append(outputs)
    return _Read(int(header.nTime), telling)
