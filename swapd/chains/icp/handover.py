"""Claims and refunds by other people's identities: what they call, and whether a call that they have signed is that.

Anybody may call either, a claim with the preimage and a refund from the timelock on. Only the lock's own receiver or
sender is paid.
"""

from __future__ import annotations

from swapd.chains.abilities import Submitted
from swapd.chains.base import Instructions, SignedTx
from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.textual import as_text
from swapd.chains.icp.candid.types import Blob
from swapd.chains.icp.canister import COMPLETE, REFUND, SwapCanister
from swapd.chains.icp.envelope import read_call
from swapd.chains.icp.escrow import NANOSECONDS, EscrowTerms
from swapd.chains.icp.principal import text
from swapd.chains.words import moment
from swapd.errors import Invalid, Rejected, Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import LENGTH, opens
from swapd.protocol.terms import Leg

MOST_BYTES = 16_384
"""Of a signed call. Ours have 400; those of Internet Identity carry delegations, and a webauthn signature."""


def claim(canister: SwapCanister, leg: Leg, preimage: bytes | None) -> Instructions:
    """See `HandsOver.claim_for_owner`."""
    terms = EscrowTerms.of(leg.terms)
    if preimage is not None and not opens(preimage, terms.hashlock):
        raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
    swap_id, secret = canister.escrow.id_of(terms), preimage or bytes(LENGTH)
    arg = canister.complete(swap_id, secret)
    at = arg.index(secret)
    hole = {} if preimage else {"preimage_at": f"bytes {at} to {at + LENGTH} of the argument"}
    words = "" if preimage else ", with the preimage in the place of the 32 zero bytes"
    return Instructions(
        f"As anybody: call {COMPLETE} of the canister {text(canister.principal)} with this argument{words}. It pays "
        f"{terms.receiver.text}, until the lock is refunded.",
        {
            "canister": text(canister.principal),
            "method": COMPLETE,
            "candid": as_text(interface.CompleteArgs, {"id": swap_id, "secret": secret}),
            "hex": arg.hex(),
            "swap_id": swap_id.hex(),
            **hole,
        },
    )


def refund(canister: SwapCanister, leg: Leg) -> Instructions:
    """See `HandsOver.refund_for_owner`."""
    terms = EscrowTerms.of(leg.terms)
    swap_id = canister.escrow.id_of(terms)
    return Instructions(
        f"From {moment(leg.terms.timelock)} on, as anybody, and before as {text(terms.receiver.owner)}: call {REFUND} "
        f"of the canister {text(canister.principal)} with this argument. It pays {terms.sender.text}.",
        {
            "canister": text(canister.principal),
            "method": REFUND,
            "candid": as_text(Blob, swap_id),
            "hex": canister.by_id(swap_id).hex(),
            "swap_id": swap_id.hex(),
            "timelock": str(leg.terms.timelock),
        },
    )


def submitted(canister: SwapCanister, leg: Leg, raw: bytes, now_ns: int) -> Submitted:
    """See `HandsOver.check_signed`. The signature is for the network to judge. now_ns: nanoseconds since 1970."""
    terms = EscrowTerms.of(leg.terms)
    swap_id = canister.escrow.id_of(terms)
    expected = (
        f"a signed call of {COMPLETE} with its secret, or of {REFUND}, of the canister {text(canister.principal)} for "
        f"{swap_id.hex()}"
    )
    if len(raw) > MOST_BYTES:
        raise Invalid("signed", f"{len(raw)} bytes", expected)
    try:
        call = read_call(raw)
        if call.canister_id == canister.principal and call.method == COMPLETE:
            given = candid.decode(interface.CompleteArgs, call.arg)
            is_it, kind = given["id"] == swap_id and opens(given["secret"], terms.hashlock), EffectKind.CLAIM
        elif call.canister_id == canister.principal and call.method == REFUND:
            is_it, kind = candid.decode(Blob, call.arg) == swap_id, EffectKind.REFUND
        else:
            raise Invalid("signed", "another call", expected)
    except Unavailable:  # what a stranger wrote is no Candid
        is_it = False
    except Invalid as error:
        raise Invalid("signed", error.value, expected) from None
    if not is_it:
        raise Invalid("signed", f"another argument of {call.method}", expected)
    if call.ingress_expiry_ns <= now_ns:
        raise Rejected(f"the call was to be sent by {moment(call.ingress_expiry_ns // NANOSECONDS)}: sign a new one")
    return Submitted(kind, SignedTx(call.request_id.hex(), raw, 0, 0))
