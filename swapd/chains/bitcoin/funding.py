"""A lock, paid by the node's wallet: a PSBT (BIP 174) that is checked before it is believed.

The wallet must be swapd's alone. Only coins that are in a block are used: then no lock hangs on another one, and one
that is replaced takes no other with it. Coins chosen for a lock are locked in the node's memory until they are spent.
When a daemon starts, the coins of stored transactions are locked again, and what a crash left locked beside them is set
free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bitcoin.core.script import OP_RETURN, CScript

from swapd.chains.alarm import Alarms
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.blocks import btc, satoshi
from swapd.chains.bitcoin.fees import Market, Purse
from swapd.chains.bitcoin.rpc import WALLET_ERROR, WALLET_LOCKED, Rpc, RpcError
from swapd.chains.bitcoin.script import htlc_address, htlc_script, output_script
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.transaction import SEQUENCE, Outpoint, Output, Transaction, output_bytes, read
from swapd.chains.words import quoted
from swapd.crashpoint import crashpoint
from swapd.errors import Rejected, SwapdError
from swapd.protocol.terms import LegTerms

USUAL_VSIZE = 11 + 68 + 43 + 31
"""Frame, one P2WPKH input, the HTLC output, change."""
CAREFUL_VSIZE = USUAL_VSIZE + 4 * 68 + 51
"""A lock that has to gather five coins, and carries a note of 40 bytes."""

MINED = 1
"""Confirmations that a coin must have."""

_NO_DATA = ("datacarrier", "scriptpubkey", "multi-op-return")
"""A node's words for a transaction that carries data it does not relay."""


class _NoteRefused(Rejected):
    """The node relays no note."""


