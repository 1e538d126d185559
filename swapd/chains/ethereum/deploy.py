"""Putting the HTLC contract on a chain. It has no owner: whoever deploys it has no power over it afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from swapd.chains.ethereum.fees import FeePolicy
from swapd.chains.ethereum.htlc import artifact
from swapd.chains.ethereum.node import Node, Receipt
from swapd.chains.ethereum.rpc import Refusal, Rpc
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.ethereum.transactions import Call, EthereumDraft, Signer
from swapd.errors import Invalid, Rejected, Unavailable, Unknown

_GAS_MARGIN_PERCENT = 10  # the constructor does nothing that could cost more tomorrow


@dataclass(frozen=True)
class Deployment:
    """What goes into the configuration as `contract` and `from_block`."""

    contract: str
    from_block: int
    txid: str


async def deploy(settings: EthereumSettings, signer: Signer, *, within_seconds: float) -> Deployment:
    """Deploy from the signer's account, wait for its block, and compare the code on chain with the artifact's.

    Raises Unknown with the txid if it is in no block by then: look that transaction up before deploying again.
    """
    rpc = Rpc(settings.rpc_url, settings.timeout_seconds)
    try:
        return await _deploy(Node(rpc, settings.log_range), settings, signer, within_seconds)
    finally:
        await rpc.close()


async def _deploy(node: Node, settings: EthereumSettings, signer: Signer, within_seconds: float) -> Deployment:
    if (chain_id := await node.chain_id()) != settings.chain_id:
        raise Invalid("chain_id", settings.chain_id, f"{chain_id}, which is the node's")
    own, creation = signer.ethereum_address, Call("", 0, artifact().creation)
    gas = await node.estimate(own, creation) * (100 + _GAS_MARGIN_PERCENT) // 100
    fees = FeePolicy.of(settings).first(await node.market(), left=settings.ramp_seconds)
    draft = EthereumDraft(signer, chain_id, creation, gas, fees, await node.nonce(own, "pending"))
    if (balance := await node.balance(own)) < draft.cost:
        raise Rejected(f"{own} has {balance} wei, and deploying may take {draft.cost}")
    tx = draft.sign(draft.floor)
    try:
        await node.send(tx.raw)
    except Refusal as refusal:
        raise Rejected(f"the contract was not deployed: {refusal}") from None
    except Unknown as error:
        raise Unknown(f"{error}; look for {tx.txid} before deploying again") from None
    receipt = await _receipt(node, tx.txid, settings.poll_seconds, within_seconds)
    if not receipt.succeeded or receipt.created is None:
        raise Rejected(f"the creation of the contract was reverted in {tx.txid}")
    if await node.code(receipt.created) != artifact().deployed:
        raise Rejected(f"the code at {receipt.created} is not the artifact's: do not use it")
    return Deployment(receipt.created, receipt.height, tx.txid)


async def _receipt(node: Node, txid: str, poll_seconds: float, within_seconds: float) -> Receipt:
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                try:
                    if (receipt := await node.receipt(txid)) is not None:
                        return receipt
                except Unavailable:  # it is on its way, so going on asking is all that can be done until the time is up
                    pass
                await asyncio.sleep(poll_seconds)
    except TimeoutError:
        raise Unknown(f"{txid} is in no block after {within_seconds:g} s: look for it before deploying again") from None
