"""Signatures for Ethereum, each bound to one chain (rule S13)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eth_abi.exceptions import EncodingError
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_checksum_address
from eth_utils.exceptions import ValidationError

from swapd.errors import Invalid
from swapd.vault.secret import Secret

REQUIRED_FIELDS = frozenset({"chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas"})
OPTIONAL_FIELDS = frozenset({"type", "from", "to", "value", "data"})
INTEGER_FIELDS = REQUIRED_FIELDS | {"value"}
DYNAMIC_FEE = 2
LARGEST_INTEGER = 2**256 - 1
WHOLE_HEX = re.compile("0x([0-9a-fA-F]{2})*")


class SignedEthereumTransaction(NamedTuple):
    """What goes into the outbox before anything is broadcast."""

    raw: bytes
    hash: bytes


def sign_transaction(private_key: Secret, transaction: Mapping[str, Any]) -> SignedEthereumTransaction:
    """Sign an EIP-1559 transaction given with the field names of JSON-RPC.

    Numbers are ints (wei), `to` is a checksum address and left out to create a contract, `data` is bytes or 0x hex.
    No other type is signed: legacy ones can be made without a chain id, EIP-7702 ones hand the account over.
    Errors name fields but no values, because calldata may hold an unrevealed preimage. Raises Invalid.
    """
    _require_well_formed(transaction)
    try:
        signed = _account(private_key).sign_transaction({**transaction, "type": DYNAMIC_FEE})
    except (TypeError, ValueError, ValidationError) as error:
        raise Invalid("transaction", type(error).__name__, "well-formed EIP-1559 fields") from None
    return SignedEthereumTransaction(raw=bytes(signed.raw_transaction), hash=bytes(signed.hash))


def sign_typed_data(
    private_key: Secret,
    domain: Mapping[str, Any],
    types: Mapping[str, Sequence[Mapping[str, str]]],
    message: Mapping[str, Any],
) -> bytes:
    """EIP-712 signature: 65 bytes r ‖ s ‖ v, v 27 or 28. The domain must name chain and contract. Raises Invalid."""
    _require_chain("domain.chainId", domain.get("chainId"))
    _require_address("domain.verifyingContract", domain.get("verifyingContract"))
    try:
        signed = _account(private_key).sign_typed_data(dict(domain), dict(types), dict(message))
    except (TypeError, ValueError, AttributeError, KeyError, ValidationError, EncodingError) as error:
        raise Invalid("typed data", type(error).__name__, "types and a message that fit each other") from None
    return bytes(signed.signature)


def address(private_key: Secret) -> str:
    """The account's address with its EIP-55 checksum."""
    return str(_account(private_key).address)


def _account(private_key: Secret) -> LocalAccount:
    account: LocalAccount = Account.from_key(private_key.reveal())
    return account


def _require_well_formed(transaction: Mapping[str, Any]) -> None:
    missing = REQUIRED_FIELDS - transaction.keys()
    unknown = transaction.keys() - REQUIRED_FIELDS - OPTIONAL_FIELDS
    if missing or unknown:
        found = f"missing {sorted(missing)}, unknown {sorted(unknown)}"
        raise Invalid("transaction", found, "the fields of an EIP-1559 transaction")
    if transaction.get("type", DYNAMIC_FEE) != DYNAMIC_FEE:
        raise Invalid("transaction.type", transaction["type"], f"{DYNAMIC_FEE} (EIP-1559)")
    for field in sorted(INTEGER_FIELDS & transaction.keys()):
        number = transaction[field]
        if type(number) is not int or not 0 <= number <= LARGEST_INTEGER:
            raise Invalid(f"transaction.{field}", number, "a whole number of 256 bits")
    _require_chain("transaction.chainId", transaction["chainId"])
    if "to" in transaction:  # None or "" would create a contract out of the money meant for somebody
        _require_address("transaction.to", transaction["to"])
    data = transaction.get("data", b"")
    if not isinstance(data, bytes) and not (isinstance(data, str) and WHOLE_HEX.fullmatch(data)):
        raise Invalid("transaction.data", type(data).__name__, "bytes, or whole bytes in hex after 0x")


def _require_chain(field: str, chain_id: object) -> None:
    if type(chain_id) is not int or chain_id <= 0:
        raise Invalid(field, chain_id, "the chain's id, a positive int")


def _require_address(field: str, address: object) -> None:
    if not is_checksum_address(address):
        raise Invalid(field, address, "an address with its EIP-55 checksum")
