"""Handing a transaction to one node, and what became of it there."""

from __future__ import annotations

from swapd.chains.base import Fate, SignedTx, TxState
from swapd.chains.ethereum.node import Node
from swapd.chains.ethereum.rpc import Refusal
from swapd.errors import Unavailable, Unknown

SETTLED_BLOCKS = 96
"""Three epochs: deeper than the finalized block on a healthy chain, and among the 128 blocks whose state every full
node has."""


async def hand_over(node: Node, tx: SignedTx) -> None:
    """See `HtlcChain.broadcast`. Whatever words a node has for "I know it": it is looked up."""
    try:
        answer = await node.send(tx.raw)
    except Refusal as refusal:
        if not await _known(node, tx, refusal):
            raise
        return
    if answer != tx.txid:
        raise Unknown(f"the Ethereum node answered {answer[:80]!r} to transaction {tx.txid}")


async def _known(node: Node, tx: SignedTx, refusal: Refusal) -> bool:
    try:
        return await node.transaction(tx.txid) is not None
    except Unavailable as error:
        raise Unknown(f"{refusal}; whether it knows {tx.txid} already can not be told: {error}") from None


async def fate_at(node: Node, own: str, tx: SignedTx) -> Fate:
    """See `HtlcChain.fate`. own: the account that sent it.

    Of a transaction that lost its nonce, the block that took the nonce is not known. Its depth is 0 until that is
    `SETTLED_BLOCKS` ago; from then on it is as deep as the chain, since no block will give the nonce back.
    """
    fate = await _in_block(node, tx)
    if fate is not None:
        return fate
    if await node.transaction(tx.txid) is not None:
        return Fate(TxState.PENDING)
    if tx.sequence is None or await node.nonce(own, "latest") <= tx.sequence:
        return Fate(TxState.MISSING)
    # its nonce is used, perhaps by itself since we looked
    return await _in_block(node, tx) or Fate(TxState.REPLACED, await _depth_of_use(node, own, tx.sequence))


async def _depth_of_use(node: Node, own: str, nonce: int) -> int:
    tip = await node.tip()
    first_settled = tip.height - SETTLED_BLOCKS + 1
    if first_settled < 0 or await node.nonce(own, first_settled) <= nonce:
        return 0
    return tip.height + 1


async def _in_block(node: Node, tx: SignedTx) -> Fate | None:
    receipt = await node.receipt(tx.txid)
    if receipt is None:
        return None
    tip = await node.tip()
    state = TxState.MINED if receipt.succeeded else TxState.FAILED
    return Fate(state, max(tip.height - receipt.height + 1, 1), receipt.fee)
