"""The adapter: `HtlcChain` for Ethereum. It connects the other files and keeps nothing but the connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from swapd.chains.abilities import Clues, ConsentRequest, Submitted, Trace
from swapd.chains.alarm import Alarms
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
from swapd.chains.calls import Observer
from swapd.chains.endpoints import SCAN_PATIENCE_SECONDS, Endpoints
from swapd.chains.ethereum import cooperate, handover, people, wallet
from swapd.chains.ethereum.act import Actor
from swapd.chains.ethereum.address import ZERO_ADDRESS, checksummed
from swapd.chains.ethereum.discover import Discovery
from swapd.chains.ethereum.examine import Examiner
from swapd.chains.ethereum.fees import FeePolicy, Fees
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms, artifact
from swapd.chains.ethereum.node import Node
from swapd.chains.ethereum.nodes import Nodes
from swapd.chains.ethereum.prove import prove
from swapd.chains.ethereum.rpc import Rpc
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.ethereum.transactions import EthereumDraft, Signer, attempt_of
from swapd.chains.ethereum.view import Viewer
from swapd.chains.ethereum.watch import Watcher, names_in
from swapd.chains.per_leg import PerLeg
from swapd.chains.quorum import hints_of, scan_of, time_of, view_of
from swapd.errors import Invalid, SwapdError
from swapd.protocol.effects import Effect
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms

LAG_BLOCKS = 5
"""A minute: a node that is further behind the others has trouble, and is not only slow to hear of a block."""


class EthereumChain:
    """One chain with the EVM, its HTLC contract, and the vault's account on it. See `HtlcChain` for each method."""

    def __init__(self, name: str, settings: EthereumSettings, signer: Signer) -> None:
        self.name = name
        self.assets: Mapping[str, Asset] = settings.asset_table(name)
        self._require_assets()
        self._settings = settings
        self._own = signer.ethereum_address
        self._signer = signer
        self._policy = FeePolicy.of(settings)
        self._alarms = Alarms(chain=name)
        self._rpcs = [Rpc(url, settings.timeout_seconds) for url in settings.rpc_urls.values()]
        self._htlc = Htlc(settings.chain_id, settings.contract or ZERO_ADDRESS)
        nodes = [Node(rpc, settings.log_range) for rpc in self._rpcs]
        named = list(zip(settings.rpc_urls, nodes, strict=True))
        self._endpoints = Endpoints(name, named, settings.quorum, LAG_BLOCKS, self._check_network)
        self._node = nodes[0]
        self._nodes = Nodes(self._endpoints)
        self._names = PerLeg(names_in(self._htlc))
        self._actor = Actor(self._nodes, self._htlc, signer, self._policy)

    def _viewer(self, node: Node) -> Viewer:
        its = self._settings
        return Viewer(node, self._htlc, from_block=its.from_block, finalized_from=its.finalized_from, own=self._own)

    def _watcher(self, node: Node) -> Watcher:
        its = self._settings
        return Watcher(node, self._htlc, self._names, from_block=its.from_block, log_range=its.log_range)

    def _discovery(self, node: Node) -> Discovery:
        return Discovery(node, self._own, self.assets, self._settings.from_block, self._settings.log_range)

    def _require_assets(self) -> None:
        wallet.coin(self.assets)
        for symbol, asset in self.assets.items():
            field = f"chains.{self.name}.assets.{symbol}.token"
            if asset.token and checksummed(field, asset.token) != asset.token:
                raise Invalid(field, asset.token, "an address with its EIP-55 checksum")

    def observe(self, observer: Observer) -> None:
        for rpc in self._rpcs:
            rpc.observer = observer

    @property
    def holding(self) -> Mapping[str, int]:
        return self._alarms.holding + self._endpoints.holding

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
        await self._endpoints.start()
        if await self._endpoints.first(lambda node: node.code(self._htlc.address)) != artifact().deployed:
            raise Invalid(
                f"chains.{self.name}.contract", self._htlc.address, "an address that holds swapd's HTLC contract"
            )

    async def _check_network(self, node: Node) -> None:
        chain_id = await node.chain_id()
        if chain_id != self._settings.chain_id:
            raise Invalid(f"chains.{self.name}.chain_id", self._settings.chain_id, f"{chain_id}, which is the node's")

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        """Nonces are taken when a transaction is stored, so nothing is reserved that is not stored."""

    async def close(self) -> None:
        await self._endpoints.close()
        for rpc in self._rpcs:
            await rpc.close()

    async def examine(self, now: int | None = None) -> Sequence[Health]:
        node = self._node
        if not self._endpoints.alone:
            with suppress(SwapdError):  # what is wrong with which of them is told below
                await self.clock()
                node = await self._endpoints.first(_that_answers)
        examiner = Examiner(self.name, node, self._htlc, self._own, self._settings, self.assets)
        return [
            *await examiner.examine(int(time.time()) if now is None else now),
            *self._endpoints.lines(f"[chains.{self.name}]"),
        ]

    async def clock(self) -> ChainClock:
        """The contract compares with the time of the block that the refund is in, which is later than the tip's by at
        least a second. But nodes simulate a call in the tip's time, and what they simulate as refused is not sent:
        so the tip's own time it is, and every timelock up to it is refunded by the next block and says so today."""
        tips = await self._endpoints.tips(lambda node: node.tip(), lambda tip: tip.height, _hash_at)
        # what is born now must not be younger than any node, or that one could not be asked about it
        lowest = min(tips, key=lambda tip: tip.height).tip
        return ChainClock(lowest, time_of([tip.time for tip in tips], self._endpoints.quorum), self._endpoints.doubt)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        scans = await self._nodes.heard(lambda node: self._watcher(node).scan(cursor, legs), SCAN_PATIENCE_SECONDS)
        return scan_of(scans, self._endpoints.quorum, legs)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        shown = await self._nodes.heard(lambda node: self._watcher(node).rescan(legs), SCAN_PATIENCE_SECONDS)
        return hints_of(shown, self._endpoints.quorum, legs)

    async def discover(self, since: int, clues: Clues, tell: Callable[[str], None]) -> Sequence[Trace]:
        return await self._endpoints.first(lambda node: self._discovery(node).traces(self._htlc, since, tell))

    async def contracts(self, since: int, tell: Callable[[str], None]) -> Sequence[str]:
        """Where our legs stand, for somebody who has forgotten: addresses of contracts like ours in whose events since
        this time (Unix seconds) we have a part. Needs no `contract` in the settings."""
        return await self._endpoints.first(lambda node: self._discovery(node).contracts(since, tell))

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """Of all nodes: what one of them has seen is news (S6), and each has a mempool of its own."""
        seen = await self._endpoints.every(lambda node: self._watcher(node).mempool(legs))
        return hints_of([sightings for _, sightings in seen], self._endpoints.quorum, legs)

    async def view(self, leg: WatchedLeg) -> LegView:
        views = await self._nodes.heard(lambda node: self._viewer(node).view(leg))
        quorum = self._endpoints.quorum
        return views[0] if quorum == 1 else view_of(views, quorum, leg.leg.terms.hashlock)

    async def prove(self, leg: WatchedLeg) -> Mapping[str, str]:
        return await prove(self._endpoints, self._htlc, leg, self._settings.from_block)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> EthereumDraft | None:
        draft = await self._actor.draft(effect, leg.leg.terms, preimage, sent, now, leg.note, leg.consent)
        if draft is not None:
            self._tell(effect, leg, draft.fees, effect.deadline - now)
        return draft

    def _tell(self, effect: Effect, leg: WatchedLeg, bid: Fees, left: int) -> None:
        """An operator hears when a cap yields to a deadline, and when one holds a bid back."""
        of = f"{leg.swap_id} {effect.key}"
        about = {"swap": leg.swap_id, "effect": effect.key, "max_fee": bid.max_fee, "seconds_left": left}
        self._alarms.ring("fee.cap_yields", self._policy.cap_yields(bid), of, **about)
        self._alarms.ring("fee.held_back_by_cap", self._policy.at_cap(bid, left), of, **about)

    def prepares(self, tx: SignedTx) -> bool:
        """An approval is a call to a token."""
        return attempt_of(tx).call.to in {asset.token for asset in self.assets.values() if asset.token}

    async def void(self, sent: Sequence[SignedTx], *, out: bool = True) -> EthereumDraft | None:
        return await self._actor.void(sent)

    async def broadcast(self, tx: SignedTx) -> None:
        await self._actor.broadcast(tx)

    async def fate(self, tx: SignedTx) -> Fate:
        return await self._actor.fate(tx)

    @property
    def account(self) -> str:
        return self._own

    async def places(self) -> tuple[int, int]:
        return await self._actor.places()

    async def fill(self, sequence: int) -> None:
        await self._actor.fill(sequence)

    def by_hand(self, effect: Effect, leg: WatchedLeg, preimage: bytes | None) -> str:
        return self._actor.by_hand(effect, leg.leg.terms, preimage)

    # -- what others sign ------------------------------------------------------------------------------------------

    async def consent_wanted(self, leg: WatchedLeg) -> ConsentRequest:
        return cooperate.wanted(self._htlc, leg.leg)

    async def check_consent(self, leg: WatchedLeg, consent: bytes) -> None:
        await cooperate.check(self._nodes, self._htlc, leg.leg, consent)

    async def own_consent(self, leg: WatchedLeg) -> bytes:
        return cooperate.own(self._signer, self._htlc, leg.leg)

    async def claim_for_owner(self, leg: WatchedLeg, preimage: bytes | None = None) -> Instructions:
        return handover.claim(self._htlc, leg, preimage)

    async def refund_for_owner(self, leg: WatchedLeg) -> Instructions:
        return handover.refund(self._htlc, leg)

    async def check_signed(self, leg: WatchedLeg, raw: bytes) -> Submitted:
        return await handover.check(self._nodes, self._htlc, leg, raw)

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
        return await wallet.balances(self._nodes, self._own, self.assets)

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        return await wallet.costs(self._nodes, self._policy, self.assets, leg)

    async def addresses(self) -> Mapping[str, str]:
        return {wallet.coin(self.assets).symbol: self._own}


async def _hash_at(node: Node, height: int) -> str | None:
    header = await node.header(height)
    return None if header is None else header.hash


async def _that_answers(node: Node) -> Node:
    await node.chain_id()
    return node
