"""Bitcoin as one `HtlcChain`: each method hands over to the file that knows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from swapd.chains.abilities import Clues, ConsentRequest, Prepared, Submitted, Trace
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
from swapd.chains.bitcoin import blocks, fees, health, people, watch
from swapd.chains.bitcoin.ahead import unspent
from swapd.chains.bitcoin.blocks import satoshi
from swapd.chains.bitcoin.cooperate import Cooperation, open_coin
from swapd.chains.bitcoin.discover import Discovery
from swapd.chains.bitcoin.fate import fate_of
from swapd.chains.bitcoin.fees import Market, Purse
from swapd.chains.bitcoin.funding import CAREFUL_VSIZE, MINED, Funding
from swapd.chains.bitcoin.handover import PATIENCE_OF_OWNERS, Handover
from swapd.chains.bitcoin.look import Coin, view_of
from swapd.chains.bitcoin.peer import Peer, peers
from swapd.chains.bitcoin.pool import simulate
from swapd.chains.bitcoin.prove import prove
from swapd.chains.bitcoin.script import htlc_address
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.bitcoin.spending import Keys
from swapd.chains.bitcoin.stuck import Stuck
from swapd.chains.bitcoin.transaction import Outpoint
from swapd.chains.bitcoin.unseen import unseen
from swapd.chains.calls import Observer
from swapd.chains.endpoints import PATIENCE_SECONDS, SCAN_PATIENCE_SECONDS, Endpoints
from swapd.chains.per_leg import PerLeg
from swapd.chains.quorum import fate_of as agreed_fate
from swapd.chains.quorum import hints_of, middle, scan_of, time_of
from swapd.chains.quorum import view_of as agreed_view
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, SwapdError, Unavailable
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.note import Unseen
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms, Wallet
from swapd.vault.derivation import KeyPurpose

LAG_BLOCKS = 2
"""A node that is further behind the others has trouble, and is not only slow to hear of a block."""

_R = TypeVar("_R")


@dataclass
class Ready:
    """A draft that is signed already: Bitcoin has no account sequence to wait for."""

    tx: SignedTx
    account: str | None = None
    floor: int = 0

    def sign(self, sequence: int | None) -> SignedTx:
        return self.tx


class BitcoinChain:
    """settings: of one node and wallet. keys: the vault's per-swap keys."""

    def __init__(self, settings: BitcoinSettings, keys: Keys, name: str = "bitcoin") -> None:
        self.name = name
        self.assets: Mapping[str, Asset] = settings.asset_table(name)
        self._settings = settings
        self._keys = keys
        alarms = Alarms(chain=name)
        named = peers(settings, keys, alarms)
        self._endpoints = Endpoints(name, named, settings.quorum, LAG_BLOCKS, self._check_network)
        first = named[0][1]
        self.rpc = first.rpc
        self._spending = first.spending
        self._funding = Funding(self.rpc, settings.network, settings.fee, alarms)
        self._cooperation = Cooperation(settings.network, settings.fee, keys)
        self._handover = Handover(settings.network, settings.fee, self._cooperation)
        self._stuck = Stuck(self._funding, settings.fee, alarms)
        self._alarms = alarms
        self._marks = PerLeg(watch.Marks.of)

    def observe(self, observer: Observer) -> None:
        for peer in self._endpoints.nodes:
            peer.rpc.observer = observer

    @property
    def holding(self) -> Mapping[str, int]:
        return self._alarms.holding + self._endpoints.holding

    @property
    def in_order(self) -> bool:
        return False

    @property
    def takes_locks_once(self) -> bool:
        return False

    @property
    def sees_all(self) -> bool:
        """The node shows an output while it is unspent, and forgets who spent it."""
        return False

    @property
    def board(self) -> None:
        """Nobody asks here."""

    async def start(self) -> None:
        await self._endpoints.start()
        if self._settings.wallet:
            async with self._exits_without_wallet():
                await health.open_wallet(self.rpc, self._settings)

    async def _check_network(self, peer: Peer) -> None:
        await health.check_network(peer.rpc, self._settings)

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        async with self._exits_without_wallet():
            await self._funding.keep_only({outpoint for tx in signed for outpoint in tx.spends})

    @asynccontextmanager
    async def _exits_without_wallet(self) -> AsyncIterator[None]:
        """The wallet may be away, or not there, or damaged: claims and refunds need none, and go on (S8). A lock finds
        out by itself."""
        trouble = ""
        try:
            yield
        except SwapdError as error:
            trouble = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            trouble = f"the wallet's answer makes no sense ({type(error).__name__})"
        self._alarms.ring("wallet.not_ready", bool(trouble), reason=trouble)

    def _require_wallets_node(self) -> None:
        """The wallet is asked past `Endpoints`, which does not keep it from being on another network."""
        if self._endpoints.refused_first:
            raise Unavailable(f"the node with the wallet: {self._endpoints.refused_first}")

    async def close(self) -> None:
        await self._endpoints.close()
        for peer in self._endpoints.nodes:
            await peer.batches.end()
            await peer.rpc.close()

    async def examine(self, now: int | None = None) -> Sequence[Health]:
        if not self._endpoints.alone:
            with suppress(SwapdError):  # what is wrong with which of them is told below
                await self.clock()
        found = await health.examine(self.rpc, self._settings, int(time.time()) if now is None else now)
        return [*found, *self._endpoints.lines(f"[chains.{self.name}]")]

    async def clock(self) -> ChainClock:
        """A block may hold a transaction whose nLockTime is *below* the median-time-past before it (BIP 113 and
        IsFinalTx), so the latest timelock that can be refunded is that median minus one second."""
        tips = await self._endpoints.tips(lambda peer: blocks.tip(peer.rpc), lambda tip: tip[0].height, _hash_at)
        # what is born now must not be younger than any node, or that one could not be asked about it
        lowest = min((tip for tip, _ in tips), key=lambda tip: tip.height)
        median_time = time_of([median for _, median in tips], self._endpoints.quorum)
        return ChainClock(lowest, median_time - 1, self._endpoints.doubt)

    async def _heard(self, question: Callable[[Peer], Awaitable[_R]], patience: float = PATIENCE_SECONDS) -> list[_R]:
        """What there is to weigh: one answer where one is enough, else those of all who answer in time."""
        if self._endpoints.quorum == 1:
            return [await self._endpoints.first(question, patience)]
        return [answer for _, answer in await self._endpoints.every(question, patience)]

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        most = self._settings.scan_blocks
        scans = await self._heard(
            lambda peer: watch.scan(peer.rpc, cursor, legs, self._marks, most), SCAN_PATIENCE_SECONDS
        )
        return scan_of(scans, self._endpoints.quorum, legs)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        shown = await self._heard(lambda peer: watch.rescan(peer.rpc, legs), SCAN_PATIENCE_SECONDS)
        return hints_of(shown, self._endpoints.quorum, legs)

    async def discover(self, since: int, clues: Clues, tell: Callable[[str], None]) -> Sequence[Trace]:
        asset = next(iter(self.assets.values()))  # there is but one
        network = self._settings.network
        return await self._endpoints.first(
            lambda peer: Discovery(peer.rpc, network, self._keys, asset).traces(since, clues, tell)
        )

    def unseen(self, leg: Leg) -> Unseen:
        return unseen(leg, self._settings.network)

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """Of all nodes: what one of them has seen is news (S6), and each has a mempool of its own."""
        seen = await self._endpoints.every(lambda peer: peer.mempool.look(legs))
        return hints_of([sightings for _, sightings in seen], self._endpoints.quorum, legs)

    async def view(self, leg: WatchedLeg) -> LegView:
        least = people.least_refund(leg.leg, self._settings.network, self._settings.fee.floor_rate)
        views = [view_of(leg, coins, least) for coins in await self._heard(lambda peer: peer.look.coins(leg))]
        quorum = self._endpoints.quorum
        return views[0] if quorum == 1 else agreed_view(views, quorum, leg.leg.terms.hashlock)

    async def prove(self, leg: WatchedLeg) -> Mapping[str, str]:
        return await self._endpoints.first(lambda peer: prove(peer.look, leg))

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> Ready | None:
        left = effect.deadline - now
        market = await self._market(left)
        if effect.kind is EffectKind.LOCK:
            self._require_wallets_node()
            if not sent:
                return Ready(await self._funding.lock(leg, market, left))
            better = await self._stuck.replace(leg, sent, market, left)
            return Ready(better) if better else None

        async def spend(peer: Peer) -> SignedTx | None:
            coins = await peer.look.coins(leg)
            if effect.kind is EffectKind.REFUND and leg.consent and not effect.stray and not await _is_due(peer, leg):
                return await self._early(peer, effect, leg, coins, sent, market, left)
            found = await peer.spending.plan(effect, leg, coins, preimage, sent, market, now)
            if found is None:
                return None
            return await peer.batches.join(found, market) or await peer.spending.alone(found)

        tx = await self._endpoints.first(spend)
        return Ready(tx) if tx else None

    async def _early(
        self,
        peer: Peer,
        effect: Effect,
        leg: WatchedLeg,
        coins: Sequence[Coin],
        sent: Sequence[SignedTx],
        market: Market,
        left: int,
    ) -> SignedTx | None:
        """A refund by consent, whose fees are fixed."""
        coin = unspent(effect, leg, coins)
        ladder = self._cooperation.ladder(leg, coin)
        tx = await peer.ahead.choose(effect.kind, coin, ladder, market, left)
        if tx is None or tx.txid in {each.txid for each in sent}:
            return None
        await simulate(peer.rpc, tx.raw)
        return tx

    def prepares(self, tx: SignedTx) -> bool:
        return False

    async def void(self, sent: Sequence[SignedTx], *, out: bool = True) -> Ready | None:
        """A lock that may be out is taken back by a payment of its coins to ourselves. The coins of one that nobody got
        are free again, and nothing has to be sent for that."""
        if not out:
            await self._funding.release([o for tx in sent for text in tx.spends if (o := Outpoint.parse(text))])
            return None
        patient = self._settings.fee.rush_seconds  # if the lock is mined first, its refund will do
        tx = await self._stuck.void(sent, await self._market(patient), patient)
        return Ready(tx) if tx else None

    async def broadcast(self, tx: SignedTx) -> None:
        crashpoint("bitcoin.broadcast.before")
        await self._endpoints.hand_in(lambda peer: peer.hand_over(tx))
        crashpoint("bitcoin.broadcast.after")

    async def fate(self, tx: SignedTx) -> Fate:
        fates = await self._heard(lambda peer: fate_of(peer.rpc, tx))
        return fates[0] if self._endpoints.quorum == 1 else agreed_fate(fates, self._endpoints.quorum)

    async def prepare(self, leg: WatchedLeg) -> Sequence[Prepared]:
        async def by(peer: Peer) -> Sequence[Prepared]:
            return peer.ahead.prepare(leg, await peer.look.coins(leg))

        return await self._endpoints.first(by)

    async def pick(
        self, effect: Effect, leg: WatchedLeg, prepared: Sequence[Prepared], preimage: bytes | None, now: int
    ) -> SignedTx | None:
        left = effect.deadline - now
        market = await self._market(left)

        async def by(peer: Peer) -> SignedTx | None:
            return await peer.ahead.pick(effect, leg, await peer.look.coins(leg), prepared, preimage, market, left)

        return await self._endpoints.first(by)

    # -- what others sign ------------------------------------------------------------------------------------------

    # What strangers give is looked at apart from any node, whose fault it would be taken for if it broke our code.

    async def consent_wanted(self, leg: WatchedLeg) -> ConsentRequest:
        return self._cooperation.wanted(leg, await self._coins(leg))

    async def check_consent(self, leg: WatchedLeg, consent: bytes) -> None:
        self._cooperation.signatures(leg, open_coin(leg, await self._coins(leg)), consent)

    async def own_consent(self, leg: WatchedLeg) -> bytes:
        return self._cooperation.own(leg, await self._coins(leg))

    async def claim_for_owner(self, leg: WatchedLeg, preimage: bytes | None = None) -> Instructions:
        market = await self._market(PATIENCE_OF_OWNERS)
        return self._handover.claim(leg, await self._coins(leg), market, preimage)

    async def refund_for_owner(self, leg: WatchedLeg) -> Instructions:
        market = await self._market(PATIENCE_OF_OWNERS)
        return self._handover.refund(leg, await self._coins(leg), market)

    async def check_signed(self, leg: WatchedLeg, raw: bytes) -> Submitted:
        submitted = self._handover.submitted(leg, await self._coins(leg), raw)
        await self._endpoints.first(lambda peer: simulate(peer.rpc, submitted.tx.raw))
        return submitted

    async def _coins(self, leg: WatchedLeg) -> Sequence[Coin]:
        return await self._endpoints.first(lambda peer: peer.look.coins(leg))

    # -- people ----------------------------------------------------------------------------------------------------

    async def party(self, field: str, text: str | None, index: int, *, sends: bool) -> Party:
        key = self._keys.bitcoin_pubkey(index, KeyPurpose.REFUND if sends else KeyPurpose.CLAIM)
        if text is None:
            return Party(key.hex(), await self._new_address(), by_swapd=True)
        return people.party(field, text, key, self._settings.network)

    def check_terms(self, leg: Leg) -> None:
        asset = self.assets.get(leg.terms.asset.symbol)
        if leg.terms.asset != asset:
            raise Invalid("asset", leg.terms.asset.symbol, f"one of {', '.join(self.assets)} on {self.name}")
        people.check_leg(leg, self._settings.network, self._settings.fee.floor_rate)

    def instructions(self, leg: Leg) -> Instructions:
        return people.instructions(leg, self._settings.network)

    def fingerprint(self, terms: LegTerms) -> str:
        return htlc_address(terms, self._settings.network)

    async def balances(self) -> Mapping[str, int]:
        """Coins that a lock could use now: in a block, and not reserved for another lock."""
        self._require_wallets_node()
        coins = await self.rpc.wallet("listunspent", MINED, 9_999_999, [], False)
        spendable = sum(satoshi(coin["amount"]) for coin in coins if coin["spendable"] and coin["safe"])
        return dict.fromkeys(self.assets, spendable)

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        """A claim's and a refund's fee come out of the leg; only a lock costs the wallet more than the amount."""
        if leg.funded_by is not Wallet.HOT:
            return {leg.terms.asset.symbol: 0}
        market = await self._market(0, acting=False)
        purse = Purse(leg.terms.amount, CAREFUL_VSIZE, keep=0, yields=False)
        fee = fees.next_fee(self._settings.fee, market, purse, (), 0)
        return {leg.terms.asset.symbol: leg.terms.amount + (market.minimum * CAREFUL_VSIZE if fee is None else fee)}

    async def addresses(self) -> Mapping[str, str]:
        return {"BTC": await self._new_address()}

    async def _new_address(self) -> str:
        return str(await self.rpc.wallet("getnewaddress", "swapd", "bech32"))

    async def _market(self, seconds_left: int, *, acting: bool = True) -> Market:
        said = await self._heard(lambda peer: peer.markets.now(seconds_left, acting=acting))
        return Market(
            middle([each.estimate for each in said]),
            middle([each.minimum for each in said]),
            middle([each.increment for each in said]),
        )


async def _is_due(peer: Peer, leg: WatchedLeg) -> bool:
    """Whether the next block takes a refund without anybody's consent."""
    _, median_time = await blocks.tip(peer.rpc)
    return leg.leg.terms.timelock < median_time


async def _hash_at(peer: Peer, height: int) -> str | None:
    return (await blocks.hashes(peer.rpc, [height]))[0]
