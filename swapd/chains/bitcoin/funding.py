"""A lock, paid by the node's wallet: a PSBT (BIP 174) that is checked before it is believed.

The wallet must be swapd's alone. Coins chosen for a lock are locked in the node's memory until they are spent. When a
daemon starts, the coins of stored transactions are locked again, and what a crash left locked beside them is set free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.blocks import btc, satoshi
from swapd.chains.bitcoin.fees import Market, Purse
from swapd.chains.bitcoin.rpc import WALLET_ERROR, WALLET_LOCKED, Rpc, RpcError
from swapd.chains.bitcoin.script import htlc_address, htlc_script, output_script
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.transaction import Outpoint, Transaction, output_bytes, read
from swapd.crashpoint import crashpoint
from swapd.errors import Rejected, SwapdError

USUAL_VSIZE = 11 + 68 + 43 + 31
"""Frame, one P2WPKH input, the HTLC output, change."""
CAREFUL_VSIZE = USUAL_VSIZE + 4 * 68
"""A lock that has to gather five coins."""


class Funding:
    def __init__(self, rpc: Rpc, network: Network, settings: FeeSettings) -> None:
        self._rpc = rpc
        self._network = network
        self._settings = settings
        self._one_at_a_time = asyncio.Lock()  # so that what becomes reserved meanwhile is one lock's alone
        self._before: set[Outpoint] | None = None
        """What was reserved before a lock that failed. Kept until the next lock: a node that did not answer may reserve
        the coins after we have looked."""

    async def lock(self, watched: WatchedLeg, market: Market, seconds_left: int) -> SignedTx:
        """A signed transaction with exactly one output to the leg's script, of exactly the leg's amount.

        Raises Rejected when the wallet cannot pay, or when the fee would be above its cap.
        """
        terms = watched.leg.terms
        rate = fees.wanted_rate(self._settings, market, seconds_left)
        async with self._one_at_a_time:
            await self._tidy()
            self._before = None
            before = await self._reserved()
            try:
                funded = await self._select(htlc_address(terms, self._network), terms.amount, rate)
                crashpoint("bitcoin.funding.reserved")
                tx, raw = await self._sign(funded["psbt"])
                crashpoint("bitcoin.funding.signed")
                fee = satoshi(funded["fee"])
                self._check(tx, watched, fee, market, seconds_left)
            except BaseException as error:
                # cancelled too: coins that nobody knows to be reserved could not be spent until the next start
                self._before = before
                try:
                    await self._tidy()
                except SwapdError as trouble:
                    error.add_note(f"its coins are set free at the next lock, because now: {trouble}")
                raise
        return SignedTx(tx.txid, raw, fee, fee // tx.vsize, spends=tuple(str(i.outpoint) for i in tx.inputs))

    async def release(self, outpoints: Sequence[Outpoint]) -> None:
        """Let the wallet use these again, as far as they are locked."""
        reserved = await self._reserved()
        entries = [{"txid": o.txid, "vout": o.vout} for o in outpoints if o in reserved]
        if entries:
            await self._rpc.wallet("lockunspent", True, entries)
            crashpoint("bitcoin.funding.released")

    async def keep_only(self, outpoints: Collection[str]) -> None:
        """Of the wallet's coins, reserve exactly these ("txid:vout") as far as they are unspent."""
        self._before = None
        await self._rpc.wallet("lockunspent", True)
        crashpoint("bitcoin.funding.all_free")
        coins = await self._rpc.wallet("listunspent", 0)
        kept = [
            {"txid": coin["txid"], "vout": coin["vout"]}
            for coin in coins
            if f"{coin['txid']}:{coin['vout']}" in outpoints
        ]
        if kept:
            await self._rpc.wallet("lockunspent", False, kept)
            crashpoint("bitcoin.funding.kept")

    async def _reserved(self) -> set[Outpoint]:
        return {Outpoint(entry["txid"], entry["vout"]) for entry in await self._rpc.wallet("listlockunspent")}

    async def _tidy(self) -> None:
        """Set free what a lock that failed has reserved, also where the node's answer never came."""
        if self._before is not None:
            await self.release(sorted(await self._reserved() - self._before))

    async def _select(self, address: str, amount: int, rate: int) -> Any:
        options = {
            "lockUnspents": True,
            "replaceable": True,
            "fee_rate": rate,
            "includeWatching": False,
            "change_type": "bech32",
        }
        try:
            return await self._rpc.wallet("walletcreatefundedpsbt", [], [{address: btc(amount)}], 0, options)
        except RpcError as error:
            if error.code == WALLET_ERROR and "nsufficient" in error.words:
                raise Rejected(
                    f"swapd's Bitcoin wallet cannot pay {btc(amount)} BTC and a fee of {rate} sat/vB: {error.words}"
                ) from error
            raise

    async def _sign(self, psbt: str) -> tuple[Transaction, bytes]:
        try:
            processed = await self._rpc.wallet("walletprocesspsbt", psbt, True, "ALL", True)
        except RpcError as error:
            if error.code == WALLET_LOCKED:
                raise Rejected("swapd's Bitcoin wallet is locked: unlock it with walletpassphrase") from error
            raise
        final = await self._rpc.call("finalizepsbt", processed["psbt"])
        if not final["complete"]:
            raise Rejected("swapd's Bitcoin wallet could not sign all inputs: does it hold private keys?")
        raw = bytes.fromhex(final["hex"])
        return read(raw), raw

    def _check(self, tx: Transaction, watched: WatchedLeg, fee: int, market: Market, seconds_left: int) -> None:
        terms = watched.leg.terms
        script = output_script(htlc_script(terms))
        locks = [output.amount for output in tx.outputs if output.script == script]
        if locks != [terms.amount]:
            raise Rejected(f"the wallet made a transaction that locks {locks} satoshi instead of [{terms.amount}]")
        if any(not item.witness for item in tx.inputs):
            # its txid could be changed by others before it is mined (BIP 141), and we would not know it again
            raise Rejected("the wallet would pay from a coin that is not segwit: move its coins to a bech32 address")
        purse = Purse(terms.amount, tx.vsize, output_bytes(script), yields=False)
        most = fees.ceiling(self._settings, market, purse, seconds_left)
        if fee > most:
            raise Rejected(
                f"locking {btc(terms.amount)} BTC would cost {fee} satoshi now; cap_share allows at most {most}"
            )
