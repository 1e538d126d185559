"""A lock given back before its timelock: the receiver's owner calls `refundSwap`, which nobody else may so early.

There is nothing to sign ahead: the call is the consent, and it pays the lock's own sender. What swapd writes down as
its own consent is its principal, so that no refund which comes too early by mistake is taken for one.
"""

from __future__ import annotations

from swapd.chains.abilities import ConsentRequest
from swapd.chains.icp.candid.textual import as_text
from swapd.chains.icp.candid.types import Blob
from swapd.chains.icp.canister import REFUND, SwapCanister
from swapd.chains.icp.escrow import EscrowTerms
from swapd.chains.icp.principal import text
from swapd.chains.words import in_units, moment
from swapd.errors import Invalid
from swapd.protocol.terms import Leg, Wallet


def wanted(canister: SwapCanister, leg: Leg) -> ConsentRequest:
    """See `Cooperates.consent_wanted`."""
    terms, asset = EscrowTerms.of(leg.terms), leg.terms.asset
    swap_id, caller = canister.escrow.id_of(terms), text(terms.receiver.owner)
    return ConsentRequest(
        f"As {caller}: call {REFUND} of the canister {text(canister.principal)} with this argument. It sends "
        f"{in_units(terms.amount, asset.decimals)} {asset.symbol} back to {terms.sender.text} at once, also before "
        f"{moment(leg.terms.timelock)}. Nothing else is needed.",
        {
            "caller": caller,
            "canister": text(canister.principal),
            "method": REFUND,
            "candid": as_text(Blob, swap_id),
            "hex": canister.by_id(swap_id).hex(),
            "swap_id": swap_id.hex(),
        },
        answer="",
    )


def check(own: bytes, leg: Leg, consent: bytes) -> None:
    """See `Cooperates.check_consent`. own: swapd's principal."""
    receiver = EscrowTerms.of(leg.terms).receiver.owner
    if receiver != own or consent != own:
        raise Invalid("consent", f"{len(consent)} bytes", f"none: {text(receiver)} calls {REFUND} itself")


def own_consent(own: bytes, leg: Leg) -> bytes:
    """See `Cooperates.own_consent`."""
    if leg.claimed_by is not Wallet.HOT or EscrowTerms.of(leg.terms).receiver.owner != own:
        raise Invalid("consent", leg.terms.receiver, "a leg whose receiver is swapd's own wallet")
    return own
