"""What swapd asks an Ethereum node, in typed values. An answer of another shape is no answer: Unavailable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from eth_utils.address import to_checksum_address

from swapd.chains.base import Tip
from swapd.chains.ethereum.fees import Market
from swapd.chains.ethereum.rpc import Refusal, Rpc
from swapd.chains.ethereum.transactions import Call
from swapd.errors import Rejected, Unavailable

_T = TypeVar("_T")

_HISTORY_BLOCKS = 10  # two minutes of what others pay: old enough to be calm, young enough to be true
_HISTORY_PERCENTILE = 50.0

_TOO_MUCH = re.compile("more than|too many|too large|exceed|block range|(?<!rate )limit", re.IGNORECASE)
"""What nodes say of an `eth_getLogs` with too long a range or too many results. There is no code for it."""


@dataclass(frozen=True)
class Header:
    height: int
    hash: str
    parent: str
    time: int

    @property
    def tip(self) -> Tip:
        return Tip(self.height, self.hash, self.time)


@dataclass(frozen=True)
class Log:
    """An event. topics[0] says which one."""

    topics: tuple[bytes, ...]
    data: bytes = field(repr=False)
    txid: str
    block_hash: str
    height: int


@dataclass(frozen=True)
class Receipt:
    """succeeded: False if the call was reverted. fee: wei."""

    succeeded: bool
    height: int
    block_hash: str
    fee: int
    created: str | None


@dataclass(frozen=True)
class Transaction:
    """height: None while it is pending. call.to is empty for the creation of a contract."""

    txid: str
    sender: str
    call: Call
    height: int | None


class Node:
    """One node. `block` is a height, a hash or one of the tags latest, pending, finalized."""

    def __init__(self, rpc: Rpc, log_range: int) -> None:
        self._rpc = rpc
        self._log_range = log_range

    # -- blocks ----------------------------------------------------------------------------------------------------

    async def header(self, block: int | str) -> Header | None:
        """None if there is no such block."""
        with _reading("eth_getBlockByNumber"):
            return _maybe(_header, await self._rpc.call("eth_getBlockByNumber", _name(block), False))

    async def tip(self) -> Header:
        return _present(await self.header("latest"), "a latest block")

    async def pending(self) -> Sequence[Transaction]:
        """What the node would put into the next block; empty on nodes that do not tell."""
        with _reading("eth_getBlockByNumber"):
            block = await self._rpc.call("eth_getBlockByNumber", "pending", True)
            return [] if block is None else [_transaction(each, pending=True) for each in block["transactions"]]

    # -- logs ------------------------------------------------------------------------------------------------------

    async def logs_of(self, contract: str, block_hash: str) -> Sequence[Log]:
        """All events of the contract in one block: by its hash, so a reorg can not put another block's in."""
        return await self._logs(contract, {"blockHash": block_hash})

    async def logs(self, contract: str | None, first: int, last: int, topics: Sequence[object] = ()) -> Sequence[Log]:
        """Events of the contract (None: of all) in blocks first to last, in ranges that the node does not refuse."""
        found: list[Log] = []
        for start in range(first, last + 1, self._log_range):
            found += await self._range(contract, start, min(start + self._log_range - 1, last), topics)
        return found

    async def _range(self, contract: str | None, start: int, end: int, topics: Sequence[object]) -> Sequence[Log]:
        """Halved as often as the node says that it is too much: how many events there are is up to anybody."""
        try:
            part = await self._logs(contract, {"fromBlock": hex(start), "toBlock": hex(end), "topics": list(topics)})
        except (Rejected, Unavailable) as error:
            if start == end or not _TOO_MUCH.search(str(error)):
                raise
            middle = (start + end) // 2
            halves = (start, middle), (middle + 1, end)
            return [log for half in halves for log in await self._range(contract, *half, topics)]
        if any(not start <= log.height <= end for log in part):
            raise Unavailable(f"the Ethereum node gave events outside of blocks {start} to {end}")
        return part

    async def _logs(self, contract: str | None, where: dict[str, object]) -> Sequence[Log]:
        with _reading("eth_getLogs"):
            entries = await self._rpc.call("eth_getLogs", where | ({"address": contract} if contract else {}))
            if contract and any(_address(entry["address"]) != contract for entry in entries):
                raise Unavailable("the Ethereum node gave events of another contract")
            return [_log(entry) for entry in entries if not entry.get("removed")]

    # -- state -----------------------------------------------------------------------------------------------------

    async def storage(self, contract: str, slot: bytes, block: str) -> int:
        """A storage word; a block given by its hash must be of the present chain (EIP-1898)."""
        at = {"blockHash": block, "requireCanonical": True} if block.startswith("0x") else block
        with _reading("eth_getStorageAt"):
            return int.from_bytes(_data(await self._rpc.call("eth_getStorageAt", contract, _hex(slot), at), 32))

    async def code(self, address: str) -> bytes:
        with _reading("eth_getCode"):
            return _data(await self._rpc.call("eth_getCode", address, "latest"))

    async def balance(self, address: str, block: str = "latest") -> int:
        """Wei."""
        with _reading("eth_getBalance"):
            return _quantity(await self._rpc.call("eth_getBalance", address, block))

    async def returned(self, call: Call, block: str = "latest") -> bytes:
        """What a view function returns."""
        with _reading("eth_call"):
            return _data(await self._rpc.call("eth_call", _question(call), block))

    async def nonce(self, address: str, block: int | str) -> int:
        """Transactions that the account has sent up to a block: its next nonce."""
        with _reading("eth_getTransactionCount"):
            return _quantity(await self._rpc.call("eth_getTransactionCount", address, _name(block)))

    async def chain_id(self) -> int:
        with _reading("eth_chainId"):
            return _quantity(await self._rpc.call("eth_chainId"))

    async def syncing(self) -> bool:
        return await self._rpc.call("eth_syncing") is not False

    # -- transactions ----------------------------------------------------------------------------------------------

    async def transaction(self, txid: str) -> Transaction | None:
        with _reading("eth_getTransactionByHash"):
            return _maybe(_transaction, await self._rpc.call("eth_getTransactionByHash", txid))

    async def receipt(self, txid: str) -> Receipt | None:
        """None while it is in no block."""
        with _reading("eth_getTransactionReceipt"):
            return _maybe(_receipt, await self._rpc.call("eth_getTransactionReceipt", txid))

    async def estimate(self, sender: str, call: Call) -> int:
        """Gas the call needs on top of the latest block. Raises Refusal if it would be reverted there."""
        with _reading("eth_estimateGas"):
            return _quantity(await self._rpc.call("eth_estimateGas", {"from": sender, **_question(call)}, "latest"))

    async def market(self) -> Market:
        """The next block's base fee and the tip that got into recent ones. A node that keeps no such history, or tells
        one that makes no sense, is asked for its last block: exits must not wait for an estimate."""
        try:
            history = await self._rpc.call("eth_feeHistory", hex(_HISTORY_BLOCKS), "latest", [_HISTORY_PERCENTILE])
            tips = sorted(_quantity(block[0]) for block in history.get("reward") or [])
            return Market(_quantity(history["baseFeePerGas"][-1]), tips[len(tips) // 2] if tips else 0)
        except (Refusal, KeyError, TypeError, ValueError, IndexError, AttributeError):
            return await self._market_after_tip()

    async def _market_after_tip(self) -> Market:
        with _reading("eth_getBlockByNumber"):
            base_fee = _quantity((await self._rpc.call("eth_getBlockByNumber", "latest", False))["baseFeePerGas"])
            return Market(base_fee + base_fee // 8 + 1, 0)  # the most that one full block adds (EIP-1559)

    async def send(self, raw: bytes) -> str:
        """See `Rpc.send`."""
        return await self._rpc.send(raw)

    # -- proofs ----------------------------------------------------------------------------------------------------

    async def ask(self, read: Callable[[Any], _T], method: str, *params: object) -> _T:
        """What `read` makes of the answer, whose shape is its own business."""
        with _reading(method):
            return read(await self._rpc.call(method, *params))


# -- from JSON ---------------------------------------------------------------------------------------------------------


@contextmanager
def _reading(method: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Unavailable(f"the Ethereum node's answer to {method} makes no sense ({type(error).__name__})") from None


def _maybe(read: Callable[[Any], _T], value: Any) -> _T | None:
    return None if value is None else read(value)


def _present(value: _T | None, what: str) -> _T:
    if value is None:
        raise Unavailable(f"the Ethereum node has no {what.removeprefix('a ')}")
    return value


def _quantity(value: Any) -> int:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(value)
    return int(value, 16)


def _data(value: Any, length: int | None = None) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(value)
    decoded = bytes.fromhex(value[2:])
    if length is not None and len(decoded) != length:
        raise ValueError(value)
    return decoded


def _hash(value: Any) -> str:
    return _hex(_data(value, 32))


def _address(value: Any) -> str:
    return to_checksum_address(_data(value, 20))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _name(block: int | str) -> str:
    return hex(block) if isinstance(block, int) else block


def _question(call: Call) -> dict[str, str]:
    return {"value": hex(call.value), "data": _hex(call.data)} | ({"to": call.to} if call.to else {})


def _header(block: Any) -> Header:
    return Header(
        _quantity(block["number"]), _hash(block["hash"]), _hash(block["parentHash"]), _quantity(block["timestamp"])
    )


def _log(entry: Any) -> Log:
    topics: Iterable[Any] = entry["topics"]
    return Log(
        tuple(_data(topic, 32) for topic in topics),
        _data(entry["data"]),
        _hash(entry["transactionHash"]),
        _hash(entry["blockHash"]),
        _quantity(entry["blockNumber"]),
    )


def _receipt(receipt: Any) -> Receipt:
    return Receipt(
        succeeded=_quantity(receipt["status"]) == 1,
        height=_quantity(receipt["blockNumber"]),
        block_hash=_hash(receipt["blockHash"]),
        fee=_quantity(receipt["gasUsed"]) * _quantity(receipt["effectiveGasPrice"]),
        created=_maybe(_address, receipt.get("contractAddress")),
    )


def _transaction(fields: Any, *, pending: bool = False) -> Transaction:
    return Transaction(
        _hash(fields["hash"]),
        _address(fields["from"]),
        Call(_maybe(_address, fields.get("to")) or "", _quantity(fields["value"]), _data(fields["input"])),
        # in a pending block some nodes give the number that it would have
        None if pending else _maybe(_quantity, fields.get("blockNumber")),
    )
