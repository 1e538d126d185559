"""The receiver's word to give a lock back before its timelock: a signature of EIP-712 that the contract checks.

It binds chain, contract and all terms (S13), and needs no nonce, since the same terms are locked once only. Whoever has
it may send the refund, and nobody but the lock's own sender is paid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from swapd.chains.abilities import ConsentRequest
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.ethereum.nodes import Nodes
from swapd.chains.ethereum.rpc import Refusal
from swapd.chains.ethereum.transactions import Signer
from swapd.chains.words import in_units, moment
from swapd.errors import Invalid
from swapd.protocol.terms import Leg, Wallet

PRIMARY_TYPE = "CooperativeRefund"

TYPES: Mapping[str, Sequence[Mapping[str, str]]] = {
    PRIMARY_TYPE: [
        {"name": "hashlock", "type": "bytes32"},
        {"name": "token", "type": "address"},
        {"name": "amount", "type": "uint256"},
        {"name": "sender", "type": "address"},
        {"name": "receiver", "type": "address"},
        {"name": "fundBy", "type": "uint256"},
        {"name": "timelock", "type": "uint256"},
    ]
}
"""As `Htlc.sol` has it."""

_DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]

_KEY_SIGNATURE = 65
_LARGEST_SIGNATURE = 4_096
"""Bytes. Wallets of many owners join their signatures; beyond this it is the calldata that costs."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0  # EIP-2

_NOT_SIGNED = "NotSignedByReceiver"


def domain(htlc: Htlc) -> dict[str, Any]:
    return {"name": "swapd HTLC", "version": "1", "chainId": htlc.chain_id, "verifyingContract": htlc.address}


def message(terms: HtlcTerms) -> dict[str, Any]:
    """hashlock: bytes, all else as JSON has it."""
    return {
        "hashlock": terms.hashlock,
        "token": terms.token,
        "amount": terms.amount,
        "sender": terms.sender,
        "receiver": terms.receiver,
        "fundBy": terms.fund_by,
        "timelock": terms.timelock,
    }


def typed_data(htlc: Htlc, terms: HtlcTerms) -> dict[str, Any]:
    """What wallets take for `eth_signTypedData_v4`. Numbers are strings: 256 bits are too many for JSON's."""
    said = {name: str(each) if isinstance(each, int) else each for name, each in message(terms).items()}
    return {
        "types": {"EIP712Domain": _DOMAIN_TYPE, **TYPES},
        "primaryType": PRIMARY_TYPE,
        "domain": domain(htlc),
        "message": {**said, "hashlock": "0x" + terms.hashlock.hex()},
    }


def wanted(htlc: Htlc, leg: Leg) -> ConsentRequest:
    """See `Cooperates.consent_wanted`."""
    terms, asset = HtlcTerms.of(leg.terms), leg.terms.asset
    amount = f"{in_units(terms.amount, asset.decimals)} {asset.symbol}"
    return ConsentRequest(
        f"As {terms.receiver}, sign this typed data (EIP-712) to let {amount} go back to {terms.sender} before "
        f"{moment(terms.timelock)}. Whoever has the signature may send the refund; nothing else can be done with it.",
        {
            "signer": terms.receiver,
            "method": "eth_signTypedData_v4",
            "typed_data": json.dumps(typed_data(htlc, terms)),
            "chain_id": str(htlc.chain_id),
            "contract": htlc.address,
            "lock_id": htlc.id_of(terms),
        },
        answer="the signature: 65 bytes r, s, v; of a contract, whatever its isValidSignature takes (ERC-1271)",
    )


async def check(nodes: Nodes, htlc: Htlc, leg: Leg, consent: bytes) -> None:
    """See `Cooperates.check_consent`. A key's signature is looked at here; else the contract itself is asked, which
    looks at the signature before anything else, and asks a receiver that is a contract (ERC-1271)."""
    terms = HtlcTerms.of(leg.terms)
    expected = f"the signature of {terms.receiver} under this leg's {PRIMARY_TYPE} (EIP-712)"
    if not 0 < len(consent) <= _LARGEST_SIGNATURE:
        raise Invalid("consent", f"{len(consent)} bytes", expected)
    signer = signer_of(htlc, terms, consent)
    if signer == terms.receiver:
        return
    try:
        await nodes.returned(htlc.cooperative_refund(terms, consent))
    except Refusal as refusal:
        reason = htlc.reason(refusal.data) if refusal.data else None
        if reason is None:
            raise  # the receiver's code did something odd, or the node did
        if reason.startswith(_NOT_SIGNED):
            given = f"one by {signer}" if signer else f"{len(consent)} bytes that are no signature of a key"
            raise Invalid("consent", given, expected) from None
        # what it refuses otherwise, it refuses after it has taken the signature


def signer_of(htlc: Htlc, terms: HtlcTerms, signature: bytes) -> str | None:
    """Whose key has signed, by the contract's rules: r, s, v with the lower s and v 27 or 28. None for nobody's."""
    if len(signature) != _KEY_SIGNATURE:
        return None
    if int.from_bytes(signature[32:64]) > _HALF_ORDER or signature[64] not in (27, 28):
        return None
    signable = encode_typed_data(domain(htlc), dict(TYPES), message(terms))
    try:
        return str(Account.recover_message(signable, signature=signature))
    except (BadSignature, ValidationError, ValueError):
        return None


def own(signer: Signer, htlc: Htlc, leg: Leg) -> bytes:
    """See `Cooperates.own_consent`."""
    terms = HtlcTerms.of(leg.terms)
    if leg.claimed_by is not Wallet.HOT or terms.receiver != signer.ethereum_address:
        raise Invalid("consent", terms.receiver, "a leg whose receiver is swapd's own wallet")
    return signer.sign_typed_data(domain(htlc), TYPES, message(terms))
