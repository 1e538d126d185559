"""Claims and refunds signed in advance, for a watchtower that has no key: how they are made, and which one is sent.

Nobody there can sign, so the fee schedule of `fees.py` has to be walked on a ladder: the same spend at a rate, at twice
that rate, and so on, each of which replaces the one before (BIP 125). A claim is signed without its preimage: BIP 143
signs the script and the outputs, and not the witness, so that it is filled in when the secret is public.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitcoin.core.serialize import SerializationError
from coincurve import PublicKey

from swapd.chains.abilities import Prepared
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees, transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.blocks import absent, satoshi
from swapd.chains.bitcoin.fees import Market, Rival
from swapd.chains.bitcoin.look import Coin, the_leg
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script, parse_pubkey
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.spending import OUR_SIGNATURE, Keys
from swapd.chains.bitcoin.transaction import Spend, claim_witness_bytes, refund_witness_bytes, spend_vsize
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import LENGTH, opens
from swapd.vault.derivation import KeyPurpose

HOLE = bytes(LENGTH)
"""Where a preimage goes. No hashlock is opened by it: somebody would have to know the preimage of its SHA-256."""

STEP = 2
"""Between two rungs. Ten of them lead from 1 to 1000 sat/vB, and none pays more than twice what was asked for."""

LARGEST_SHARE = 2
"""The highest rung leaves one part in so many of the amount. Whoever gets hold of a packet can send the highest, so it
must not burn everything; and what is above half of the amount is hardly worth a fight."""

MOST_STRAYS = 3
"""Refunds are prepared for so many coins beside the leg, the largest first: anybody can pay dust to an address."""


class Ahead:
    def __init__(self, rpc: Rpc, network: Network, settings: FeeSettings, keys: Keys) -> None:
        self._rpc = rpc
        self._network = network
        self._settings = settings
        self._keys = keys

    # -- made, where the keys are ----------------------------------------------------------------------------------

    def prepare(self, watched: WatchedLeg, coins: Sequence[Coin]) -> list[Prepared]:
        """See `SignsAhead.prepare`. The signatures follow from key and transaction (RFC 6979): done again, the result
        is the same."""
        leg, coin = watched.leg, the_leg(coins, watched.leg.terms.amount)
        found: list[Prepared] = []
        if coin is not None and leg.claim_by_swapd:
            found += self._ladder(EffectKind.CLAIM, watched, coin)
        if leg.refund_by_swapd:
            strays = sorted((each for each in coins if each is not coin and each.depth), key=lambda each: -each.amount)
            for each in [*([coin] if coin else []), *strays[:MOST_STRAYS]]:
                found += self._ladder(EffectKind.REFUND, watched, each)
        return found

    def _ladder(self, kind: EffectKind, watched: WatchedLeg, coin: Coin) -> list[Prepared]:
        claims = kind is EffectKind.CLAIM
        vsize = self._vsize(kind, watched)
        dust = transaction.dust(self._payout(kind, watched))
        most = min(coin.amount // LARGEST_SHARE, coin.amount - dust) // vsize
        purpose = KeyPurpose.CLAIM if claims else KeyPurpose.REFUND
        key = self._keys.bitcoin_pubkey(watched.index, purpose)
        if _key_of(kind, watched) != key:
            raise Rejected(f"swapd does not hold the key that this {kind.value} needs")

        def sign(sighash: bytes) -> bytes:
            return self._keys.sign_bitcoin(watched.index, purpose, sighash)

        made = []
        for rate in rungs(self._settings.floor_rate, most):
            spend = self._spend(kind, watched, coin, rate * vsize)
            raw = transaction.claim(spend, HOLE, sign) if claims else transaction.refund(spend, key, sign)
            tx = SignedTx(transaction.read(raw).txid, raw, rate * vsize, rate, spends=(str(coin.outpoint),))
            made.append(Prepared(kind, str(coin.outpoint), tx))
        return made

    # -- chosen, where no key is -----------------------------------------------------------------------------------

    async def pick(
        self,
        effect: Effect,
        watched: WatchedLeg,
        coins: Sequence[Coin],
        prepared: Sequence[Prepared],
        preimage: bytes | None,
        market: Market,
        seconds_left: int,
    ) -> SignedTx | None:
        """See `SignsAhead.pick`."""
        coin = unspent(effect, watched, coins)
        ladder = self._ladder_for(effect.kind, watched, coin, prepared)
        chosen = await self.choose(effect.kind, coin, ladder, market, seconds_left)
        if chosen is None:
            return None
        return _filled(chosen, watched, preimage) if effect.kind is EffectKind.CLAIM else chosen

    async def choose(
        self, kind: EffectKind, coin: Coin, ladder: Sequence[SignedTx], market: Market, seconds_left: int
    ) -> SignedTx | None:
        """Of a ladder, cheapest first: the lowest rung that pays what is right now and outbids what is pending, else
        the highest. None while what is pending does the same and is good enough, or nothing better was signed."""
        rival = await self._rival(coin)
        alike = coin.spend is not None and (coin.spend.preimage is not None) is (kind is EffectKind.CLAIM)
        if (
            rival is not None
            and alike
            and fees.good_enough(self._settings, market, rival.rate, seconds_left, yields=True)
        ):
            return None  # it pays whom ours would pay
        wanted = fees.wanted_rate(self._settings, market, seconds_left, yields=True)
        able = [tx for tx in ladder if tx.rate >= market.minimum and (rival is None or _outbids(tx, rival, market))]
        if not able:
            if alike:
                return None  # nothing better was signed: what is out there stays
            asked = f"outbids {rival.fee} satoshi" if rival else f"pays the {market.minimum} sat/vB that are asked"
            raise Rejected(f"of what was signed ahead, up to {ladder[-1].rate} sat/vB, nothing {asked}")
        return next((tx for tx in able if tx.rate >= wanted), able[-1])

    def _ladder_for(
        self, kind: EffectKind, watched: WatchedLeg, coin: Coin, prepared: Sequence[Prepared]
    ) -> list[SignedTx]:
        """What is there for this coin and is right, the cheapest first."""
        ref = str(coin.outpoint)
        fitting = [each.tx for each in prepared if each.kind is kind and each.ref == ref]
        right = [tx for tx in fitting if self._is_right(kind, watched, coin, tx)]
        if not right:
            others = sorted({each.ref for each in prepared if each.kind is kind})
            what = f"{len(fitting)} that do not fit the terms" if fitting else f"only for {', '.join(others) or 'none'}"
            raise Rejected(f"no {kind.value} of {ref} was signed ahead ({what}): this takes a newer packet")
        return sorted(right, key=lambda tx: tx.rate)

    def _is_right(self, kind: EffectKind, watched: WatchedLeg, coin: Coin, tx: SignedTx) -> bool:
        """Whether the bytes are what the terms make of this coin at this fee, with a signature that holds."""
        claims = kind is EffectKind.CLAIM
        try:
            witness = transaction.read(tx.raw).inputs[0].witness
            spend = self._spend(kind, watched, coin, tx.fee)
            signature = witness[1 if claims else 0]
            key = PublicKey(_key_of(kind, watched))
            return (
                spend.with_witness(*witness[:-1]) == tx.raw
                and tx.fee == tx.rate * self._vsize(kind, watched)
                and key.verify(signature[:-1], spend.sighash(), hasher=None)
            )
        except (ValueError, IndexError, OverflowError, SerializationError):
            return False

    async def _rival(self, coin: Coin) -> Rival | None:
        """What spends the coin in the mempool, with everything that hangs on it."""
        if coin.spend is None:
            return None
        entry = (await self._rpc.batch([Call("getmempoolentry", (coin.spend.txid,))]))[0]
        if absent(entry):
            return None  # it left meanwhile
        own = satoshi(entry["fees"]["modified"])
        return Rival(satoshi(entry["fees"]["descendant"]), -(-own // int(entry["vsize"])))

    # -- both ------------------------------------------------------------------------------------------------------

    def _payout(self, kind: EffectKind, watched: WatchedLeg) -> bytes:
        claims = kind is EffectKind.CLAIM
        text, field = (watched.leg.pay_to, "pay_to") if claims else (watched.leg.refund_to, "refund_to")
        return output_script(text, self._network, field)

    def _vsize(self, kind: EffectKind, watched: WatchedLeg) -> int:
        claims = kind is EffectKind.CLAIM
        witness = claim_witness_bytes(OUR_SIGNATURE) if claims else refund_witness_bytes(OUR_SIGNATURE)
        return spend_vsize(witness, self._payout(kind, watched))

    def _spend(self, kind: EffectKind, watched: WatchedLeg, coin: Coin, fee: int) -> Spend:
        terms = watched.leg.terms
        locktime = 0 if kind is EffectKind.CLAIM else terms.timelock
        return Spend(coin.outpoint, coin.amount, htlc_script(terms), self._payout(kind, watched), fee, locktime)


def rungs(lowest: int, highest: int, step: int = STEP) -> list[int]:
    """Rates (sat/vB) from the lowest to the highest, each about `step` times the one before; none if they cross."""
    if lowest > highest:
        return []
    rates = [lowest]
    while rates[-1] * step < highest:
        rates.append(rates[-1] * step)
    return rates if rates[-1] == highest else [*rates, highest]


def _key_of(kind: EffectKind, watched: WatchedLeg) -> bytes:
    terms = watched.leg.terms
    if kind is EffectKind.CLAIM:
        return parse_pubkey(terms.receiver, "receiver")
    return parse_pubkey(terms.sender, "sender")


def unspent(effect: Effect, watched: WatchedLeg, coins: Sequence[Coin]) -> Coin:
    """That the effect is about, in a block and spent in none."""
    leg = the_leg(coins, watched.leg.terms.amount)
    coin = leg if effect.stray is None else next((c for c in coins if str(c.outpoint) == effect.stray), None)
    if coin is None or coin.depth == 0 or (coin.spend is not None and coin.spend.depth > 0):
        raise Rejected(f"there is nothing to {effect.kind.value} any more, or not yet")
    return coin


def _outbids(tx: SignedTx, rival: Rival, market: Market) -> bool:
    """BIP 125, rules 3 and 4, and Bitcoin Core's own: the rate must rise too."""
    vsize = tx.fee // tx.rate
    return tx.fee >= rival.fee + market.increment * vsize and tx.rate > rival.rate


def _filled(tx: SignedTx, watched: WatchedLeg, preimage: bytes | None) -> SignedTx:
    """The claim with its preimage. The txid stays: it does not cover witnesses (BIP 141)."""
    if preimage is None or not opens(preimage, watched.leg.terms.hashlock):
        raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
    _, *rest = transaction.read(tx.raw).inputs[0].witness
    return SignedTx(tx.txid, transaction.with_witness(tx.raw, [preimage, *rest]), tx.fee, tx.rate, spends=tx.spends)
