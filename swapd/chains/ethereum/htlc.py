"""The HTLC contract in swapd's words: ids, calls, events. Its source is `contract/Htlc.sol`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from swapd.chains.base import LEGS_REMEMBERED
from swapd.chains.ethereum.abi import Abi
from swapd.chains.ethereum.address import ZERO_ADDRESS
from swapd.chains.ethereum.node import Log, Transaction
from swapd.chains.ethereum.transactions import Call
from swapd.protocol.terms import LegTerms


@dataclass(frozen=True)
class Artifact:
    """What the compiler made of the source."""

    abi: Abi
    creation: bytes = field(repr=False)
    deployed: bytes = field(repr=False)


@cache
def artifact() -> Artifact:
    text = resources.files(__package__).joinpath("contract", "Htlc.json").read_text()
    fields = json.loads(text)
    return Artifact(
        Abi(fields["abi"]), bytes.fromhex(fields["bytecode"][2:]), bytes.fromhex(fields["deployedBytecode"][2:])
    )


class SlotState(IntEnum):
    """The storage word of a lock. Closed stays only until fundBy; later a finished lock is absent again."""

    ABSENT = 0
    LOCKED = 1
    CLOSED = 2


@dataclass(frozen=True)
class HtlcTerms:
    """All that the contract knows of a lock. token: a checksum address, zero for ETH."""

    hashlock: bytes
    token: str
    amount: int
    sender: str
    receiver: str
    fund_by: int
    timelock: int

    @classmethod
    @lru_cache(LEGS_REMEMBERED)
    def of(cls, terms: LegTerms) -> HtlcTerms:
        return cls(
            terms.hashlock,
            terms.asset.token or ZERO_ADDRESS,
            terms.amount,
            terms.sender,
            terms.receiver,
            terms.fund_by,
            terms.timelock,
        )

    @property
    def is_token(self) -> bool:
        return self.token != ZERO_ADDRESS

    @property
    def receiver_and_times(self) -> bytes:
        """The three in one word, as the contract takes them: fund_by and timelock, 6 bytes each, then the receiver."""
        return self.fund_by.to_bytes(6) + self.timelock.to_bytes(6) + bytes.fromhex(self.receiver[2:])

    @property
    def words(self) -> tuple[bytes, str, int, str, bytes]:
        """In the order of the contract's `Terms`."""
        return (self.hashlock, self.token, self.amount, self.sender, self.receiver_and_times)


@dataclass(frozen=True)
class Locked:
    terms: HtlcTerms


@dataclass(frozen=True)
class Claimed:
    preimage: bytes = field(repr=False)


@dataclass(frozen=True)
class Refunded:
    pass


@dataclass(frozen=True)
class Event:
    """Something that happened, or is about to, to the lock of this id (0x and 64 hex digits). log: None if pending."""

    lock_id: str
    what: Locked | Claimed | Refunded
    txid: str
    log: Log | None = None


