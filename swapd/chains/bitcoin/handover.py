"""Claims and refunds for keys that others hold: what they sign (PSBTs, BIP 174), and what they hand in, looked at.

What is handed out pays the leg's own address at today's fee; its owner may sign anything else instead. What comes back
is a whole transaction or a signed PSBT. Few wallets can put a witness for this script together, so that is done here:
it takes no key.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from bitcoin.core.script import SIGHASH_ALL

from swapd.chains.abilities import Submitted
from swapd.chains.base import Instructions, SignedTx, WatchedLeg
from swapd.chains.bitcoin import fees, transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.ahead import LARGEST_SHARE
from swapd.chains.bitcoin.blocks import btc
from swapd.chains.bitcoin.cooperate import Cooperation, open_coin, psbt_of
from swapd.chains.bitcoin.fees import Market
from swapd.chains.bitcoin.look import Coin
from swapd.chains.bitcoin.psbt import MAGIC, read_all
from swapd.chains.bitcoin.script import htlc_script, parse_pubkey, preimage_in
from swapd.chains.bitcoin.settings import FeeSettings, Network
from swapd.chains.bitcoin.transaction import (
    LARGEST_SIGNATURE,
    SEQUENCE,
    Spend,
    claim_witness_bytes,
    refund_witness_bytes,
    spend_vsize,
)
from swapd.chains.words import moment
from swapd.errors import Invalid
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.terms import LegTerms

PATIENCE_OF_OWNERS = 3600
"""Seconds for which the fee of what is handed out should do: whoever signs may be slow, and can not raise it."""

MOST_BYTES = 400_000
"""Of what is handed in. No node relays more than 100,000 virtual bytes."""


class Handover:
    """Needs no node: what it is told of coins and fees is true."""

    def __init__(self, network: Network, settings: FeeSettings, cooperation: Cooperation) -> None:
        self._network = network
        self._settings = settings
        self._cooperation = cooperation

    def claim(self, watched: WatchedLeg, coins: Sequence[Coin], market: Market, preimage: bytes | None) -> Instructions:
        """See `HandsOver.claim_for_owner`."""
        leg, hashlock = watched.leg, watched.leg.terms.hashlock
        if leg.claim_by_swapd:
            raise Invalid("receiver", leg.pay_to, "one with a key of its own: swapd claims this leg by itself")
        if preimage is not None and not opens(preimage, hashlock):
            raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
        coin = open_coin(watched, coins)
        payout = output_script(leg.pay_to, self._network, "pay_to")
        spend = self._spend(leg.terms, coin, payout, claim_witness_bytes(LARGEST_SIGNATURE), market)
        psbt = psbt_of(spend, preimage={hashlock: preimage} if preimage else None)
        without = "" if preimage else ", and put the preimage into it (PSBT_IN_SHA256)"
        return Instructions(
            f"With the key {leg.terms.receiver}, sign this transaction (BIP 174){without}. It pays {_left(spend)} BTC "
            f"to {leg.pay_to}, until the leg is refunded. Hand it in here, or put it together and send it.",
            {"key": leg.terms.receiver, "pay_to": leg.pay_to, **_fields(spend, psbt.encode())}
            | {"witness": "preimage, signature, script"},
        )

    def refund(self, watched: WatchedLeg, coins: Sequence[Coin], market: Market) -> Instructions:
        """See `HandsOver.refund_for_owner`."""
        leg = watched.leg
        if leg.refund_by_swapd:
            raise Invalid("sender", leg.refund_to, "one with a key of its own: swapd refunds this leg by itself")
        coin = open_coin(watched, coins)
        if watched.consent:
            agreed = self._cooperation.signatures(watched, coin, watched.consent)
            wanted = fees.wanted_rate(self._settings, market, PATIENCE_OF_OWNERS, yields=True)
            vsize = spend_vsize(refund_witness_bytes(LARGEST_SIGNATURE, LARGEST_SIGNATURE), agreed[0][0].payout)
            spend, consent = next((each for each in agreed if each[0].fee >= wanted * vsize), agreed[-1])
            key = parse_pubkey(leg.terms.receiver, "receiver")
            psbt, when = psbt_of(spend, {key: consent + bytes([SIGHASH_ALL])}), "at once"
            witness = "signature, key, signature of the receiver, script"
        else:
            payout = output_script(leg.refund_to, self._network, "refund_to")
            size = refund_witness_bytes(LARGEST_SIGNATURE)
            spend = self._spend(leg.terms, coin, payout, size, market, leg.terms.timelock)
            psbt = psbt_of(spend)
            when = f"once the median of the last eleven blocks' times is past {moment(leg.terms.timelock)}"
            witness = "signature, key, (empty), script"
        return Instructions(
            f"With the key {leg.terms.sender}, sign this transaction (BIP 174). It pays {_left(spend)} BTC back to "
            f"{leg.refund_to}, and is good {when}. Hand it in here, or put it together and send it.",
            {"key": leg.terms.sender, "refund_to": leg.refund_to, **_fields(spend, psbt.encode())}
            | {"witness": witness},
        )

    def submitted(self, watched: WatchedLeg, coins: Sequence[Coin], raw: bytes) -> Submitted:
        """See `HandsOver.check_signed`. Signatures and time are still for a node to judge."""
        terms, script = watched.leg.terms, htlc_script(watched.leg.terms)
        coin = open_coin(watched, coins)
        expected = f"a signed transaction, or PSBT, that spends {coin.outpoint} alone, by SIGHASH_ALL"
        if len(raw) > MOST_BYTES:
            raise Invalid("signed", f"{len(raw)} bytes", f"{expected}; at most {MOST_BYTES} bytes")
        whole = _put_together(terms, raw, expected) if raw.startswith(MAGIC) else raw
        try:
            tx = transaction.read(whole)
        except ValueError:
            raise Invalid("signed", f"{len(raw)} bytes", expected) from None
        if [item.outpoint for item in tx.inputs] != [coin.outpoint]:
            raise Invalid("signed", f"one that spends {', '.join(str(i.outpoint) for i in tx.inputs[:5])}", expected)
        witness = tx.inputs[0].witness
        claims = preimage_in(witness, script, terms.hashlock) is not None
        refunds = len(witness) == 4 and witness[3] == script
        signatures = [witness[1]] if claims else [each for each in (witness[0], witness[2]) if each] if refunds else []
        if not signatures or any(each[-1:] != bytes([SIGHASH_ALL]) for each in signatures):
            raise Invalid("signed", "a witness that is neither a claim's nor a refund's", expected)
        fee = coin.amount - sum(output.amount for output in tx.outputs)
        if fee <= 0:
            raise Invalid("signed", "one that pays out more than there is", expected)
        kind = EffectKind.CLAIM if claims else EffectKind.REFUND
        return Submitted(kind, SignedTx(tx.txid, whole, fee, fee // tx.vsize, spends=(str(coin.outpoint),)))

    def _spend(
        self, terms: LegTerms, coin: Coin, payout: bytes, witness: int, market: Market, locktime: int = 0
    ) -> Spend:
        vsize = spend_vsize(witness, payout)
        rate = fees.wanted_rate(self._settings, market, PATIENCE_OF_OWNERS, yields=True)
        most = min(coin.amount // LARGEST_SHARE, coin.amount - transaction.dust(payout))
        return Spend(coin.outpoint, coin.amount, htlc_script(terms), payout, min(rate * vsize, most), locktime)


def _put_together(terms: LegTerms, raw: bytes, expected: str) -> bytes:
    """The transaction in a PSBT with its witness: the one that it has, or that its signatures make."""
    try:
        psbts = read_all(raw)
    except ValueError:
        psbts = []
    if len(psbts) != 1 or len(psbts[0].inputs) != 1:
        raise Invalid("signed", f"{len(raw)} bytes", f"{expected}: one PSBT with one input")
    psbt, item = psbts[0], psbts[0].inputs[0]
    if item.final:
        return transaction.with_witness(psbt.unsigned, item.final)
    script = htlc_script(terms)
    claim_key, refund_key = parse_pubkey(terms.receiver, "receiver"), parse_pubkey(terms.sender, "sender")
    by_receiver, by_sender = item.signatures.get(claim_key, b""), item.signatures.get(refund_key, b"")
    if by_sender:
        return transaction.with_witness(psbt.unsigned, [by_sender, refund_key, by_receiver, script])
    preimage = item.preimages.get(terms.hashlock, b"")
    if by_receiver and opens(preimage, terms.hashlock):
        return transaction.with_witness(psbt.unsigned, [preimage, by_receiver, script])
    missing = "a preimage" if by_receiver else "a signature by either key"
    raise Invalid("signed", f"a PSBT without {missing} of this leg", expected)


def _fields(spend: Spend, psbt: bytes) -> dict[str, str]:
    return {
        "psbt": base64.b64encode(psbt).decode(),
        "outpoint": str(spend.outpoint),
        "amount_satoshi": str(spend.amount),
        "fee_satoshi": str(spend.fee),
        "script": spend.script.hex(),
        "locktime": str(spend.locktime),
        "sequence": f"0x{SEQUENCE:08x}",
    }


def _left(spend: Spend) -> str:
    return btc(spend.amount - spend.fee)
