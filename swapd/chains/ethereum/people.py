"""What people give and get: addresses, limits, and how to fund a leg with a wallet of their own."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.chains.base import Instructions, Party
from swapd.chains.ethereum.address import checksummed
from swapd.chains.ethereum.erc20 import approve
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.words import in_units, moment
from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Leg, Wallet

_MOST = 2**128
"""Smallest units. Every real supply is far below, and sums of such amounts do not come near the 256 bits of a word."""


def party(htlc: Htlc, own: str, field: str, text: str | None) -> Party:
    """See `HtlcChain.party`: an address is all there is to a side, and anybody may send its claim and its refund."""
    address = own if text is None else checksummed(field, text)
    if address == htlc.address:
        raise Invalid(field, text, "the address of a person, not of the HTLC contract: money sent there is lost")
    return Party(identity=address, payout=address, by_swapd=True)


def check_terms(htlc: Htlc, own: str, assets: Mapping[str, Asset], leg: Leg) -> None:
    """See `HtlcChain.check_terms`."""
    terms = leg.terms
    if assets.get(terms.asset.symbol) != terms.asset:
        raise Invalid("asset", terms.asset.symbol, f"one of {', '.join(sorted(assets))}, as configured")
    if terms.amount >= _MOST:
        raise Invalid("amount", terms.amount, "a number of smallest units below 2^128")
    for field in ("sender", "receiver"):
        identity = getattr(terms, field)
        if party(htlc, own, field, identity).identity != identity:
            raise Invalid(field, identity, "an address with its EIP-55 checksum")
        if identity == terms.asset.token:
            raise Invalid(field, identity, "the address of a person, not of the token: money sent there is lost")
    if terms.sender == terms.receiver:
        raise Invalid("receiver", terms.receiver, "another address than the sender's")
    for field, payout, identity in (("pay_to", leg.pay_to, terms.receiver), ("refund_to", leg.refund_to, terms.sender)):
        if payout != identity:
            raise Invalid(field, payout, f"{identity}: the contract pays the very addresses in its terms")
    if leg.funded_by is Wallet.HOT and terms.sender != own:
        raise Invalid("sender", terms.sender, f"swapd's own address {own}, since swapd funds this leg")


def instructions(htlc: Htlc, leg: Leg) -> Instructions:
    """See `HtlcChain.instructions`. URIs: EIP-681, whose amounts are in wei."""
    terms, asset = HtlcTerms.of(leg.terms), leg.terms.asset
    lock, refund = htlc.lock(terms), htlc.refund(terms)
    amount = f"{in_units(terms.amount, asset.decimals)} {asset.symbol}"
    common = {
        "chain_id": str(htlc.chain_id),
        "from": terms.sender,
        "contract": htlc.address,
        "lock_id": htlc.id_of(terms),
        "amount": amount,
    }
    after = {
        "fund_by": str(terms.fund_by),
        "fund_by_utc": moment(terms.fund_by),
        "timelock": str(terms.timelock),
        "timelock_utc": moment(terms.timelock),
        "refund_calldata": "0x" + refund.data.hex(),
        "way_back": (
            f"from {moment(terms.timelock)} on, if nobody has claimed it, a transaction by anybody to {htlc.address} "
            "with value 0 and the refund calldata sends it back; swapd sends it by itself"
        ),
    }
    call = {"calldata": "0x" + lock.data.hex(), "value_wei": str(lock.value), "value_eth": in_units(lock.value, 18)}
    hashlock, words = "0x" + terms.hashlock.hex(), "0x" + terms.receiver_and_times.hex()
    if not terms.is_token:
        uri = f"{_uri(htlc, htlc.address, 'lockEther')}?bytes32={hashlock}&bytes32={words}&value={terms.amount}"
        return Instructions(
            f"Send {amount} from {terms.sender} to the contract {htlc.address} on chain {htlc.chain_id} with this "
            f"calldata, so that it is mined by {moment(terms.fund_by)}. Only a call from this very address counts.",
            {**common, "function": "lockEther", **call, "uri": uri, **after},
        )
    approval = approve(terms.token, htlc.address, terms.amount)
    approve_uri = f"{_uri(htlc, terms.token, 'approve')}?address={htlc.address}&uint256={terms.amount}"
    uri = (
        f"{_uri(htlc, htlc.address, 'lockErc20')}?bytes32={hashlock}&address={terms.token}"
        f"&uint256={terms.amount}&bytes32={words}"
    )
    return Instructions(
        f"From {terms.sender} on chain {htlc.chain_id}: first call the token {terms.token} with the approve calldata, "
        f"then the contract {htlc.address} with the calldata, which takes {amount}; so that both are mined by "
        f"{moment(terms.fund_by)}. Only calls from this very address count.",
        {
            **common,
            "token": terms.token,
            "approve_calldata": "0x" + approval.data.hex(),
            "approve_uri": approve_uri,
            "function": "lockErc20",
            **call,
            "uri": uri,
            **after,
        },
    )


def _uri(htlc: Htlc, address: str, function: str) -> str:
    return f"ethereum:{address}@{htlc.chain_id}/{function}"
