"""Bitcoin as one `HtlcChain`: each method hands over to the file that knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

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
    TxState,
    WatchedLeg,
)
from swapd.chains.bitcoin import blocks, fees, health, people, watch
from swapd.chains.bitcoin.blocks import satoshi
from swapd.chains.bitcoin.fate import fate_of
from swapd.chains.bitcoin.fees import Market, Purse
from swapd.chains.bitcoin.funding import CAREFUL_VSIZE, Funding
from swapd.chains.bitcoin.look import Look, view_of
from swapd.chains.bitcoin.rpc import ALREADY_IN_CHAIN, Call, Rpc, RpcError, credentials
from swapd.chains.bitcoin.script import htlc_address
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.bitcoin.spending import Keys, Spending
from swapd.chains.bitcoin.transaction import Outpoint
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms, Wallet
from swapd.vault.derivation import KeyPurpose


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
        self.rpc = Rpc(settings.rpc_url, settings.wallet, lambda: credentials(settings), settings.timeout_seconds)
        self._settings = settings
        self._keys = keys
        self._look = Look.by(self.rpc)
        self._mempool = watch.Mempool(self.rpc, settings.mempool_batch)
        self._funding = Funding(self.rpc, settings.network, settings.fee)
        self._spending = Spending(self.rpc, settings.network, settings.fee, keys)

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
        await health.check_network(self.rpc, self._settings)
        await health.open_wallet(self.rpc, self._settings)

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        await self._funding.keep_only({outpoint for tx in signed for outpoint in tx.spends})

    async def close(self) -> None:
        await self.rpc.close()

    async def examine(self) -> Sequence[Health]:
        return await health.examine(self.rpc, self._settings)

    async def clock(self) -> ChainClock:
        """A block may hold a transaction whose nLockTime is *below* the median-time-past before it (BIP 113 and
        IsFinalTx), so the latest timelock that can be refunded is that median minus one second."""
        tip, median_time = await blocks.tip(self.rpc)
        return ChainClock(tip, median_time - 1)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        return await watch.scan(self.rpc, cursor, legs, self._settings.scan_blocks)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        return await watch.rescan(self.rpc, legs)

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        return await self._mempool.look(legs)

    async def view(self, leg: WatchedLeg) -> LegView:
        least = people.least_refund(leg.leg, self._settings.network, self._settings.fee.floor_rate)
        return view_of(leg, await self._look.coins(leg), least)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> Ready | None:
        if effect.kind is EffectKind.LOCK and sent:
            return None  # rule S4: one lock, ever; the same bytes are sent again
        market = await self._market(effect.deadline - now)
        if effect.kind is EffectKind.LOCK:
            return Ready(await self._funding.lock(leg, market, effect.deadline - now))
        coins = await self._look.coins(leg)
        tx = await self._spending.draft(effect, leg, coins, preimage, sent, market, now)
        return Ready(tx) if tx else None

    def prepares(self, tx: SignedTx) -> bool:
        return False

    async def void(self, sent: Sequence[SignedTx]) -> Ready | None:
        """The coins of a lock that was never sent are free again; nothing has to be sent for that. What the node has
        seen of any of these attempts may still be mined, so then they stay reserved."""
        fates = [await self.fate(tx) for tx in sent]
        if any(fate.state in (TxState.PENDING, TxState.MINED) for fate in fates):
            return None
        await self._funding.release([o for tx in sent for text in tx.spends if (o := Outpoint.parse(text))])
        return None

    async def broadcast(self, tx: SignedTx) -> None:
        crashpoint("bitcoin.broadcast.before")
        try:
            # no limit by the node on the fee rate: our own schedule has set it
            await self.rpc.deed("sendrawtransaction", tx.raw.hex(), 0)
            crashpoint("bitcoin.broadcast.after")
        except RpcError as error:
            if error.code != ALREADY_IN_CHAIN and (await self.fate(tx)).state not in (TxState.PENDING, TxState.MINED):
                raise

    async def fate(self, tx: SignedTx) -> Fate:
        return await fate_of(self.rpc, tx)

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
        """Coins that a lock could use now: confirmed, or our own change; not those reserved for another lock."""
        coins = await self.rpc.wallet("listunspent", 0, 9_999_999, [], False)
        spendable = sum(satoshi(coin["amount"]) for coin in coins if coin["spendable"] and coin["safe"])
        return dict.fromkeys(self.assets, spendable)

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        """A claim's and a refund's fee come out of the leg; only a lock costs the wallet more than the amount."""
        if leg.funded_by is not Wallet.HOT:
            return {leg.terms.asset.symbol: 0}
        market = await self._market(0)
        purse = Purse(leg.terms.amount, CAREFUL_VSIZE, keep=0, yields=False)
        fee = fees.next_fee(self._settings.fee, market, purse, (), 0)
        return {leg.terms.asset.symbol: leg.terms.amount + (market.minimum * CAREFUL_VSIZE if fee is None else fee)}

    async def addresses(self) -> Mapping[str, str]:
        return {"BTC": await self._new_address()}

    async def _new_address(self) -> str:
        return str(await self.rpc.wallet("getnewaddress", "swapd", "bech32"))

    async def _market(self, seconds_left: int) -> Market:
        blocks_left = fees.target(seconds_left, self._settings.timing.block_seconds)
        estimate, pool = await self.rpc.batch(
            [Call("estimatesmartfee", (blocks_left, "conservative")), Call("getmempoolinfo")]
        )
        for answer in (estimate, pool):
            if isinstance(answer, RpcError):
                raise answer
        minimum = max(pool["mempoolminfee"], pool["minrelaytxfee"])
        rate = estimate.get("feerate")
        return Market(
            estimate=self._settings.fee.fallback_rate if rate is None else _per_vbyte(satoshi(rate)),
            minimum=_per_vbyte(satoshi(minimum)),
            increment=_per_vbyte(satoshi(pool["incrementalrelayfee"])),
        )


def _per_vbyte(per_kilobyte: int) -> int:
    """The node counts by 1000 vB. Rounded up, because a fraction less is refused."""
    return max(1, ceil(per_kilobyte / 1000))
