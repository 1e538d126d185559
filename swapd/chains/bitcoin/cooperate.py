"""A leg given back before its timelock: sender and receiver both sign, and no secret is needed (see `script.py`).

The receiver's signature covers where the money goes and what is left of it, so it is asked for one at each of a few
fees: the dearer ones replace the cheaper (BIP 125) while the refund waits. Consent is these signed PSBTs, joined. They
pay the sender's refund address and nobody else, from one output; one that takes its place needs a new consent.

A receiver that gave an address has no key here: swapd's own signs for it, and does so for this only if the address's
owner has signed a message (BIP 322) that names the leg and where it goes. That is its consent then, to any output and
fee.

With a preimage the same signature opens the claim's way as well. So who has both could give the leg back by what is in
form a claim. That is seen as one, wherever it pays: it shows the secret, and rule S6 looks at nothing else. swapd never
makes one.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from bitcoin.core.script import SIGHASH_ALL
from coincurve import PublicKey

from swapd.chains.abilities import ConsentRequest
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import message, transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.ahead import LARGEST_SHARE, rungs
from swapd.chains.bitcoin.blocks import btc
from swapd.chains.bitcoin.look import Coin, the_leg
from swapd.chains.bitcoin.psbt import Psbt, PsbtInput, read_all
from swapd.chains.bitcoin.script import htlc_address, htlc_script, parse_pubkey
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.spending import Keys
from swapd.chains.bitcoin.transaction import LARGEST_SIGNATURE, Spend, refund_items, refund_witness_bytes, spend_vsize
from swapd.chains.words import moment
from swapd.errors import Invalid, Rejected
from swapd.protocol.terms import Wallet
from swapd.vault.derivation import KeyPurpose

STEP = 5
"""Between two fees that are asked for. Five lead from 1 to 500 sat/vB: a person signs each of them."""

MOST_BYTES = 200_000
"""Of a consent. A PSBT has some 400 as we make it; wallets may put a whole transaction of 100,000 beside."""


class Cooperation:
    """Needs no node: what it is told of coins is true."""

    def __init__(self, network: Network, settings: FeeSettings, keys: Keys) -> None:
        self._network = network
        self._settings = settings
        self._keys = keys

    # -- asked for and given ---------------------------------------------------------------------------------------

    def wanted(self, watched: WatchedLeg, coins: Sequence[Coin]) -> ConsentRequest:
        """See `Cooperates.consent_wanted`."""
        leg, key = watched.leg, parse_pubkey(watched.leg.terms.receiver, "receiver")
        coin = open_coin(watched, coins)
        if leg.claim_by_swapd:
            return self._asked_of_address(watched)
        spends = self._spends(watched, coin)
        fields = {"key": key.hex(), "outpoint": str(coin.outpoint), "refund_to": leg.refund_to}
        for number, spend in enumerate(spends, 1):
            fields[f"psbt_{number}"] = base64.b64encode(psbt_of(spend).encode()).decode()
            fields[f"fee_satoshi_{number}"] = str(spend.fee)
        return ConsentRequest(
            f"With the key {key.hex()}, sign these {len(spends)} transactions (BIP 174). Each lets the same "
            f"{btc(coin.amount)} BTC go back to {leg.refund_to} before {moment(leg.terms.timelock)}, for another fee; "
            "only one of them can be mined. Fewer will do, if one of those pays enough on the day that it is sent.",
            fields,
            answer="the signed PSBTs",
        )

    def _asked_of_address(self, watched: WatchedLeg) -> ConsentRequest:
        address, words = watched.leg.pay_to, self._message(watched)
        if not message.is_understood(output_script(address, self._network, "pay_to")):
            raise Invalid(
                "receiver", address, "an address of a kind whose owner can sign a message: P2WPKH, or P2TR with one key"
            )
        return ConsentRequest(
            f"With the wallet of {address}, sign this message (BIP 322), exactly as it stands: {words}",
            {"address": address, "message": words, "format": "BIP 322, simple", "refund_to": watched.leg.refund_to},
            answer="the signature",
        )

    def _message(self, watched: WatchedLeg) -> str:
        """The leg's address commits to all its terms but the amount, and no two legs have the same (S13)."""
        leg = watched.leg
        return (
            f"I give back {btc(leg.terms.amount)} BTC of {htlc_address(leg.terms, self._network)} to {leg.refund_to}, "
            f"swap {watched.swap_id}."
        )

    def own(self, watched: WatchedLeg, coins: Sequence[Coin]) -> bytes:
        """See `Cooperates.own_consent`."""
        leg = watched.leg
        key = self._keys.bitcoin_pubkey(watched.index, KeyPurpose.CLAIM)
        if leg.claimed_by is not Wallet.HOT or parse_pubkey(leg.terms.receiver, "receiver") != key:
            raise Invalid("consent", leg.terms.receiver, "a leg whose receiver is swapd's own wallet")
        found = b""
        for spend in self._spends(watched, open_coin(watched, coins)):
            found += psbt_of(spend, {key: self._signed(watched, spend) + bytes([SIGHASH_ALL])}).encode()
        return found

    def _signed(self, watched: WatchedLeg, spend: Spend) -> bytes:
        return self._keys.sign_bitcoin(watched.index, KeyPurpose.CLAIM, spend.sighash())

    # -- used ------------------------------------------------------------------------------------------------------

    def ladder(self, watched: WatchedLeg, coin: Coin) -> list[SignedTx]:
        """What the receiver signed, signed by the sender too, the cheapest first. Raises Rejected."""
        key = self._keys.bitcoin_pubkey(watched.index, KeyPurpose.REFUND)
        if parse_pubkey(watched.leg.terms.sender, "sender") != key:
            raise Rejected(f"swapd does not hold the key {watched.leg.terms.sender} that this refund needs")
        try:
            consents = self.signatures(watched, coin, watched.consent)
        except Invalid as error:
            raise Rejected(f"the receiver has to agree again: {error}") from None
        found = []
        for spend, consent in consents:
            signature = self._keys.sign_bitcoin(watched.index, KeyPurpose.REFUND, spend.sighash())
            raw = spend.with_witness(*refund_items(key, signature, consent))
            tx = transaction.read(raw)
            found.append(SignedTx(tx.txid, raw, spend.fee, spend.fee // tx.vsize, spends=(str(coin.outpoint),)))
        return found

    def signatures(self, watched: WatchedLeg, coin: Coin, consent: bytes) -> list[tuple[Spend, bytes]]:
        """Every transaction to which this consents, the cheapest first, with the receiver's signature (DER). Raises
        Invalid."""
        leg, terms = watched.leg, watched.leg.terms
        if leg.claim_by_swapd and leg.claimed_by is Wallet.EXTERNAL:
            if not message.is_signed(
                output_script(leg.pay_to, self._network, "pay_to"), self._message(watched), consent
            ):
                expected = f"the signature (BIP 322) of {leg.pay_to} under: {self._message(watched)}"
                raise Invalid("consent", f"{len(consent)} bytes", expected)
            return [(spend, self._signed(watched, spend)) for spend in self._spends(watched, coin)]
        key = parse_pubkey(terms.receiver, "receiver")
        expected = (
            f"PSBTs signed by {key.hex()} with SIGHASH_ALL, each spending {coin.outpoint} to {watched.leg.refund_to} "
            f"alone, as they were asked for"
        )
        try:
            given = read_all(consent) if len(consent) <= MOST_BYTES else []
        except ValueError:
            given = []
        if not given:
            raise Invalid("consent", f"{len(consent)} bytes", expected)
        found = []
        for psbt in given:
            spend = self._spend_in(watched, coin, psbt)
            if spend is None:
                raise Invalid("consent", f"the transaction {transaction.read(psbt.unsigned).txid}", expected)
            signature = psbt.inputs[0].signatures.get(key, b"")
            if signature[-1:] != bytes([SIGHASH_ALL]) or not _verifies(key, signature[:-1], spend.sighash()):
                raise Invalid("consent", f"no good signature for the fee of {spend.fee} satoshi", expected)
            found.append((spend, signature[:-1]))
        return sorted(found, key=lambda each: each[0].fee)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _spends(self, watched: WatchedLeg, coin: Coin) -> list[Spend]:
        """One for each fee, the cheapest first."""
        payout = self._payout(watched)
        vsize = spend_vsize(refund_witness_bytes(LARGEST_SIGNATURE, LARGEST_SIGNATURE), payout)
        most = min(self._settings.cap_rate, self._most(coin, payout) // vsize)
        fees = [rate * vsize for rate in rungs(self._settings.floor_rate, most, STEP)]
        if not fees:
            raise Rejected(f"{btc(coin.amount)} BTC do not pay for going back early")
        return [self._spend(watched, coin, fee) for fee in fees]

    def _spend_in(self, watched: WatchedLeg, coin: Coin, psbt: Psbt) -> Spend | None:
        """What this PSBT signs, if it is the leg's way back at a fee that leaves the most of it."""
        outputs = transaction.read(psbt.unsigned).outputs
        if len(psbt.inputs) != 1 or len(outputs) != 1:
            return None
        fee = coin.amount - outputs[0].amount
        if not 0 < fee <= self._most(coin, self._payout(watched)):
            return None
        spend = self._spend(watched, coin, fee)
        return spend if spend.unsigned() == psbt.unsigned else None

    def _spend(self, watched: WatchedLeg, coin: Coin, fee: int) -> Spend:
        return Spend(coin.outpoint, coin.amount, htlc_script(watched.leg.terms), self._payout(watched), fee)

    def _most(self, coin: Coin, payout: bytes) -> int:
        return min(coin.amount // LARGEST_SHARE, coin.amount - transaction.dust(payout))

    def _payout(self, watched: WatchedLeg) -> bytes:
        return output_script(watched.leg.refund_to, self._network, "refund_to")


def psbt_of(
    spend: Spend, signatures: dict[bytes, bytes] | None = None, preimage: dict[bytes, bytes] | None = None
) -> Psbt:
    """signatures: with sighash byte, by key. preimage: by its hash."""
    return Psbt(spend.unsigned(), (PsbtInput(spend.amount, spend.script, signatures or {}, preimage or {}),))


def open_coin(watched: WatchedLeg, coins: Sequence[Coin]) -> Coin:
    """The leg's output, in a block and spent in none. Raises Rejected."""
    coin = the_leg(coins, watched.leg.terms.amount)
    if coin is None or coin.depth == 0 or (coin.spend is not None and coin.spend.depth > 0):
        raise Rejected("the leg is not in a block, or not any more")
    return coin


def _verifies(key: bytes, signature: bytes, sighash: bytes) -> bool:
    try:
        return PublicKey(key).verify(signature, sighash, hasher=None)
    except ValueError:
        return False
