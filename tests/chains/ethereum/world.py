"""A chain with the contract on it, swapd's adapter looking at it through a proxy, and other people with wallets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from eth_utils.address import to_checksum_address

from swapd.chains.base import Cursor, SignedTx, WatchedLeg
from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.deploy import deploy
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.ethereum.transactions import Call, EthereumDraft
from swapd.devnet.anvil import CHAIN_ID, Anvil
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Leg, LegTerms, Role, Wallet
from swapd.vault.derivation import Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault
from tests.chains.ethereum.proxy import Proxy

GWEI = 10**9
ETHER = 10**18
PREIMAGE = bytes(range(1, 33))
SETTINGS: dict[str, Any] = {
    "enabled": True,
    "poll_seconds": 0.02,
    "timeout_seconds": 5,
    "timing": {
        "arrival": "slots",
        "block_seconds": 12,
        "missed_share": 0.01,
        "inclusion": 600,
        "clock_ahead": 15,
        "clock_behind": 60,
        "funding_window": 3600,
        "outage": 3600,
    },
    "assets": {
        "ETH": {"decimals": 18, "minimum": 1, "maximum": "100_000_000_000_000_000_000", "tiers": [{"confirmations": 3}]}
    },
    "chain_id": CHAIN_ID,
    "more_rpc_urls": (),
    "quorum": 1,
    "contract": "",
    "from_block": 0,
    "finalized_from": 64,
    "log_range": 2000,
    "priority_floor": GWEI,
    "urgency_factor": 10,
    "ramp_seconds": 1800,
    "fee_cap": 100 * GWEI,
    "fee_cap_at_deadline": 1000 * GWEI,
    "bump_percent": 13,
}


def settings(url: str, **changes: Any) -> EthereumSettings:
    return EthereumSettings.model_validate({**SETTINGS, "rpc_url": url, **changes})


def preimage(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4)).digest()


@dataclass
class World:
    node: Anvil
    proxy: Proxy
    vault: Vault
    chain: EthereumChain
    htlc: Htlc
    settings: EthereumSettings
    alice: str
    bob: str
    start: int
    """The tip's time when the test began, Unix seconds."""

    @property
    def own(self) -> str:
        return self.vault.ethereum_address

    # -- legs

    def terms(self, **changes: Any) -> LegTerms:
        """Of a leg that swapd funds and Bob may claim: 0.1 ETH, an hour to fund, refund after a day."""
        asset = self.chain.assets[changes.pop("asset", "ETH")]
        return replace(
            LegTerms(
                asset=asset,
                amount=ETHER // 10,
                hashlock=hashlib.sha256(changes.pop("preimage", PREIMAGE)).digest(),
                sender=self.own,
                receiver=self.bob,
                timelock=self.start + 86_400,
                fund_by=self.start + 3_600,
            ),
            **changes,
        )

    def leg(self, *, birth: int = 0, swap_id: str = "one", confirmations: int = 3, **changes: Any) -> WatchedLeg:
        terms = self.terms(**changes)
        return watched(terms, self.own, birth=birth, swap_id=swap_id, confirmations=confirmations)

    # -- acting as swapd

    async def draft(
        self,
        kind: EffectKind,
        leg: WatchedLeg,
        sent: Sequence[SignedTx] = (),
        *,
        secret: bytes | None = None,
        left: int = 86_400,
        now: int | None = None,
    ) -> EthereumDraft | None:
        """`left` seconds before the effect's deadline."""
        now = self.start if now is None else now
        return await self.chain.draft(Effect(kind, leg.leg.role, now + left), leg, secret, sent, now)

    async def send(self, kind: EffectKind, leg: WatchedLeg, sent: Sequence[SignedTx] = (), **how: Any) -> SignedTx:
        """Draft, sign, broadcast; it waits in the mempool."""
        draft = await self.draft(kind, leg, sent, **how)
        assert draft is not None
        tx = draft.sign(None if draft.account is None else draft.floor)
        await self.chain.broadcast(tx)
        return tx

    async def lock(self, leg: WatchedLeg) -> SignedTx:
        """Locked by swapd, in the tip."""
        tx = await self.send(EffectKind.LOCK, leg)
        await self.node.mine()
        return tx

    # -- acting as somebody else, by accounts of the node

    async def call(self, sender: str, call: Call, **fields: Any) -> str:
        """Into the mempool; the txid."""
        request = {"from": sender, "to": call.to, "value": hex(call.value), "data": "0x" + call.data.hex()}
        txid: str = await self.node.rpc("eth_sendTransaction", {"gas": hex(500_000), **request, **fields})
        return txid

    async def lock_by(self, sender: str, terms: LegTerms) -> str:
        """Somebody's lock, in the tip; its id."""
        on_chain = HtlcTerms.of(replace(terms, sender=sender))
        await self.call(sender, self.htlc.lock(on_chain))
        await self.node.mine()
        return self.htlc.id_of(on_chain)

    async def claim_by(self, sender: str, leg: WatchedLeg, secret: bytes = PREIMAGE, **fields: Any) -> str:
        """Into the mempool; the txid."""
        return await self.call(sender, self.htlc.claim(HtlcTerms.of(leg.leg.terms), secret), **fields)

    # -- looking

    async def view(self, leg: WatchedLeg) -> LegView:
        return await self.chain.view(leg)

    async def with_mempool(self, leg: WatchedLeg) -> WatchedLeg:
        """The leg with what the mempool shows about it."""
        return replace(leg, sightings=(*leg.sightings, *await self.chain.mempool([leg])))

    async def with_scan(self, leg: WatchedLeg, cursor: Cursor) -> WatchedLeg:
        return replace(leg, sightings=(*leg.sightings, *(await self.chain.scan(cursor, [leg])).sightings))

    async def cursor(self) -> Cursor:
        return (await self.chain.scan(None, [])).cursor

    async def time_is(self, unix_seconds: int) -> None:
        """A new tip with this time."""
        await self.node.set_next_timestamp(unix_seconds)
        await self.node.mine()

    async def balance(self, address: str) -> int:
        return int(await self.node.rpc("eth_getBalance", address, "latest"), 16)

    @asynccontextmanager
    async def another_chain(self, **changes: Any) -> AsyncIterator[EthereumChain]:
        """The same chain seen with other settings."""
        chain = EthereumChain("ethereum", self.settings.model_copy(update=changes), self.vault)
        try:
            yield chain
        finally:
            await chain.close()