class Htlc:
    """The contract at one address of one chain. Needs no node."""

    def __init__(self, chain_id: int, address: str) -> None:
        self.chain_id: Final = chain_id
        self.address: Final = address
        self._abi = artifact().abi

    def id_of(self, terms: HtlcTerms) -> str:
        """keccak256 of chain id, contract and all terms: what the contract calls this lock."""
        return _id(self.chain_id, self.address, terms)

    # -- calls -----------------------------------------------------------------------------------------------------

    def lock(self, terms: HtlcTerms, note: bytes = b"") -> Call:
        """note: stands behind the arguments, where no contract looks, for whoever reads the transaction later."""
        words = terms.receiver_and_times
        if terms.is_token:
            arguments = self._abi.call("lockErc20", terms.hashlock, terms.token, terms.amount, words)
            return Call(self.address, 0, arguments + note)
        return Call(self.address, terms.amount, self._abi.call("lockEther", terms.hashlock, words) + note)

    def note(self, terms: HtlcTerms, call: Call) -> bytes | None:
        """What this call carries behind the lock of these terms; None if it does not lock them, or not on its own."""
        plain = self.lock(terms)
        is_it = (call.to, call.value) == (plain.to, plain.value) and call.data.startswith(plain.data)
        return call.data[len(plain.data) :] if is_it else None

    def claim(self, terms: HtlcTerms, preimage: bytes) -> Call:
        return Call(self.address, 0, self._abi.call("claim", (preimage, *terms.words[1:])))

    def refund(self, terms: HtlcTerms) -> Call:
        return Call(self.address, 0, self._abi.call("refund", terms.words))

    def cooperative_refund(self, terms: HtlcTerms, signature: bytes) -> Call:
        """signature: of the receiver, see `cooperate.py`."""
        return Call(self.address, 0, self._abi.call("cooperativeRefund", terms.words, signature))

    def called(self, call: Call) -> tuple[str, tuple[Any, ...]] | None:
        """Function and arguments of a call to this contract; None if it is none."""
        return self._abi.called(call.data) if call.to == self.address else None

    # -- what happened ---------------------------------------------------------------------------------------------

    @property
    def topics(self) -> list[str]:
        """Of all three events."""
        return ["0x" + self._abi.topics[name].hex() for name in ("Locked", "Claimed", "Refunded")]

    @property
    def locked_topic(self) -> str:
        return self.topics[0]

    def event(self, log: Log) -> Event | None:
        """None for what is not an event of ours."""
        found = self._abi.event(log.topics, log.data)
        if found is None:
            return None
        name, fields = found
        what: Locked | Claimed | Refunded
        if name == "Locked":
            what = Locked(
                _terms(*(fields[each] for each in ("hashlock", "token", "amount", "sender", "receiverAndTimes")))
            )
        elif name == "Claimed":
            what = Claimed(fields["preimage"])
        else:
            what = Refunded()
        return Event("0x" + fields["id"].hex(), what, log.txid, log)

    def pending(self, transaction: Transaction) -> list[Event]:
        """What a transaction will do if it is mined as it stands: its locks and claims."""
        called = self.called(transaction.call)
        if called is None:
            return []
        name, arguments = called
        match name:
            case "lockEther" | "lockErc20" | "batchLock":
                return [self._lock_event(terms, transaction) for terms in _locks(name, arguments, transaction)]
            case "claim":
                return [self._claim_event(arguments[0], transaction)]
            case "batchClaim":
                return [self._claim_event(each, transaction) for each in arguments[0]]
            case _:
                return []

    def _lock_event(self, terms: HtlcTerms, transaction: Transaction) -> Event:
        return Event(self.id_of(terms), Locked(terms), transaction.txid)

    def _claim_event(self, words: tuple[Any, ...], transaction: Transaction) -> Event:
        preimage, *rest = words
        terms = _terms(hashlib.sha256(preimage).digest(), *rest)
        return Event(self.id_of(terms), Claimed(preimage), transaction.txid)

    def reason(self, data: bytes) -> str | None:
        """What a revert of the contract says."""
        return self._abi.error(data)


_ID_TYPES = ["uint256", "address", "bytes32", "address", "uint256", "address", "bytes32"]


def _terms(hashlock: bytes, token: str, amount: int, sender: str, receiver_and_times: bytes) -> HtlcTerms:
    return HtlcTerms(
        hashlock,
        to_checksum_address(token),
        amount,
        to_checksum_address(sender),
        to_checksum_address(receiver_and_times[12:]),
        fund_by=int.from_bytes(receiver_and_times[:6]),
        timelock=int.from_bytes(receiver_and_times[6:12]),
    )


def _locks(name: str, arguments: tuple[Any, ...], transaction: Transaction) -> list[HtlcTerms]:
    sender, value = transaction.sender, transaction.call.value
    if name == "batchLock":
        return [_terms(hashlock, ZERO_ADDRESS, amount, sender, words) for hashlock, amount, words in arguments[0]]
    if name == "lockErc20":
        hashlock, token, amount, words = arguments
        return [_terms(hashlock, token, amount, sender, words)]
    hashlock, words = arguments
    return [_terms(hashlock, ZERO_ADDRESS, value, sender, words)]


@lru_cache(LEGS_REMEMBERED)
def _id(chain_id: int, address: str, terms: HtlcTerms) -> str:
    return "0x" + keccak(encode(_ID_TYPES, (chain_id, address, *terms.words))).hex()
