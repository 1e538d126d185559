"""A Bitcoin adapter on a real node, with a real vault, and short ways to make legs and move them along."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import BitcoinChain, BitcoinSettings
from swapd.devnet.bitcoind import Bitcoind
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, Wallet, swap_id_of
from swapd.vault.derivation import KeyPurpose, Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault

BTC = Asset("BTC", "bitcoin", 8)
AMOUNT = 1_000_000
FAR = 24 * 3600
"""Seconds to a deadline that puts no pressure on fees."""


def settings_for(node: Bitcoind, wallet_name: str, **changed: Any) -> BitcoinSettings:
    table: dict[str, Any] = {
        "enabled": True,
        "poll_seconds": 0.2,
        "timeout_seconds": 30,
        "timing": {
            "arrival": "poisson",
            "block_seconds": 600,
            "missed_share": 0.0,
            "inclusion": 7200,
            "clock_ahead": 0,
            "clock_behind": 3600,
            "funding_window": 3600,
            "outage": 7200,
        },
        "assets": {
            "BTC": {"decimals": 8, "minimum": 10_000, "maximum": 10**10, "tiers": [{"confirmations": 2}]},
        },
        "network": "regtest",
        "rpc_url": node.rpc_url,
        "rpc_cookie_file": node.cookie_file,
        "more_rpc_urls": (),
        "more_rpc_cookie_files": (),
        "quorum": 1,
        "wallet": wallet_name,
        "fee": {
            "floor_rate": 1,
            "fallback_rate": 2,
            "cap_rate": 500,
            "cap_share": 0.05,
            "step": 0.2,
            "rush_seconds": 7200,
            "rush_multiple": 4,
            "batch_seconds": 0.1,
        },
        "scan_blocks": 50,
        "mempool_batch": 100,
        "clock_alarm_seconds": 600,
    }
    return BitcoinSettings.model_validate(table | changed)


@dataclass
class World:
    node: Bitcoind
    wallet: str
    vault: Vault
    chain: BitcoinChain
    indexes: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def leg(self, *, amount: int = AMOUNT, timelock: int | None = None, **changed: Any) -> WatchedLeg:
        """A leg that swapd can lock, claim and refund; born now, nothing seen of it."""
        index = next(self.indexes)
        timelock = timelock or int(time.time()) + FAR
        hashlock = self.vault.hashlock(index)
        terms = LegTerms(
            BTC,
            amount,
            hashlock,
            sender=self.vault.bitcoin_pubkey(index, KeyPurpose.REFUND).hex(),
            receiver=self.vault.bitcoin_pubkey(index, KeyPurpose.CLAIM).hex(),
            timelock=timelock,
            fund_by=timelock - 3600,
        )
        leg = Leg(
            Role.INITIATOR,
            terms,
            Wallet.HOT,
            Wallet.HOT,
            pay_to=await self.node.rpc("getnewaddress", "", "bech32", wallet=self.wallet),
            refund_to=await self.node.rpc("getnewaddress", "", "bech32", wallet=self.wallet),
            claim_by_swapd=True,
            refund_by_swapd=True,
            claim_waived=False,
            confirmations=2,
            lock_by=timelock - 3600,
        )
        return WatchedLeg(swap_id_of(hashlock), index, replace(leg, **changed), (await self.node.best())[0])

    async def pay(self, watched: WatchedLeg, amount: int | None = None, *, confirm: bool = True) -> str:
        """A foreign wallet sends money to the leg's address; returns the outpoint."""
        address = self.chain.fingerprint(watched.leg.terms)
        txid = await self.node.fund(address, amount or watched.leg.terms.amount, confirm=False)
        if confirm:
            await self.node.mine(1)
        return await self.outpoint(txid, address)

    async def outpoint(self, txid: str, address: str) -> str:
        tx = await self.node.rpc("gettransaction", txid, True, True, wallet="miner")
        n = next(o["n"] for o in tx["decoded"]["vout"] if o["scriptPubKey"].get("address") == address)
        return f"{txid}:{n}"

    async def seen(self, watched: WatchedLeg) -> WatchedLeg:
        """The same leg with everything that blocks and mempool show of it, as the coordinator would remember it."""
        found = [*await self.chain.rescan([watched]), *await self.chain.mempool([watched])]
        sightings = tuple(dict.fromkeys([*watched.sightings, *found]))
        if sightings == watched.sightings:
            return watched
        return await self.seen(replace(watched, sightings=sightings))

    async def view(self, watched: WatchedLeg) -> LegView:
        return await self.chain.view(await self.seen(watched))

    async def draft(
        self,
        kind: EffectKind,
        watched: WatchedLeg,
        *sent: SignedTx,
        left: int = FAR,
        stray: str | None = None,
        preimage: bytes | None = None,
    ) -> SignedTx | None:
        """Draft and sign with `left` seconds to the deadline; a claim with the vault's preimage if none is given."""
        now = int(time.time())
        effect = Effect(kind, watched.leg.role, now + left, stray=stray)
        secret = preimage or (self.vault.preimage(watched.index) if kind is EffectKind.CLAIM else None)
        draft = await self.chain.draft(effect, watched, secret, sent, now)
        return draft.sign(None) if draft else None

    async def send(self, kind: EffectKind, watched: WatchedLeg, *sent: SignedTx, **how: Any) -> SignedTx:
        tx = await self.draft(kind, watched, *sent, **how)
        assert tx is not None
        await self.chain.broadcast(tx)
        return tx

    async def locked(self, **how: Any) -> WatchedLeg:
        """A leg that swapd locked, in a block."""
        watched = await self.leg(**how)
        await self.send(EffectKind.LOCK, watched)
        await self.node.mine(1)
        return await self.seen(watched)

    async def refused(self, raw: bytes) -> str:
        """Why the node would not take a transaction; empty if it would."""
        verdict = (await self.node.rpc("testmempoolaccept", [raw.hex()]))[0]
        return "" if verdict["allowed"] else verdict["reject-reason"]

    async def spendable(self) -> int:
        return (await self.chain.balances())["BTC"]


async def _world(node: Bitcoind, wallet: str) -> World:
    vault = Vault(Secret(secrets.token_bytes(32)), Network.DEVNET)
    chain = BitcoinChain(settings_for(node, wallet), vault)
    await chain.start()
    for _ in range(3):
        await node.fund(await node.rpc("getnewaddress", "", "bech32", wallet=wallet), 10 * AMOUNT, confirm=False)
    await node.mine(1)
    return World(node, wallet, vault, chain)


@pytest.fixture
async def world(bitcoind: Bitcoind, wallet: str) -> AsyncIterator[World]:
    """On the shared node: its clock and its blocks stay as they are."""
    world = await _world(bitcoind, wallet)
    yield world
    await world.chain.close()


@pytest.fixture
async def own_world(own_bitcoind: Bitcoind) -> AsyncIterator[World]:
    """On a node of its own: move its clock, take back blocks."""
    world = await _world(own_bitcoind, await own_bitcoind.create_wallet("swapd"))
    yield world
    await world.chain.close()
