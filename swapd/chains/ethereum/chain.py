"""The adapter: `HtlcChain` for Ethereum. It connects the other files and keeps nothing but the connection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from swapd.chains.base import (
    ChainClock,
    Cursor,
    Fate,
    Health,
    Instructions,
    Party,
    Scan,
    Sighting,
    SignedTx,
    WatchedLeg,
)
from swapd.chains.ethereum import people, wallet
from swapd.chains.ethereum.act import Actor
from swapd.chains.ethereum.address import ZERO_ADDRESS, checksummed
from swapd.chains.ethereum.examine import Examiner
from swapd.chains.ethereum.fees import FeePolicy
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms, artifact
from swapd.chains.ethereum.node import Node
from swapd.chains.ethereum.rpc import Rpc
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.ethereum.transactions import EthereumDraft, Signer, attempt_of
from swapd.chains.ethereum.view import Viewer
from swapd.chains.ethereum.watch import Watcher
from swapd.errors import Invalid
from swapd.protocol.effects import Effect
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms


class EthereumChain:
    """One chain with the EVM, its HTLC contract, and the vault's account on it. See `HtlcChain` for each method."""

    def __init__(self, name: str, settings: EthereumSettings, signer: Signer) -> None:
        self.name = name
        self.assets: Mapping[str, Asset] = settings.asset_table(name)
        self._require_assets()
        self._settings = settings
        self._own = signer.ethereum_address
        self._policy = FeePolicy.of(settings)
        self._rpc = Rpc(settings.rpc_url, settings.timeout_seconds)
        self._htlc = Htlc(settings.chain_id, settings.contract or ZERO_ADDRESS)
        self._node = Node(self._rpc, settings.log_range)
        self._viewer = Viewer(
            self._node,
            self._htlc,
            from_block=settings.from_block,
            finalized_from=settings.finalized_from,
            own=self._own,
        )
        self._watcher = Watcher(self._node, self._htlc, from_block=settings.from_block, log_range=settings.log_range)
        self._actor = Actor(self._node, self._htlc, signer, self._policy)

    def _require_assets(self) -> None:
        wallet.coin(self.assets)
        for symbol, asset in self.assets.items():
            field = f"chains.{self.name}.assets.{symbol}.token"
            if asset.token and checksummed(field, asset.token) != asset.token:
                raise Invalid(field, asset.token, "an address with its EIP-55 checksum")

    @property
    def in_order(self) -> bool:
        """An account's nonces are used one after another."""
        return True

    @property
    def takes_locks_once(self) -> bool:
        """The contract refuses the second, but its gas is spent, and its nonce."""
        return False

    @property
    def sees_all(self) -> bool:
        """A view reads the leg's events itself, but strays only where a scan has seen them."""
        return False

    @property
    def board(self) -> None:
        """Nobody asks here."""

    async def start(self) -> None:
        if not self._settings.contract:  # until here an account is enough: the deployment has to be paid from it
            raise Invalid(
                f"chains.{self.name}.contract", "", "the address of swapd's HTLC contract: `swapd contract deploy`"
            )
        chain_id = await self._node.chain_id()
        if chain_id != self._settings.chain_id:
            raise Invalid(f"chains.{self.name}.chain_id", self._settings.chain_id, f"{chain_id}, which is the node's")
        if await self._node.code(self._htlc.address) != artifact().deployed:
            raise Invalid(
                f"chains.{self.name}.contract", self._htlc.address, "an address that holds swapd's HTLC contract"
            )

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        """Nonces are taken when a transaction is stored, so nothing is reserved that is not stored."""

    async def close(self) -> None:
        await self._rpc.close()

    async def examine(self) -> Sequence[Health]:
        examiner = Examiner(self.name, self._node, self._htlc, self._own, self._settings, self.assets)
        return await examiner.examine(int(time.time()))

    async def clock(self) -> ChainClock:
        """The contract compares with the time of the block that the refund is in, which is later than the tip's by at
        least a second. But nodes simulate a call in the tip's time, and what they simulate as refused is not sent:
        so the tip's own time it is, and every timelock up to it is refunded by the next block and says so today."""
        tip = (await self._node.tip()).tip
        return ChainClock(tip, tip.time)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        return await self._watcher.scan(cursor, legs)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        return await self._watcher.rescan(legs)

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        return await self._watcher.mempool(legs)

    async def view(self, leg: WatchedLeg) -> LegView:
        return await self._viewer.view(leg)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> EthereumDraft | None:
        return await self._actor.draft(effect, leg.leg.terms, preimage, sent, now)

    def prepares(self, tx: SignedTx) -> bool:
        """An approval is a call to a token."""
        return attempt_of(tx).call.to in {asset.token for asset in self.assets.values() if asset.token}

    async def void(self, sent: Sequence[SignedTx]) -> EthereumDraft | None:
        return await self._actor.void(sent)

    async def broadcast(self, tx: SignedTx) -> None:
        await self._actor.broadcast(tx)

    async def fate(self, tx: SignedTx) -> Fate:
        return await self._actor.fate(tx)

    # -- people ----------------------------------------------------------------------------------------------------

    async def party(self, field: str, text: str | None, index: int, *, sends: bool) -> Party:
        return people.party(self._htlc, self._own, field, text)

    def check_terms(self, leg: Leg) -> None:
        people.check_terms(self._htlc, self._own, self.assets, leg)

    def instructions(self, leg: Leg) -> Instructions:
        return people.instructions(self._htlc, leg)

    def fingerprint(self, terms: LegTerms) -> str:
        return self._htlc.id_of(HtlcTerms.of(terms))

    async def balances(self) -> Mapping[str, int]:
        return await wallet.balances(self._node, self._own, self.assets)

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        return await wallet.costs(self._node, self._policy, self.assets, leg)

    async def addresses(self) -> Mapping[str, str]:
        return {wallet.coin(self.assets).symbol: self._own}
