"""What shows a leg to somebody who believes nobody but the chain: its events and its storage, each with the way to the
header of a block.

How a lock began and ended is in the receipts: the slot alone is empty again once a lock has ended after fund_by. All of
it is checked here against the headers, so that a proof that is none is noticed before somebody needs it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from swapd.chains.base import WatchedLeg
from swapd.chains.endpoints import Endpoints
from swapd.chains.ethereum import trie
from swapd.chains.ethereum.htlc import Claimed, Event, Htlc, HtlcTerms, Locked
from swapd.chains.ethereum.node import Node
from swapd.errors import Rejected, Unavailable

MOST_CHARACTERS = 500_000
"""Of one part, of which there are three. One of a busy chain has some 20,000; a receipt may hold what thousands of
others did in the same transaction."""

_NUMBERS = frozenset(
    {
        *("difficulty", "number", "gasLimit", "gasUsed", "timestamp"),
        *("baseFeePerGas", "blobGasUsed", "excessBlobGas"),
    }
)

_FIELDS = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"),
    *("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"),
    "baseFeePerGas",  # EIP-1559
    "withdrawalsRoot",  # EIP-4895
    *("blobGasUsed", "excessBlobGas"),  # EIP-4844
    "parentBeaconBlockRoot",  # EIP-4788
    "requestsHash",  # EIP-7685
)
"""Of a header, in the order in which they are hashed. A fork only ever adds some, at the end."""


async def prove(endpoints: Endpoints[Node], htlc: Htlc, watched: WatchedLeg, from_block: int) -> dict[str, str]:
    """See `Proves.prove`. A part that no node gives has its reason in its place: not all of them make proofs."""
    lock_id = htlc.id_of(HtlcTerms.of(watched.leg.terms))
    events = await endpoints.first(partial(_events, htlc, lock_id, watched.birth, from_block))
    if not events:
        return {}
    found = {"chain_id": str(htlc.chain_id), "contract": htlc.address, "lock_id": lock_id}
    parts = {"state": partial(_state, htlc, lock_id)} | {_name(each): partial(_receipt, each) for each in events}
    for name, part in parts.items():
        try:
            proof = await endpoints.first(part)
        except Rejected as error:
            proof = {"none": str(error)}
        if sum(map(len, proof.values())) > MOST_CHARACTERS:
            proof = {"none": f"it has more than {MOST_CHARACTERS} characters"}
        found |= {f"{name}.{field}": value for field, value in proof.items()}
    return found


def _name(event: Event) -> str:
    if isinstance(event.what, Locked):
        return "locked"
    return "claimed" if isinstance(event.what, Claimed) else "refunded"


async def _events(htlc: Htlc, lock_id: str, birth: int, from_block: int, node: Node) -> list[Event]:
    """All that happened to the lock: a beginning and an end at most, that is how the contract is."""
    tip = await node.tip()
    if tip.height < birth:
        raise Unavailable(f"the Ethereum node is at block {tip.height}, behind block {birth} of this swap")
    logs = await node.logs(htlc.address, max(birth, from_block), tip.height, [htlc.topics, [lock_id]])
    events = [event for log in logs if (event := htlc.event(log)) is not None and event.lock_id == lock_id]
    if len(events) > 2 or len({_name(event) for event in events}) != len(events):
        raise Unavailable(f"the Ethereum node contradicts itself: lock {lock_id} has {len(events)} events")
    return events


# -- storage -----------------------------------------------------------------------------------------------------------


async def _state(htlc: Htlc, lock_id: str, node: Node) -> dict[str, str]:
    """The lock's slot in the newest block: the one of which every node has the state (`eth_getProof`, EIP-1186)."""
    tip = await node.tip()
    fields, header = await _header(node, tip.hash)
    at = {"blockHash": tip.hash, "requireCanonical": True}
    account, storage, word = await node.ask(_account_and_slot, "eth_getProof", htlc.address, [lock_id], at)
    if not account or keccak(account[0]) != bytes.fromhex(fields["stateRoot"][2:]):
        raise Unavailable("the Ethereum node's proof of the lock's state does not lead to its block")
    return {
        "block": tip.hash,
        "header": _hex(header),
        "account": _nodes(account),
        "storage": _nodes(storage),
        "word": str(word),
    }


def _account_and_slot(answer: Any) -> tuple[list[bytes], list[bytes], int]:
    (slot,) = answer["storageProof"]
    account, storage = ([_data(each) for each in nodes] for nodes in (answer["accountProof"], slot["proof"]))
    return account, storage, int(slot["value"], 16)


# -- receipts ----------------------------------------------------------------------------------------------------------


async def _receipt(event: Event, node: Node) -> dict[str, str]:
    """The event's receipt, with its way to the header, out of all receipts of the block: nodes give no such proof."""
    if event.log is None:
        raise Unavailable("the Ethereum node gave an event of no block")
    fields, header = await _header(node, event.log.block_hash)
    receipts = await node.ask(list, "eth_getBlockReceipts", event.log.block_hash)
    place, root, nodes = await asyncio.to_thread(_branch, receipts, event.txid)  # some tenths of a second
    if root != bytes.fromhex(fields["receiptsRoot"][2:]):
        raise Unavailable(f"the Ethereum node's receipts of block {event.log.block_hash} do not have its root")
    return {
        "transaction": event.txid,
        "block": event.log.block_hash,
        "header": _hex(header),
        "place": str(place),
        "branch": _nodes(nodes),
    }


def _branch(receipts: list[Any], txid: str) -> tuple[int, bytes, list[bytes]]:
    """The transaction's place among all of its block, the root of their tree, and the nodes between."""
    ordered = sorted(receipts, key=lambda each: int(each["transactionIndex"], 16))
    place = next((place for place, each in enumerate(ordered) if _hex(_data(each["transactionHash"])) == txid), None)
    if place is None:
        raise Unavailable(f"the Ethereum node's receipts of the block of {txid} lack that one")
    return place, *trie.branch([_encoded(each) for each in ordered], place)


def _encoded(receipt: Any) -> bytes:
    """As it is hashed (EIP-2718)."""
    logs = [[_data(log["address"]), list(map(_data, log["topics"])), _data(log["data"])] for log in receipt["logs"]]
    status, gas = int(receipt["status"], 16), int(receipt["cumulativeGasUsed"], 16)
    kind = int(receipt.get("type") or "0x0", 16)
    body: bytes = rlp.encode([status, gas, _data(receipt["logsBloom"]), logs])
    return bytes([kind]) + body if kind else body


# -- headers -----------------------------------------------------------------------------------------------------------


async def _header(node: Node, block_hash: str) -> tuple[dict[str, str], bytes]:
    """Its fields, and their RLP: the bytes whose hash is the block's."""
    fields, header = await node.ask(encoded_header, "eth_getBlockByHash", block_hash, False)
    if keccak(header) != bytes.fromhex(block_hash[2:]):
        raise Unavailable(
            f"the Ethereum node's header of block {block_hash} does not have that hash: it is wrong, or has fields "
            "that this swapd does not know yet"
        )
    return fields, header


def encoded_header(answer: Any) -> tuple[dict[str, str], bytes]:
    """Of a block as nodes give it: the header's fields, and their RLP."""
    if answer is None:
        raise Unavailable("the chain was reorganised while it was read")
    fields = {name: answer[name] for name in _FIELDS if answer.get(name) is not None}
    encoded: bytes = rlp.encode([int(v, 16) if name in _NUMBERS else _data(v) for name, v in fields.items()])
    return fields, encoded


def _data(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _nodes(nodes: Sequence[bytes]) -> str:
    return json.dumps([_hex(each) for each in nodes])
