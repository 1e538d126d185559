"""What people give and get: accounts, limits, and how to fund a leg with a wallet of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swapd.chains.base import Instructions, Party
from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.textual import as_text
from swapd.chains.icp.candid.types import Blob
from swapd.chains.icp.canister import INITIATE, REFUND, SwapCanister
from swapd.chains.icp.escrow import EscrowTerms
from swapd.chains.icp.ledger import APPROVE
from swapd.chains.icp.principal import ANONYMOUS, MANAGEMENT_CANISTER, Account, parse_account, text
from swapd.chains.words import in_units, moment
from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Leg, Wallet

_MOST = 2**128
"""Smallest units. Every real supply is far below."""


def party(canister: bytes, own: Account, field: str, given: str | None) -> Party:
    """See `HtlcChain.party`: an account is all there is to a side, and anybody may ask for its claim and its refund."""
    account = own if given is None else parse_account(field, given)
    if account.owner == canister:
        raise Invalid(field, given, "the account of a person, not of the swap canister: money sent there is lost")
    if account.owner in (ANONYMOUS, MANAGEMENT_CANISTER):
        raise Invalid(field, given, "an account that somebody owns")
    return Party(identity=account.text, payout=account.text, by_swapd=True)


def check_terms(canister: bytes, own: Account, assets: Mapping[str, Asset], leg: Leg) -> None:
    """See `HtlcChain.check_terms`."""
    terms = leg.terms
    if assets.get(terms.asset.symbol) != terms.asset:
        raise Invalid("asset", terms.asset.symbol, f"one of {', '.join(sorted(assets))}, as configured")
    if terms.amount >= _MOST:
        raise Invalid("amount", terms.amount, "a number of smallest units below 2^128")
    for field in ("sender", "receiver"):
        identity = getattr(terms, field)
        side = party(canister, own, field, identity)
        if side.identity == terms.asset.token:
            raise Invalid(field, identity, "the account of a person, not of the ledger: money sent there is lost")
    if terms.sender == terms.receiver:
        raise Invalid("receiver", terms.receiver, "another account than the sender's")
    for field, payout, identity in (("pay_to", leg.pay_to, terms.receiver), ("refund_to", leg.refund_to, terms.sender)):
        if payout != identity:
            raise Invalid(field, payout, f"{identity}: the canister pays the very accounts in its terms")
    if leg.funded_by is Wallet.HOT and terms.sender != own.text:
        raise Invalid("sender", terms.sender, f"swapd's own account {own.text}, since swapd funds this leg")


def instructions(canister: SwapCanister, fee: int, leg: Leg) -> Instructions:
    """See `HtlcChain.instructions`. Arguments are Candid, as text for people and tools, and in hex as they go out."""
    terms, asset = EscrowTerms.of(leg.terms), leg.terms.asset
    swap_id = canister.escrow.id_of(terms)
    approve, initiate = approve_args(canister, terms, fee), canister.initiate_args(terms, fee)
    amount = f"{in_units(terms.amount, asset.decimals)} {asset.symbol}"
    fund_by, timelock = leg.terms.fund_by, leg.terms.timelock
    return Instructions(
        f"As {text(terms.sender.owner)}: first call {APPROVE} of the ledger {asset.token} with the first argument, "
        f"then {INITIATE} of the canister {text(canister.principal)} with the second, which takes {amount} and fees; "
        f"both by {moment(fund_by)}. Only calls of this very principal count.",
        {
            "from": terms.sender.text,
            "amount": amount,
            "ledger": asset.token,
            "needed": in_units(terms.amount + 3 * fee, asset.decimals) + f" {asset.symbol}, three ledger fees included",
            "approve_method": APPROVE,
            "approve_candid": as_text(interface.ApproveArgs, approve),
            "approve_hex": candid.encode(interface.ApproveArgs, approve).hex(),
            "canister": text(canister.principal),
            "method": INITIATE,
            "candid": as_text(interface.InitiateArgs, initiate),
            "hex": candid.encode(interface.InitiateArgs, initiate).hex(),
            "swap_id": swap_id.hex(),
            "fund_by": str(fund_by),
            "fund_by_utc": moment(fund_by),
            "timelock": str(timelock),
            "timelock_utc": moment(timelock),
            "way_back": (
                f"from {moment(timelock)} on, if nobody has claimed it, the canister sends it back by itself; a call "
                f"by anybody to {REFUND} with {as_text(Blob, swap_id)} does it at once"
            ),
        },
    )


def approve_args(canister: SwapCanister, terms: EscrowTerms, fee: int) -> dict[str, Any]:
    """Good at any time before the leg must be funded, so without the moment of its making."""
    return canister.approve_args(terms, fee, 0) | {"created_at_time": None}
