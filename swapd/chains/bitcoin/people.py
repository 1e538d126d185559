"""What people give and get: identities and addresses in, instructions out."""

from __future__ import annotations

from datetime import UTC, datetime

from swapd.chains.base import Instructions, Party
from swapd.chains.bitcoin.address import output_script, witness_address
from swapd.chains.bitcoin.blocks import btc
from swapd.chains.bitcoin.script import hash160, htlc_address, htlc_script, looks_like_pubkey, parse_pubkey
from swapd.chains.bitcoin.settings import Network
from swapd.chains.bitcoin.transaction import (
    LARGEST_SIGNATURE,
    claim_witness_bytes,
    refund_witness_bytes,
    worth_spending,
)
from swapd.errors import Invalid
from swapd.protocol.terms import Leg, swap_id_of

MEDIAN_LAG_SECONDS = 3600
"""Median-time-past is the time of the block six back, an hour at ten minutes a block (BIP 113)."""


def party(field: str, text: str, own_key: bytes, network: Network) -> Party:
    """One side of a leg from what a person gave:

    an address: swapd's own per-swap key signs, and pays out there;
    a public key, or `key:address`: its owner signs; paid out to the address, or to the key's own (P2WPKH).
    """
    key_text, separator, address = text.partition(":")
    if not separator and not looks_like_pubkey(text):
        output_script(text, network, field)
        return Party(own_key.hex(), text, by_swapd=True)
    key = parse_pubkey(key_text, field)
    if separator:
        output_script(address, network, field)
    return Party(key.hex(), address or witness_address(hash160(key), network), by_swapd=False)


def check_leg(leg: Leg, network: Network, floor_rate: int) -> None:
    """Raise Invalid for a leg that no script can hold, or that could not pay for its own way out."""
    terms = leg.terms
    htlc_script(terms)
    for field in ("sender", "receiver"):
        identity = getattr(terms, field)
        if identity != identity.lower():
            raise Invalid(field, identity, "lower case hex digits")
    if terms.sender == terms.receiver:
        raise Invalid("receiver", terms.receiver, "a key other than the sender's")
    ways = (
        ("pay_to", leg.pay_to, claim_witness_bytes(LARGEST_SIGNATURE)),
        ("refund_to", leg.refund_to, refund_witness_bytes(LARGEST_SIGNATURE)),
    )
    for field, address, witness in ways:
        payout = output_script(address, network, field)
        least = worth_spending(witness, payout, floor_rate)
        if terms.amount < least:
            raise Invalid("amount", terms.amount, f"at least {least} satoshi, or spending it leaves only dust")


def least_refund(leg: Leg, network: Network, floor_rate: int) -> int:
    """What must be in an output to the leg's script for its refund to leave more than dust (satoshi)."""
    payout = output_script(leg.refund_to, network, "refund_to")
    return worth_spending(refund_witness_bytes(LARGEST_SIGNATURE), payout, floor_rate)


def instructions(leg: Leg, network: Network) -> Instructions:
    terms = leg.terms
    address, amount, label = htlc_address(terms, network), btc(terms.amount), f"swap-{swap_id_of(terms.hashlock)}"
    refund_from = terms.timelock + MEDIAN_LAG_SECONDS
    if leg.refund_by_swapd:
        way_back = f"swapd sends it to {leg.refund_to} as soon as the chain allows"
    else:
        way_back = (
            f"the owner of {terms.sender} spends it: nLockTime {terms.timelock}, nSequence 0xfffffffd, witness "
            "[signature, refund key, empty, script]"
        )
    return Instructions(
        summary=(
            f"Send exactly {amount} BTC in one payment to {address} before {_utc(terms.fund_by)}. Another amount, or a "
            f"second payment, is not counted and can only go back after the timelock. If the swap does not complete: "
            f"{way_back}. The timelock is {_utc(terms.timelock)}; Bitcoin counts by the median time of its blocks, "
            f"so a refund becomes possible about an hour later, around {_utc(refund_from)}."
        ),
        fields={
            "address": address,
            "amount": amount,
            "amount_satoshi": str(terms.amount),
            "uri": f"bitcoin:{address}?amount={_short(amount)}&label={label}",
            "fund_by": _utc(terms.fund_by),
            "timelock": _utc(terms.timelock),
            "refund_from_about": _utc(refund_from),
            "way_back": way_back,
            "script": htlc_script(terms).hex(),
        },
    )


def _short(amount: str) -> str:
    """Without zeros at the end, as BIP 21 examples have it."""
    return amount.rstrip("0").rstrip(".")


def _utc(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
