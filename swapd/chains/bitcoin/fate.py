"""What became of a transaction, on a node that need not have a transaction index."""

from __future__ import annotations

from swapd.chains.base import Fate, SignedTx, TxState
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import absent
from swapd.chains.bitcoin.rpc import NOT_FOUND, WALLET_NOT_FOUND, Call, Rpc, RpcError
from swapd.chains.bitcoin.transaction import Outpoint, read

LOOKBACK = 288
"""Blocks to search for what spent an input, when nothing else answers. Two days: longer than anyone follows a fate."""


async def fate_of(rpc: Rpc, tx: SignedTx) -> Fate:
    """Asked in turn: mempool (or index), wallet, unspent outputs, and at last the blocks of the last two days.

    The last way is for a payout to a foreign address that was spent again already. Older than that it is MISSING.
    """
    inputs = [outpoint for text in tx.spends if (outpoint := Outpoint.parse(text))]
    outputs = [Outpoint(tx.txid, index) for index in range(len(read(tx.raw).outputs))]
    direct, *answers = await rpc.batch(
        [Call("getrawtransaction", (tx.txid, 1))]
        + [Call("gettxout", (o.txid, o.vout, False)) for o in [*outputs, *inputs]]
    )
    paid, unspent_inputs = answers[: len(outputs)], answers[len(outputs) :]
    for answer in paid:
        if not absent(answer):
            return Fate(TxState.MINED, blocks.whole(answer["confirmations"]), tx.fee)
    if not absent(direct):
        if (depth := blocks.whole(direct.get("confirmations", 0))) > 0:
            return Fate(TxState.MINED, depth, tx.fee)
        if "blockhash" not in direct:  # an index also knows transactions of blocks that were reorganised away
            return Fate(TxState.PENDING)
    if depth := await _depth_in_wallet(rpc, tx.txid):
        return Fate(TxState.MINED, depth, tx.fee) if depth > 0 else Fate(TxState.REPLACED, -depth)
    gone = frozenset(o for o, answer in zip(inputs, unspent_inputs, strict=True) if absent(answer))
    if not gone:
        return Fate(TxState.MISSING)
    tip, _ = await blocks.tip(rpc)
    found = await blocks.spenders(rpc, gone, max(0, tip.height - LOOKBACK), tip.height)
    for txid, block_hash in found.values():
        depth = blocks.whole((await rpc.call("getblockheader", block_hash))["confirmations"])
        if depth > 0:
            return Fate(TxState.MINED, depth, tx.fee) if txid == tx.txid else Fate(TxState.REPLACED, depth)
    return Fate(TxState.MISSING)


async def _depth_in_wallet(rpc: Rpc, txid: str) -> int:
    """As the wallet counts: above 0 in a block, below 0 when a block has a conflicting one, 0 when it does not know."""
    if not rpc.has_wallet:
        return 0
    try:
        found = await rpc.wallet("gettransaction", txid)
    except RpcError as error:
        if error.code not in (NOT_FOUND, WALLET_NOT_FOUND):
            raise
        return 0  # a wallet that is not there knows nothing either: the blocks will tell
    return int(found["confirmations"])
