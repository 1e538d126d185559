"""Taking blocks back on real nodes, with or without what was in them."""

from __future__ import annotations

from decimal import Decimal

from swapd.chains.base import SignedTx
from swapd.devnet.bitcoind import to_btc
from swapd.protocol.terms import Leg
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side

NEVER = -(10**9)
"""Satoshi: by how much less a transaction seems to pay to a miner who is to leave it out."""

CONFLICT_FEE = 20_000
"""Satoshi: enough to take the place of anything in a quiet mempool."""


async def take_back(rig: Rig, chain: str, depth: int) -> None:
    """Replace the last `depth` blocks by one empty block more. On Bitcoin their transactions wait in the mempool again;
    on Ethereum they are gone, and whoever wants them has to send them again."""
    if chain == "bitcoin":
        node = rig.chains.bitcoind
        height, _ = await node.best()
        gone = await node.rpc("getblockhash", height - depth + 1)
        await node.invalidate(gone)
        waiting = await node.rpc("getrawmempool")
        for txid in waiting:
            await node.rpc("prioritisetransaction", txid, 0, NEVER)
        for _ in range(depth + 1):
            await rig.chains.bitcoin_block()
            rig.chains.now += 1
        for txid in waiting:
            await node.rpc("prioritisetransaction", txid, 0, -NEVER)
    else:
        await rig.chains.anvil.reorg(depth)
        await rig.chains.ethereum_block()


async def double_spend(rig: Rig, owner: Side, leg: Leg, lock: SignedTx) -> None:
    """What a lock that is in no block any more has used, its owner spends otherwise."""
    if leg.terms.chain == "bitcoin":
        await _spend_coins(rig, owner, lock)
    else:
        sender = leg.terms.sender
        await rig.chains.anvil.rpc("anvil_impersonateAccount", sender)
        request = {"from": sender, "to": sender, "value": "0x0", "nonce": hex(lock.sequence or 0)}
        await rig.chains.anvil.rpc("eth_sendTransaction", request)
    await rig.chains.blocks()


async def _spend_coins(rig: Rig, owner: Side, lock: SignedTx) -> None:
    node, wallet = rig.chains.bitcoind, owner.wallet
    inputs, total = [], 0
    for outpoint in lock.spends:
        txid, _, vout = outpoint.partition(":")
        before = await node.rpc("gettransaction", txid, True, True, wallet=wallet)
        total += int(Decimal(str(before["decoded"]["vout"][int(vout)]["value"])) * 10**8)
        inputs.append({"txid": txid, "vout": int(vout)})
    target = await node.rpc("getnewaddress", "", "bech32", wallet=wallet)
    raw = await node.rpc("createrawtransaction", inputs, [{target: to_btc(total - CONFLICT_FEE)}])
    signed = await node.rpc("signrawtransactionwithwallet", raw, wallet=wallet)
    txid = await node.rpc("sendrawtransaction", signed["hex"])
    rig.books.payers[txid] = owner.name
