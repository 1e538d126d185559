"""Calls, drafts of transactions, and what signed bytes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import rlp  # type: ignore[import-untyped]
from eth_utils.address import to_checksum_address

from swapd.chains.base import SignedTx
from swapd.chains.ethereum.fees import Fees
from swapd.errors import Invalid


@dataclass(frozen=True)
class Call:
    """What a transaction does. to: a checksum address, empty to create a contract. value: wei."""

    to: str
    value: int
    data: bytes = field(repr=False)  # a claim's holds the secret


class Signer(Protocol):
    """What is needed of the vault. The key stays there."""

    @property
    def ethereum_address(self) -> str: ...

    def sign_ethereum_transaction(self, transaction: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Signed bytes and their hash, of a transaction with the field names of JSON-RPC."""

    def sign_typed_data(
        self, domain: Mapping[str, Any], types: Mapping[str, Sequence[Mapping[str, str]]], message: Mapping[str, Any]
    ) -> bytes:
        """65 bytes r, s, v (EIP-712)."""


@dataclass(frozen=True)
class Attempt:
    """What signed bytes say: everything a replacement has to repeat or to outbid."""

    call: Call
    nonce: int
    gas: int
    fees: Fees


def attempt_of(tx: SignedTx) -> Attempt:
    """Read an attempt back from its bytes (EIP-1559): they are what was stored, and what the network was given."""
    try:
        if tx.raw[:1] != _DYNAMIC_FEE:
            raise ValueError
        _, nonce, priority, max_fee, gas, to, value, data, *_ = rlp.decode(tx.raw[1:])
        return Attempt(
            Call(to_checksum_address(to) if to else "", _number(value), bytes(data)),
            _number(nonce),
            _number(gas),
            Fees(_number(max_fee), _number(priority)),
        )
    except (TypeError, ValueError, rlp.exceptions.DecodingError):
        raise Invalid("sent", tx.txid, "the bytes of an EIP-1559 transaction") from None


_DYNAMIC_FEE = b"\x02"


def _number(value: bytes) -> int:
    return int.from_bytes(value)


@dataclass
class EthereumDraft:
    """See `Draft`. nonce: the one that a replacement must use; None for one that still needs its own."""

    signer: Signer = field(repr=False)
    chain_id: int
    call: Call
    gas: int
    fees: Fees
    floor: int
    nonce: int | None = None
    account: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.account = self.signer.ethereum_address if self.nonce is None else None

    @property
    def cost(self) -> int:
        """The most it can take from the account, in wei: value and fee."""
        return self.call.value + self.gas * self.fees.max_fee

    def sign(self, sequence: int | None) -> SignedTx:
        if self.nonce is not None:
            sequence = self.nonce
        elif sequence is None or sequence < self.floor:
            raise Invalid("sequence", sequence, f"a nonce from {self.floor} on")
        fields = {
            "chainId": self.chain_id,
            "nonce": sequence,
            "gas": self.gas,
            "maxFeePerGas": self.fees.max_fee,
            "maxPriorityFeePerGas": self.fees.priority,
            "value": self.call.value,
            "data": self.call.data,
        }
        if self.call.to:
            fields["to"] = self.call.to
        raw, txid = self.signer.sign_ethereum_transaction(fields)
        return SignedTx("0x" + txid.hex(), raw, self.gas * self.fees.max_fee, self.fees.max_fee, sequence)
