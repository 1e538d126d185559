"""People with keys of their own, and wallets that sign what the node reads in it, whatever we do."""

from __future__ import annotations

import base64
from dataclasses import replace

from bitcoin.core import CTransaction
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, SignatureHash
from coincurve import PrivateKey

from swapd.chains.base import WatchedLeg
from swapd.chains.bitcoin.psbt import Psbt, read_all
from swapd.devnet.bitcoind import to_satoshi
from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import Wallet

from .conftest import World

BOB = PrivateKey(b"\x0b" * 32)
"""The receiver."""
ALICE = PrivateKey(b"\x0a" * 32)
"""The sender."""


def pubkey(key: PrivateKey) -> bytes:
    return bytes(key.public_key.format())


async def leg_of(world: World, *, sender: PrivateKey | None = None, receiver: PrivateKey | None = None) -> WatchedLeg:
    """A leg between these keys, and swapd's own where none is given; in a block."""
    watched = await world.leg()
    leg = watched.leg
    if sender:
        terms = replace(leg.terms, sender=pubkey(sender).hex())
        leg = replace(leg, terms=terms, funded_by=Wallet.EXTERNAL, refund_by_swapd=False)
    if receiver:
        terms = replace(leg.terms, receiver=pubkey(receiver).hex())
        leg = replace(leg, terms=terms, claimed_by=Wallet.EXTERNAL, claim_by_swapd=False)
    watched = replace(watched, leg=leg)
    if sender:
        await world.pay(watched)
    else:
        await world.send(EffectKind.LOCK, watched)
        await world.node.mine(1)
    return await world.seen(watched)


async def sign(world: World, psbt: str, key: PrivateKey, sighash_type: int = SIGHASH_ALL) -> str:
    """The same PSBT with this key's signature in its first input."""
    shown = await world.node.rpc("decodepsbt", psbt)
    item = shown["inputs"][0]
    tx = CTransaction.deserialize(read_all(base64.b64decode(psbt))[0].unsigned)
    digest = SignatureHash(
        CScript(bytes.fromhex(item["witness_script"]["hex"])),
        tx,
        0,
        sighash_type,
        to_satoshi(item["witness_utxo"]["amount"]),
        sigversion=SIGVERSION_WITNESS_V0,
    )
    signature = key.sign(digest, hasher=None) + bytes([sighash_type])
    return encoded(with_signature(decoded(psbt), pubkey(key), signature))


def with_signature(psbt: Psbt, key: bytes, signature: bytes) -> Psbt:
    item = psbt.inputs[0]
    return replace(psbt, inputs=(replace(item, signatures={**item.signatures, key: signature}),))


def decoded(psbt: str) -> Psbt:
    return read_all(base64.b64decode(psbt))[0]


def encoded(psbt: Psbt) -> str:
    return base64.b64encode(psbt.encode()).decode()