class Funding:
    def __init__(self, rpc: Rpc, network: Network, settings: FeeSettings, alarms: Alarms) -> None:
        self.rpc = rpc
        self.network = network
        self._settings = settings
        self._alarms = alarms
        self._one_at_a_time = asyncio.Lock()  # so that what becomes reserved meanwhile is one lock's alone
        self._before: set[Outpoint] | None = None
        """What was reserved before a lock that failed. Kept until the next lock: a node that did not answer may reserve
        the coins after we have looked."""
        self._unkept: set[str] | None = None
        """What is to be reserved as soon as the wallet answers."""

    async def lock(self, watched: WatchedLeg, market: Market, seconds_left: int) -> SignedTx:
        """A signed transaction with exactly one output to the leg's script, of exactly the leg's amount. It carries the
        leg's note, unless the node relays none: a lock that is not known by the seed alone is better than none.

        Raises Rejected when the wallet cannot pay, or when the fee would be above its cap.
        """
        if watched.note:
            try:
                return await self._lock(watched, watched.note, market, seconds_left)
            except _NoteRefused as error:
                self._alarms.ring("lock.without_note", True, reason=str(error))
        return await self._lock(watched, b"", market, seconds_left)

    async def _lock(self, watched: WatchedLeg, note: bytes, market: Market, seconds_left: int) -> SignedTx:
        terms = watched.leg.terms
        rate = fees.wanted_rate(self._settings, market, seconds_left, yields=False)
        async with self.reserving():
            funded = await self.fund((), self.outputs(terms, note), terms.amount, rate)
            tx, raw = await self.sign(funded["psbt"])
            fee = satoshi(funded["fee"])
            check(tx, terms, note)
            most = fees.ceiling(self._settings, market, lock_purse(terms, tx.vsize), seconds_left)
            if fee > most:
                raise Rejected(
                    f"locking {btc(terms.amount)} BTC would cost {fee} satoshi now; cap_share allows at most {most}"
                )
            if note:
                await self._refuse_note(raw)
        return SignedTx(tx.txid, raw, fee, fee // tx.vsize, spends=tuple(str(i.outpoint) for i in tx.inputs))

    def outputs(self, terms: LegTerms, note: bytes) -> list[dict[str, str]]:
        """As the node's RPC takes them, without change."""
        lock = {htlc_address(terms, self.network): btc(terms.amount)}
        return [lock, {"data": note.hex()}] if note else [lock]

    async def release(self, outpoints: Sequence[Outpoint]) -> None:
        """Let the wallet use these again, as far as they are locked."""
        if self._unkept is not None:
            self._unkept -= {str(outpoint) for outpoint in outpoints}
        reserved = await self._reserved()
        entries = [{"txid": o.txid, "vout": o.vout} for o in outpoints if o in reserved]
        if entries:
            await self.rpc.wallet("lockunspent", True, entries)
            crashpoint("bitcoin.funding.released")

    async def keep_only(self, outpoints: Collection[str]) -> None:
        """Of the wallet's coins, reserve exactly these ("txid:vout") as far as they are unspent. If the wallet does not
        answer, that is done before the next lock."""
        self._unkept = set(outpoints)
        async with self._one_at_a_time:
            await self._keep()

    async def _keep(self) -> None:
        """Under the lock: what another one has reserved for itself meanwhile must not be set free by this."""
        if self._unkept is None:
            return
        self._before = None
        await self.rpc.wallet("lockunspent", True)
        crashpoint("bitcoin.funding.all_free")
        coins = await self.rpc.wallet("listunspent", 0)
        kept = [
            {"txid": coin["txid"], "vout": coin["vout"]}
            for coin in coins
            if f"{coin['txid']}:{coin['vout']}" in self._unkept
        ]
        if kept:
            await self.rpc.wallet("lockunspent", False, kept)
            crashpoint("bitcoin.funding.kept")
        self._unkept = None

    # -- for whatever the wallet signs -----------------------------------------------------------------------------

    @asynccontextmanager
    async def reserving(self) -> AsyncIterator[None]:
        """What becomes reserved in here is set free again if it ends with an error."""
        async with self._one_at_a_time:
            await self._keep()
            await self._tidy()
            self._before = None
            before = await self._reserved()
            try:
                yield
            except BaseException as error:
                # cancelled too: coins that nobody knows to be reserved could not be spent until the next start
                self._before = before
                try:
                    await self._tidy()
                except SwapdError as trouble:
                    error.add_note(f"its coins are set free at the next lock, because now: {trouble}")
                raise

    async def fund(self, inputs: Sequence[Outpoint], outputs: Sequence[dict[str, str]], amount: int, rate: int) -> Any:
        """A PSBT of the wallet's, with these inputs and as many more as it takes. Those are reserved."""
        options = {
            "add_inputs": True,
            "lockUnspents": True,
            "replaceable": True,
            "fee_rate": rate,
            "includeWatching": False,
            "change_type": "bech32",
            "minconf": MINED,
        }
        given = [{"txid": o.txid, "vout": o.vout, "sequence": SEQUENCE} for o in inputs]
        try:
            funded = await self.rpc.wallet("walletcreatefundedpsbt", given, list(outputs), 0, options)
            crashpoint("bitcoin.funding.reserved")
            return funded
        except RpcError as error:
            if error.code == WALLET_ERROR and "nsufficient" in error.words:
                raise Rejected(
                    f"swapd's Bitcoin wallet cannot pay {btc(amount)} BTC and a fee of {rate} sat/vB from coins that "
                    f"are in a block: {error.words}"
                ) from error
            raise

    async def sign(self, psbt: str) -> tuple[Transaction, bytes]:
        try:
            processed = await self.rpc.wallet("walletprocesspsbt", psbt, True, "ALL", True)
        except RpcError as error:
            if error.code == WALLET_LOCKED:
                raise Rejected("swapd's Bitcoin wallet is locked: unlock it with walletpassphrase") from error
            raise
        crashpoint("bitcoin.funding.signed")
        final = await self.rpc.call("finalizepsbt", processed["psbt"])
        if not final["complete"]:
            raise Rejected("swapd's Bitcoin wallet could not sign all inputs: does it hold private keys?")
        raw = bytes.fromhex(final["hex"])
        tx = read(raw)
        if any(not item.witness for item in tx.inputs):
            # its txid could be changed by others before it is mined (BIP 141), and we would not know it again
            raise Rejected("the wallet would pay from a coin that is not segwit: move its coins to a bech32 address")
        return tx, raw

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _refuse_note(self, raw: bytes) -> None:
        verdict = (await self.rpc.call("testmempoolaccept", [raw.hex()], 0))[0]
        words = "" if verdict["allowed"] else quoted(str(verdict["reject-reason"]))
        if words.startswith(_NO_DATA):
            raise _NoteRefused(f"the node relays no note of this size: {words}")

    async def _reserved(self) -> set[Outpoint]:
        return {Outpoint(entry["txid"], entry["vout"]) for entry in await self.rpc.wallet("listlockunspent")}

    async def _tidy(self) -> None:
        """Set free what a lock that failed has reserved, also where the node's answer never came."""
        if self._before is not None:
            await self.release(sorted(await self._reserved() - self._before))


def check(tx: Transaction, terms: LegTerms, note: bytes) -> None:
    """Refuse (Rejected) what a wallet made of a lock, unless it is that: one output to the script, of exactly the
    amount, the note and nothing else of its kind, and at most one more output, which is change."""
    script = output_script(htlc_script(terms))
    locks = [output.amount for output in tx.outputs if output.script == script]
    if locks != [terms.amount]:
        raise Rejected(f"the wallet made a transaction that locks {locks} satoshi instead of [{terms.amount}]")
    data = [output for output in tx.outputs if is_data(output)]
    if data != ([Output(0, bytes(CScript([OP_RETURN, note])))] if note else []):
        raise Rejected("the wallet made a transaction that carries other data than the lock's note")
    if len(tx.outputs) > len(locks) + len(data) + 1:
        raise Rejected(f"the wallet made a transaction with {len(tx.outputs)} outputs: a lock has one, note and change")


def is_data(output: Output) -> bool:
    return output.script[:1] == bytes([OP_RETURN])


def lock_purse(terms: LegTerms, vsize: int) -> Purse:
    """What a lock may cost: its cap never yields, since a missed lock loses nothing."""
    return Purse(terms.amount, vsize, output_bytes(output_script(htlc_script(terms))), yields=False)
