"""A claim or a refund: which coin, how much fee, and whether the node would take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from swapd.chains.alarm import Alarms
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import blocks, fees, transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.blocks import btc
from swapd.chains.bitcoin.fees import Market, Purse, Rival
from swapd.chains.bitcoin.look import Coin, the_leg
from swapd.chains.bitcoin.pool import rival_of, simulate
from swapd.chains.bitcoin.rpc import Rpc
from swapd.chains.bitcoin.script import htlc_script, parse_pubkey
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.transaction import (
    HtlcInput,
    Joint,
    Output,
    claim_items,
    claim_witness_bytes,
    refund_items,
    refund_witness_bytes,
    spend_vsize,
)
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.terms import Wallet
from swapd.vault.derivation import KeyPurpose

OUR_SIGNATURE = 71
"""Bytes of a signature of the vault (low R, low S) with its sighash byte; one in 256 is a byte shorter."""


class Keys(Protocol):
    """What of the vault is needed here."""

    def bitcoin_pubkey(self, index: int, purpose: KeyPurpose) -> bytes: ...

    def sign_bitcoin(self, index: int, purpose: KeyPurpose, sighash: bytes) -> bytes: ...


@dataclass(frozen=True)
class Exit:
    """A claim or refund that is about to be made: everything but its transaction.

    fee: if it goes alone. wanted: the rate that is right at this moment, whatever has to be outbid. witness: its size.
    rivals: what it has to outbid. pending: what spends the coin now. own: its payout is the wallet's own. patient: the
    deadline is far, nothing shows a secret for the first time, and nothing but a batch of ours is in the way.
    """

    effect: Effect
    watched: WatchedLeg
    coin: Coin
    payout: bytes
    purse: Purse
    witness: int
    fee: int
    wanted: int
    rivals: tuple[Rival, ...]
    pending: str | None
    own: bool
    patient: bool
    preimage: bytes | None = field(repr=False)

    @property
    def claims(self) -> bool:
        return self.effect.kind is EffectKind.CLAIM

    @property
    def rate(self) -> int:
        return self.fee // self.purse.vsize

    @property
    def locktime(self) -> int:
        return 0 if self.claims else self.watched.leg.terms.timelock

    @property
    def spent(self) -> HtlcInput:
        return HtlcInput(self.coin.outpoint, self.coin.amount, htlc_script(self.watched.leg.terms))


class Spending:
    def __init__(self, rpc: Rpc, network: Network, settings: FeeSettings, keys: Keys, alarms: Alarms) -> None:
        self._rpc = rpc
        self._network = network
        self._settings = settings
        self._keys = keys
        self._alarms = alarms

    async def plan(
        self,
        effect: Effect,
        watched: WatchedLeg,
        coins: Sequence[Coin],
        preimage: bytes | None,
        sent: Sequence[SignedTx],
        market: Market,
        now: int,
    ) -> Exit | None:
        """What is to be sent for this effect, or None when what was sent last may stay. Raises Rejected, Invalid."""
        claims = effect.kind is EffectKind.CLAIM
        coin = _coin(effect, watched, coins)
        payout = self._payout(watched, claims=claims)
        witness = claim_witness_bytes(OUR_SIGNATURE) if claims else refund_witness_bytes(OUR_SIGNATURE)
        purse = Purse(coin.amount, spend_vsize(witness, payout), transaction.dust(payout), yields=True)
        left = effect.deadline - now
        pending = coin.spend.txid if coin.spend else None
        if sent and self._may_stay(sent[-1], pending, market, left):
            return None
        rivals = [Rival(tx.fee, tx.rate) for tx in sent]
        if pending:
            rival = await rival_of(self._rpc, pending)
            alike = pending not in {tx.txid for tx in sent} and await self._alike(coin, payout, claims=claims)
            if alike and fees.good_enough(self._settings, market, rival.rate, left, yields=True):
                return None  # ours, of which another worker knows, or an earlier life that did not come to store it
            rivals.append(rival)
        fee = fees.next_fee(self._settings, market, purse, rivals, left)
        self._tell(effect, watched, purse, market, fee, left)
        if fee is None:
            if sent and (pending is None or pending in {tx.txid for tx in sent}):
                return None  # no money for a better one: what is out there stays
            raise Rejected(self._too_dear(purse, market, rivals, left))
        leg = watched.leg
        return Exit(
            effect=effect,
            watched=watched,
            coin=coin,
            payout=payout,
            purse=purse,
            witness=witness,
            fee=fee,
            wanted=fees.wanted_rate(self._settings, market, left, yields=True),
            rivals=tuple(rivals),
            pending=pending,
            own=(leg.claimed_by if claims else leg.funded_by) is Wallet.HOT,
            patient=fees.pressure(self._settings, left) == 0
            and not effect.reveals
            and (not sent or (pending == sent[-1].txid and is_batch(sent[-1])))
            and (pending is None or pending in {tx.txid for tx in sent}),
            preimage=preimage,
        )

    async def alone(self, exit_: Exit) -> SignedTx:
        """Its own transaction, which the node would take."""
        raw = self.signed([exit_], [Output(exit_.coin.amount - exit_.fee, exit_.payout)])
        await simulate(self._rpc, raw)
        outpoint = str(exit_.coin.outpoint)
        return SignedTx(transaction.read(raw).txid, raw, exit_.fee, exit_.rate, spends=(outpoint,))

    def signed(self, exits: Sequence[Exit], outputs: Sequence[Output]) -> bytes:
        """One transaction of these, each with its own key. A refund waits for the latest timelock among them."""
        whole = Joint(tuple(e.spent for e in exits), tuple(outputs), max(e.locktime for e in exits))
        return whole.with_witnesses(*(self._witness(each, whole.sighash(n)) for n, each in enumerate(exits)))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _may_stay(self, last: SignedTx, pending: str | None, market: Market, left: int) -> bool:
        """A batch that left the mempool may have lost a coin to somebody else, and waits for nobody: then not."""
        undisturbed = pending == last.txid or (pending is None and not is_batch(last))
        return undisturbed and fees.good_enough(self._settings, market, last.rate, left, yields=True)

    async def _alike(self, coin: Coin, payout: bytes, *, claims: bool) -> bool:
        """Whether what spends the coin in the mempool does what we want: only our key could, and it pays our payee."""
        if coin.spend is None or (coin.spend.preimage is not None) is not claims:
            return False
        found = await blocks.transactions(self._rpc, [coin.spend.txid])
        return any(output.script == payout for tx in found for output in tx.outputs)

    def _tell(
        self, effect: Effect, watched: WatchedLeg, purse: Purse, market: Market, fee: int | None, left: int
    ) -> None:
        """An operator hears when a cap yields to a deadline, and when one holds a fee back."""
        of = f"{watched.swap_id} {effect.key}"
        about = {
            "swap": watched.swap_id,
            "effect": effect.key,
            "fee": fee,
            "amount": purse.amount,
            "seconds_left": left,
        }
        yields = fee is not None and fees.above_share(self._settings, purse, fee)
        held = fee is None or fees.held_back(self._settings, market, purse, fee, left)
        self._alarms.ring("fee.cap_yields", yields, of, **about)
        self._alarms.ring("fee.held_back_by_cap", held, of, **about)

    def _payout(self, watched: WatchedLeg, *, claims: bool) -> bytes:
        leg = watched.leg
        text, field = (leg.pay_to, "pay_to") if claims else (leg.refund_to, "refund_to")
        return output_script(text, self._network, field)

    def _witness(self, exit_: Exit, sighash: bytes) -> tuple[bytes, ...]:
        terms, index = exit_.watched.leg.terms, exit_.watched.index
        purpose = KeyPurpose.CLAIM if exit_.claims else KeyPurpose.REFUND
        field_name, identity = ("receiver", terms.receiver) if exit_.claims else ("sender", terms.sender)
        key = self._keys.bitcoin_pubkey(index, purpose)
        if parse_pubkey(identity, field_name) != key:
            raise Rejected(f"swapd does not hold the key {identity} that this {purpose.name.lower()} needs")
        if exit_.claims and (exit_.preimage is None or not opens(exit_.preimage, terms.hashlock)):
            raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
        signature = self._keys.sign_bitcoin(index, purpose, sighash)
        return claim_items(exit_.preimage, signature) if exit_.preimage else refund_items(key, signature)

    def _too_dear(self, purse: Purse, market: Market, rivals: Sequence[Rival], seconds_left: int) -> str:
        most = fees.ceiling(self._settings, market, purse, seconds_left)
        if most < market.minimum * purse.vsize:
            return (
                f"{btc(purse.amount)} BTC do not pay for their own spend: at {market.minimum} sat/vB less than dust "
                f"({purse.keep} satoshi) would be left"
            )
        return (
            f"another spend of this output pays {max(r.fee for r in rivals)} satoshi, and at most {most} may be paid "
            "at this moment"
        )


def is_batch(tx: SignedTx) -> bool:
    """Whether this claim or refund is together with others."""
    return len(tx.spends) > 1


def _coin(effect: Effect, watched: WatchedLeg, coins: Sequence[Coin]) -> Coin:
    if effect.stray is not None:
        coin = next((c for c in coins if str(c.outpoint) == effect.stray), None)
    else:
        coin = the_leg(coins, watched.leg.terms.amount)
    what = effect.stray or f"the {effect.role.value} leg"
    if coin is None or coin.depth == 0:
        raise Rejected(f"there is nothing to {effect.kind.value}: {what} is not in a block")
    if coin.spend and coin.spend.depth > 0:
        raise Rejected(f"there is nothing to {effect.kind.value}: {what} was spent by {coin.spend.txid}")
    return coin