def watched(terms: LegTerms, own: str, *, birth: int = 0, swap_id: str = "one", confirmations: int = 3) -> WatchedLeg:
    leg = Leg(
        role=Role.PARTICIPANT,
        terms=terms,
        funded_by=Wallet.HOT if terms.sender == own else Wallet.EXTERNAL,
        claimed_by=Wallet.HOT if terms.receiver == own else Wallet.EXTERNAL,
        pay_to=terms.receiver,
        refund_to=terms.sender,
        claim_by_swapd=True,
        refund_by_swapd=True,
        claim_waived=False,
        confirmations=confirmations,
        lock_by=terms.fund_by,
    )
    return WatchedLeg(swap_id, 0, leg, birth)


async def lock_strays(world: World, leg: WatchedLeg, number: int) -> None:
    """Many small locks by Alice with the leg's hashlock, in the mempool as one transaction."""
    orders = []
    for amount in range(1, number + 1):
        terms = HtlcTerms.of(replace(leg.leg.terms, amount=amount, sender=world.alice))
        orders.append((terms.hashlock, amount, terms.receiver_and_times))
    data = world.htlc._abi.call("batchLock", orders)
    await world.call(world.alice, Call(world.htlc.address, sum(range(1, number + 1)), data), gas=hex(25_000_000))


async def deployed(node: Anvil, vault: Vault) -> tuple[str, int]:
    """The contract's address and block; blocks are mined while it is waited for."""
    deploying = asyncio.create_task(deploy(settings(node.rpc_url), vault, within_seconds=20))
    while not deploying.done():
        await node.mine()
        await asyncio.wait([deploying], timeout=0.05)
    deployment = await deploying
    return deployment.contract, deployment.from_block


@asynccontextmanager
async def new_world(node: Anvil, **changes: Any) -> AsyncIterator[World]:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    await node.set_balance(vault.ethereum_address, 1000 * ETHER)
    contract, from_block = await deployed(node, vault)
    accounts = [to_checksum_address(each) for each in await node.rpc("eth_accounts")]
    async with Proxy(node.rpc_url) as proxy:
        its = settings(proxy.url, **{"contract": contract, "from_block": from_block, **changes})
        chain = EthereumChain("ethereum", its, vault)
        start = int((await node.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
        try:
            await chain.start()
            proxy.calls.clear()
            yield World(node, proxy, vault, chain, Htlc(CHAIN_ID, contract), its, accounts[0], accounts[1], start)
        finally:
            await chain.close()
            vault.close()
