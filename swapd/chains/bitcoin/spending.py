"""A claim or a refund: which coin, how much fee, and whether the node would take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees, transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.blocks import absent, btc, satoshi
from swapd.chains.bitcoin.fees import Market, Purse, Rival
from swapd.chains.bitcoin.look import Coin, the_leg
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script, parse_pubkey
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.transaction import Spend, claim_witness_bytes, refund_witness_bytes, spend_vsize
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.vault.derivation import KeyPurpose

OUR_SIGNATURE = 71
"""Bytes of a signature of the vault (low R, low S) with its sighash byte; one in 256 is a byte shorter."""


class Keys(Protocol):
    """What of the vault is needed here."""

    def bitcoin_pubkey(self, index: int, purpose: KeyPurpose) -> bytes: ...

    def sign_bitcoin(self, index: int, purpose: KeyPurpose, sighash: bytes) -> bytes: ...


class Spending:
    def __init__(self, rpc: Rpc, network: Network, settings: FeeSettings, keys: Keys) -> None:
        self._rpc = rpc
        self._network = network
        self._settings = settings
        self._keys = keys

    async def draft(
        self,
        effect: Effect,
        watched: WatchedLeg,
        coins: Sequence[Coin],
        preimage: bytes | None,
        sent: Sequence[SignedTx],
        market: Market,
        now: int,
    ) -> SignedTx | None:
        """The transaction for this effect, or None when the last one sent may stay. Raises Rejected, Invalid."""
        claims = effect.kind is EffectKind.CLAIM
        coin = _coin(effect, watched, coins)
        payout = self._payout(watched, claims=claims)
        witness = claim_witness_bytes(OUR_SIGNATURE) if claims else refund_witness_bytes(OUR_SIGNATURE)
        purse = Purse(coin.amount, spend_vsize(witness, payout), transaction.dust(payout), yields=True)
        seconds_left = effect.deadline - now
        conflict = coin.spend.txid if coin.spend else None
        ours = {tx.txid for tx in sent}
        undisturbed = sent and conflict in (None, sent[-1].txid)
        if undisturbed and fees.good_enough(self._settings, market, sent[-1].rate, seconds_left):
            return None
        rivals = [Rival(tx.fee, tx.rate) for tx in sent]
        if conflict and conflict not in ours:
            rivals.append(await self._rival(conflict))
        fee = fees.next_fee(self._settings, market, purse, rivals, seconds_left)
        if fee is None:
            if sent and (conflict is None or conflict in ours):
                return None  # no money for a better one: what is out there stays
            raise Rejected(self._too_dear(purse, market, rivals, seconds_left))
        locktime = 0 if claims else watched.leg.terms.timelock
        spend = Spend(coin.outpoint, coin.amount, htlc_script(watched.leg.terms), payout, fee, locktime)
        raw = self._signed(spend, watched, preimage, claims=claims)
        await self._simulate(raw)
        txid = transaction.read(raw).txid
        return SignedTx(txid, raw, fee, fee // purse.vsize, spends=(str(coin.outpoint),))

    def _payout(self, watched: WatchedLeg, *, claims: bool) -> bytes:
        leg = watched.leg
        text, field = (leg.pay_to, "pay_to") if claims else (leg.refund_to, "refund_to")
        return output_script(text, self._network, field)

    def _signed(self, spend: Spend, watched: WatchedLeg, preimage: bytes | None, *, claims: bool) -> bytes:
        terms, index = watched.leg.terms, watched.index
        purpose = KeyPurpose.CLAIM if claims else KeyPurpose.REFUND
        field, identity = ("receiver", terms.receiver) if claims else ("sender", terms.sender)
        key = self._keys.bitcoin_pubkey(index, purpose)
        if parse_pubkey(identity, field) != key:
            raise Rejected(f"swapd does not hold the key {identity} that this {purpose.name.lower()} needs")

        def sign(sighash: bytes) -> bytes:
            return self._keys.sign_bitcoin(index, purpose, sighash)

        if not claims:
            return transaction.refund(spend, key, sign)
        if preimage is None or not opens(preimage, terms.hashlock):
            raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
        return transaction.claim(spend, preimage, sign)

    async def _rival(self, txid: str) -> Rival:
        """Somebody else's spend of the coin in the mempool, with everything that hangs on it."""
        entry = (await self._rpc.batch([Call("getmempoolentry", (txid,))]))[0]
        if absent(entry):
            return Rival(0, 0)  # it left meanwhile
        own = satoshi(entry["fees"]["modified"])
        return Rival(satoshi(entry["fees"]["descendant"]), -(-own // int(entry["vsize"])))

    async def _simulate(self, raw: bytes) -> None:
        """Ask the node whether it would take it, without sending it anywhere."""
        verdict = (await self._rpc.call("testmempoolaccept", [raw.hex()], 0))[0]
        if verdict["allowed"] or verdict["reject-reason"] in ("txn-already-in-mempool", "txn-already-known"):
            return
        words = verdict["reject-reason"]
        if words == "non-final":
            raise Rejected("the chain's median time has not passed the timelock yet (non-final)")
        raise Rejected(f"the node would not take it: {words}")

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
