"""A lock that does not get into a block: replaced while it is wanted, taken back when it is not (BIP 125).

One lock, ever (rule S4): each replacement spends all inputs of those before it, perhaps more, so any two of a lock's
transactions share an input and at most one of them can ever be in a chain. Whichever that is, it has exactly one output
to the leg's script, of exactly the leg's amount. The transaction that takes a lock back spends all those inputs too, to
an address of the wallet's own: either it is in the chain or one of them is, never both. So it does no harm if a node, a
miner or a reorganisation prefers an older one; `fate` tells which it was, and a lock that was mined all the same is a
lock, and refunded in its time (rule S12).

Nothing is built on a guess: an input that the chain's unspent outputs do not hold was spent in a block, or its own
transaction fell out of one. Then there is nothing to replace at this moment. An input that something else is about to
spend, or change that something else spends already, is left to a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swapd.chains.alarm import Alarms
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.address import output_script as script_of
from swapd.chains.bitcoin.blocks import absent, btc, satoshi
from swapd.chains.bitcoin.fees import Market, Purse, Rival
from swapd.chains.bitcoin.funding import Funding, check, is_data, lock_purse
from swapd.chains.bitcoin.pool import rival_of, simulate
from swapd.chains.bitcoin.rpc import Call
from swapd.chains.bitcoin.script import htlc_script, is_p2wsh, output_script
from swapd.chains.bitcoin.settings import FeeSettings
from swapd.chains.bitcoin.transaction import Outpoint, Output, Transaction, dust, read, unsigned_bytes
from swapd.errors import Rejected
from swapd.protocol.terms import LegTerms

_COIN_VBYTES = 68  # of a P2WPKH input with a signature of 72 bytes: no kind of wallet input that swapd uses is larger
_VOID_VBYTES = 11 + 31  # frame, and one P2WPKH output


@dataclass(frozen=True)
class _Inputs:
    """What a lock's transactions spend. amounts: of those that the chain shows unspent. rivals: what spends any
    of them in the mempool, each with all that hangs on it."""

    all: tuple[Outpoint, ...]
    amounts: Mapping[Outpoint, int]
    pending: frozenset[str]
    rivals: tuple[Rival, ...]


class Stuck:
    def __init__(self, funding: Funding, settings: FeeSettings, alarms: Alarms) -> None:
        self._funding = funding
        self._rpc = funding.rpc
        self._settings = settings
        self._alarms = alarms

    async def replace(
        self, watched: WatchedLeg, sent: Sequence[SignedTx], market: Market, seconds_left: int
    ) -> SignedTx | None:
        """A better transaction of the same lock. None: the last one is good enough, nothing can take its place any
        more, or it would cost more than the cap (which a lock's deadline does not move)."""
        last, terms = sent[-1], watched.leg.terms
        if seconds_left < 0 or fees.good_enough(self._settings, market, last.rate, seconds_left, yields=False):
            return None  # rule S3: after its time a lock is not pushed any more
        inputs = await self._inputs(sent)
        if inputs.amounts.keys() != set(inputs.all):
            return None
        before = read(last.raw)
        rivals = [*(Rival(tx.fee, tx.rate) for tx in sent), *inputs.rivals]
        vsize = before.vsize + len(inputs.all)  # the signatures may come out a little longer
        fee = fees.next_fee(self._settings, market, lock_purse(terms, vsize), rivals, seconds_left)
        self._alarms.ring("fee.lock_over_cap", fee is None, watched.swap_id, swap=watched.swap_id, rate=last.rate)
        if fee is None:
            return None
        rest = sum(inputs.amounts.values()) - terms.amount - fee
        if (outputs := _with_change(before, terms, rest)) is not None:
            tx, raw = await self._signed(inputs.all, outputs)
            return await self._checked(tx, raw, watched, before, rivals, market, seconds_left)
        rate = max(-(-fee // before.vsize), max(r.fee for r in rivals) // before.vsize + 1 + market.increment)
        async with self._funding.reserving():
            tx, raw = await self._with_more_coins(inputs.all, before, terms, rate)
            return await self._checked(tx, raw, watched, before, rivals, market, seconds_left)

    async def void(self, sent: Sequence[SignedTx], market: Market, seconds_left: int) -> SignedTx | None:
        """All coins of a lock back to the wallet. sent: its transactions, and those that were to take them back. None:
        the last of those is good enough, or a block has decided, or they were no lock's.

        Raises Rejected if what others hung on the lock makes it dearer than the cap: it is tried again, and until then
        the lock may still be mined, and is refunded in its time.
        """
        known = [read(tx.raw) for tx in sent]
        locks = [tx for tx in known if not is_void(tx) and not tx.spends_htlc]
        if not locks:
            return None
        inputs = await self._inputs(sent)
        shared = set.intersection(*({item.outpoint for item in tx.inputs} for tx in locks))
        if not shared <= inputs.amounts.keys():
            return None
        if is_void(known[-1]) and await self._stays(sent[-1], inputs, market, seconds_left):
            return None
        spent = [outpoint for outpoint in inputs.all if outpoint in inputs.amounts]
        script = script_of(await self._rpc.wallet("getnewaddress", "swapd", "bech32"), self._funding.network, "void")
        locked = next(output.amount for output in locks[-1].outputs if is_p2wsh(output.script))
        purse = Purse(locked, _VOID_VBYTES + _COIN_VBYTES * len(spent), dust(script), yields=False)
        ours = [Rival(tx.fee, tx.rate) for tx in sent]
        fee = fees.void_fee(self._settings, market, purse, ours, inputs.rivals, seconds_left)
        if fee is None:
            raise Rejected(
                f"taking the lock back would cost more than {self._settings.cap_share:.0%} of {btc(locked)} BTC, "
                "because of what others have hung on it; if it is mined it will be refunded"
            )
        total = sum(inputs.amounts[outpoint] for outpoint in spent)
        tx, raw = await self._signed(spent, [Output(total - fee, script)])
        await simulate(self._rpc, raw)
        return SignedTx(tx.txid, raw, fee, fee // tx.vsize, spends=tuple(map(str, spent)))

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _inputs(self, sent: Sequence[SignedTx]) -> _Inputs:
        ours = {tx.txid for tx in sent}
        known = [read(tx.raw) for tx in sent]
        found = tuple(dict.fromkeys(item.outpoint for tx in known for item in tx.inputs))
        change = [
            Outpoint(tx.txid, index)
            for tx in known
            for index, output in enumerate(tx.outputs)
            if not is_p2wsh(output.script) and not is_data(output)
        ]
        asked = [*found, *change]
        *unspent, spending = await self._rpc.batch(
            [Call("gettxout", (o.txid, o.vout, False)) for o in found]
            + [Call("gettxspendingprevout", ([{"txid": o.txid, "vout": o.vout} for o in asked],))]
        )
        if absent(spending):
            raise Rejected("bitcoin node: it does not say what the mempool spends")
        by = {outpoint: item.get("spendingtxid") for outpoint, item in zip(asked, spending, strict=True)}
        for outpoint, txid in by.items():
            if txid and txid not in ours:
                raise Rejected(
                    f"{txid} spends {outpoint}, which belongs to this lock: nothing is replaced that other payments of "
                    "the wallet hang on. Does somebody else use swapd's wallet?"
                )
        pending = frozenset(txid for outpoint in found if (txid := by[outpoint]))
        return _Inputs(
            all=found,
            amounts={o: satoshi(a["value"]) for o, a in zip(found, unspent, strict=True) if not absent(a)},
            pending=pending,
            rivals=tuple([await rival_of(self._rpc, txid) for txid in sorted(pending)]),
        )

    async def _stays(self, void: SignedTx, inputs: _Inputs, market: Market, seconds_left: int) -> bool:
        """Whether a void that was made before may stay, or be sent again."""
        if not fees.good_enough(self._settings, market, void.rate, seconds_left, yields=False):
            return False
        if void.txid in inputs.pending:
            return True
        try:
            await simulate(self._rpc, void.raw)
        except Rejected:
            return False  # a dearer one has to follow
        return True

    async def _signed(self, inputs: Sequence[Outpoint], outputs: Sequence[Output]) -> tuple[Transaction, bytes]:
        return await self._funding.sign(await self._rpc.call("converttopsbt", unsigned_bytes(inputs, outputs).hex()))

    async def _with_more_coins(
        self, inputs: Sequence[Outpoint], before: Transaction, terms: LegTerms, rate: int
    ) -> tuple[Transaction, bytes]:
        """There is no change that could pay for it."""
        outputs = self._funding.outputs(terms, _note(before))
        funded = await self._funding.fund(inputs, outputs, terms.amount, rate)
        tx, raw = await self._funding.sign(funded["psbt"])
        if not set(inputs) <= {item.outpoint for item in tx.inputs}:
            raise Rejected("the wallet left out a coin of the lock that is to be replaced")  # rule S4
        return tx, raw

    async def _checked(
        self,
        tx: Transaction,
        raw: bytes,
        watched: WatchedLeg,
        before: Transaction,
        rivals: Sequence[Rival],
        market: Market,
        seconds_left: int,
    ) -> SignedTx:
        terms = watched.leg.terms
        check(tx, terms, _note(before))
        await simulate(self._rpc, raw)
        fee = await self._paid_in(tx) - sum(output.amount for output in tx.outputs)
        most = fees.ceiling(self._settings, market, lock_purse(terms, tx.vsize), seconds_left)
        if not fees.least_fee(market, tx.vsize, rivals) <= fee <= most:
            raise Rejected(f"a better lock would pay {fee} satoshi, and at most {most} may be paid")
        return SignedTx(tx.txid, raw, fee, fee // tx.vsize, spends=tuple(str(i.outpoint) for i in tx.inputs))

    async def _paid_in(self, tx: Transaction) -> int:
        answers: list[Any] = await self._rpc.batch(
            [Call("gettxout", (i.outpoint.txid, i.outpoint.vout, False)) for i in tx.inputs]
        )
        if any(absent(answer) for answer in answers):
            raise Rejected("a coin of the lock was spent in a block meanwhile")
        return sum(satoshi(answer["value"]) for answer in answers)


def is_void(tx: Transaction) -> bool:
    """A lock has an output to a script, and what takes one back has none."""
    return not tx.spends_htlc and not any(is_p2wsh(output.script) for output in tx.outputs)


def _with_change(before: Transaction, terms: LegTerms, rest: int) -> list[Output] | None:
    """The outputs of a lock again, with so much of change; None if there is none that could pay for it."""
    lock = output_script(htlc_script(terms))
    change = [output for output in before.outputs if output.script != lock and not is_data(output)]
    kept = [output for output in before.outputs if output not in change]
    if rest < 0:
        return None
    if not change or rest < dust(change[0].script):
        return kept  # what is too small to be change goes to the miner
    return [*kept, Output(rest, change[0].script)]


def _note(before: Transaction) -> bytes:
    """What a lock carries: the script of its data output is OP_RETURN, a length, and the note (at most 75 bytes)."""
    return next((output.script[2:] for output in before.outputs if is_data(output)), b"")
