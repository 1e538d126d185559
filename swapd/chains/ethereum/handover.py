"""Claims and refunds by other people's wallets: what they send, and whether what they have signed is that.

Anybody may send either, from any account, and only the leg's own receiver or sender is paid. So no certain key has to
sign; whoever does pays for the gas.
"""

from __future__ import annotations

import hashlib

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from swapd.chains.abilities import Submitted
from swapd.chains.base import Instructions, SignedTx, WatchedLeg
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.ethereum.nodes import Nodes
from swapd.chains.ethereum.rpc import Refusal
from swapd.chains.ethereum.transactions import Attempt, Call, attempt_of
from swapd.chains.words import moment
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import LENGTH, opens

_SELECTOR_BYTES = 4

MOST_BYTES = 16_384
"""Of a transaction: a refund by consent with the longest signature has 5,000."""


def claim(htlc: Htlc, leg: WatchedLeg, preimage: bytes | None) -> Instructions:
    """See `HandsOver.claim_for_owner`."""
    terms = HtlcTerms.of(leg.leg.terms)
    if preimage is not None and not opens(preimage, terms.hashlock):
        raise Invalid("preimage", "one that does not fit", "the 32 bytes whose SHA-256 is the hashlock")
    call = htlc.claim(terms, preimage or bytes(LENGTH))
    hole = {} if preimage else {"preimage_at": f"bytes {_SELECTOR_BYTES} to {_SELECTOR_BYTES + LENGTH} of the calldata"}
    words = "" if preimage else ", with the preimage in the place of its first 32 zero bytes"
    return Instructions(
        f"From any account: call {htlc.address} on chain {htlc.chain_id} with value 0 and this calldata{words}. It "
        f"pays {terms.receiver}, and is good until the leg was refunded.",
        {**_fields(htlc, terms, "claim", call), **hole},
    )


def refund(htlc: Htlc, leg: WatchedLeg) -> Instructions:
    """See `HandsOver.refund_for_owner`."""
    terms = HtlcTerms.of(leg.leg.terms)
    if leg.consent:
        call, function, when = htlc.cooperative_refund(terms, leg.consent), "cooperativeRefund", "at once"
    else:
        call, function, when = htlc.refund(terms), "refund", f"from {moment(terms.timelock)} on"
    return Instructions(
        f"From any account, {when}: call {htlc.address} on chain {htlc.chain_id} with value 0 and this calldata. It "
        f"pays {terms.sender}.",
        {**_fields(htlc, terms, function, call), "timelock": str(terms.timelock)},
    )


def _fields(htlc: Htlc, terms: HtlcTerms, function: str, call: Call) -> dict[str, str]:
    return {
        "chain_id": str(htlc.chain_id),
        "contract": call.to,
        "lock_id": htlc.id_of(terms),
        "function": function,
        "value_wei": str(call.value),
        "calldata": "0x" + call.data.hex(),
    }


async def check(nodes: Nodes, htlc: Htlc, leg: WatchedLeg, raw: bytes) -> Submitted:
    """See `HandsOver.check_signed`. Last of all a node is asked whether the contract would do it: with a claim that
    shows the node its secret, which comes from outside and is on its way to everybody."""
    found = submitted(htlc, leg, raw)
    try:
        await nodes.returned(attempt_of(found.tx).call)
    except Refusal as refusal:
        reason = htlc.reason(refusal.data) if refusal.data else None
        raise Rejected(f"it would be reverted: {reason or refusal}") from None
    return found


def submitted(htlc: Htlc, leg: WatchedLeg, raw: bytes) -> Submitted:
    """What these bytes are, without asking anybody. Raises Invalid."""
    expected = f"a signed EIP-1559 transaction to chain {htlc.chain_id}"
    try:
        if len(raw) > MOST_BYTES:
            raise ValueError
        chain_id = int.from_bytes(rlp.decode(raw[1:])[0])
        txid = "0x" + keccak(raw).hex()
        attempt = attempt_of(SignedTx(txid, raw, 0, 0))
        Account.recover_transaction(raw)  # that it is whole, and signed
    except (Invalid, BadSignature, ValidationError, TypeError, ValueError, IndexError, rlp.exceptions.DecodingError):
        raise Invalid("signed", f"{len(raw)} bytes", expected) from None
    if chain_id != htlc.chain_id:
        raise Invalid("signed", f"one for chain {chain_id}", expected)
    kind = _kind_of(htlc, HtlcTerms.of(leg.leg.terms), attempt)
    fees = attempt.fees
    return Submitted(kind, SignedTx(txid, raw, attempt.gas * fees.max_fee, fees.max_fee))


def _kind_of(htlc: Htlc, terms: HtlcTerms, attempt: Attempt) -> EffectKind:
    call = attempt.call
    if call == htlc.refund(terms):
        return EffectKind.REFUND
    called = htlc.called(call) if call.value == 0 else None
    if called is not None:
        name, arguments = called
        if name == "claim":
            preimage = arguments[0][0]
            if hashlib.sha256(preimage).digest() == terms.hashlock and call == htlc.claim(terms, preimage):
                return EffectKind.CLAIM
        if name == "cooperativeRefund" and call == htlc.cooperative_refund(terms, arguments[1]):
            return EffectKind.REFUND
    what = f"a call of {called[0]} with other terms" if called else "another call"
    raise Invalid("signed", what, f"claim, refund or cooperativeRefund of {htlc.address} with exactly this leg's terms")
