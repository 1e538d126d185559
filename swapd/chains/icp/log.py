"""The canister's event log: blocks of ICRC-3, each with the hash of the one before, the last one certified."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from swapd.chains.icp.canister import LogTip, SwapCanister
from swapd.chains.icp.errors import Untrusted


@dataclass(frozen=True)
class Block:
    """kind: its `btype`. tx: what it says, by field. hash: ICRC-3's, of the whole block. time_ns: since 1970."""

    index: int
    hash: bytes
    kind: str
    time_ns: int
    tx: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """most_blocks: asked for at once."""

    canister: SwapCanister
    most_blocks: int

    async def time_of(self, index: int) -> int:
        """Of a block, nanoseconds since 1970; not proven."""
        for given, value in await self.canister.blocks(index, 1):
            if given == index:
                return _block(index, value)[0].time_ns
        raise Untrusted(f"the canister keeps block {index} of its log to itself")

    async def read(self, start: int, before: bytes | None, tip: LogTip) -> AsyncIterator[Block]:
        """Every block from `start` to the tip, in order. before: hash of the block before `start`, None if not known.

        Blocks come before they are certain: only when the end is reached is it proven that they lead to the tip.
        Raises Untrusted as soon as the chain of hashes breaks.
        """
        last = before
        while start < tip.length:
            page = await self.canister.blocks(start, min(self.most_blocks, tip.length - start))
            if not page:
                raise Untrusted(f"the canister keeps block {start} of its log to itself, of {tip.length}")
            for index, value in page:
                if index != start:
                    raise Untrusted(f"the canister gives block {index} of its log for block {start}")
                block, parent = _block(index, value)
                if last is not None and parent != (last if index else None):
                    raise Untrusted(f"the log's chain of hashes breaks at block {index}")
                yield block
                last = block.hash
                start += 1
        if last is not None and last != (tip.hash or last):
            raise Untrusted(f"the log does not lead to its certified tip, block {tip.length - 1}")


def _block(index: int, value: Any) -> tuple[Block, bytes | None]:
    """A block and its parent's hash. Raises Untrusted for anything that is no block."""
    try:
        fields = dict(value["Map"])
        parent = fields["phash"]["Blob"] if "phash" in fields else None
        tx = {name: plain(each) for name, each in fields["tx"]["Map"]}
        block = Block(index, value_hash(value), fields["btype"]["Text"], fields["ts"]["Nat"], tx)
    except (KeyError, TypeError, ValueError) as error:
        raise Untrusted(f"block {index} of the log has not the form of a block ({type(error).__name__})") from None
    return block, parent


def plain(value: Any) -> Any:
    """bytes, str, int, list or dict of an ICRC-3 value."""
    ((kind, content),) = value.items()
    if kind == "Map":
        return {name: plain(each) for name, each in content}
    if kind == "Array":
        return [plain(each) for each in content]
    return content


def value_hash(value: Any) -> bytes:
    """The representation-independent hash of ICRC-3."""
    ((kind, content),) = value.items()
    if kind == "Map":
        pairs = sorted(_sha256(name.encode()) + value_hash(each) for name, each in content)
        return _sha256(b"".join(pairs))
    if kind == "Array":
        return _sha256(b"".join(map(value_hash, content)))
    if kind == "Blob":
        return _sha256(content)
    if kind == "Text":
        return _sha256(content.encode())
    return _sha256(_unsigned(content) if kind == "Nat" else _signed(content))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _unsigned(number: int) -> bytes:
    """LEB128."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _signed(number: int) -> bytes:
    """SLEB128."""
    groups = bytearray()
    while not -0x40 <= number < 0x40:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number & 0x7F])
