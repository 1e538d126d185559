"""What one lock of the canister commits to, and how the canister names it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from swapd.chains.base import LEGS_REMEMBERED
from swapd.chains.icp.principal import Account, parse, parse_account
from swapd.protocol.terms import LegTerms

_ID_DOMAIN = b"atomic-swap/1"
_NONCE_DOMAIN = b"swapd/icp/terms/1"

NANOSECONDS = 10**9


class Phase(StrEnum):
    """How far a swap of the canister is; see `canisters/atomic_swap`."""

    FUNDING = "Funding"
    LOCKED = "Locked"
    CLAIMING = "Claiming"
    REFUNDING = "Refunding"
    CLAIMED = "Claimed"
    REFUNDED = "Refunded"
    CANCELLED = "Cancelled"
    QUARANTINED = "Quarantined"


@dataclass(frozen=True)
class EscrowTerms:
    """ledger: its principal. amount: smallest unit, net to the receiver. fund_by, timelock: nanoseconds since 1970."""

    ledger: bytes
    amount: int
    sender: Account
    receiver: Account
    hashlock: bytes
    fund_by: int
    timelock: int

    @classmethod
    @lru_cache(LEGS_REMEMBERED)
    def of(cls, terms: LegTerms) -> EscrowTerms:
        return cls(
            parse("token", terms.asset.token),
            terms.amount,
            parse_account("sender", terms.sender),
            parse_account("receiver", terms.receiver),
            terms.hashlock,
            terms.fund_by * NANOSECONDS,
            terms.timelock * NANOSECONDS,
        )

    @property
    def nonce(self) -> bytes:
        """Made of all terms, so that the id, which is made of initiator and nonce, commits to all of them."""
        parts = (
            self.ledger,
            self.amount.to_bytes(32),
            self.sender.text.encode(),
            self.receiver.text.encode(),
            self.hashlock,
            self.fund_by.to_bytes(8),
            self.timelock.to_bytes(8),
        )
        return hashlib.sha256(_NONCE_DOMAIN + b"".join(bytes([len(part)]) + part for part in parts)).digest()


@dataclass(frozen=True)
class Swap:
    """A lock as the canister shows it. phase: with QUARANTINED, `intent` says what it was about to do.

    fee: the ledger's fee that was put aside for the payout. secret: once it was shown. lock_block, payout_block: of the
    ledger, where they are known.
    """

    id: bytes
    terms: EscrowTerms
    nonce: bytes
    initiator: bytes
    fee: int
    phase: Phase
    intent: Phase | None
    secret: bytes | None = field(repr=False)
    lock_block: int | None
    payout_block: int | None

    @property
    def course(self) -> Phase:
        """The phase, or what a quarantined one was about to do."""
        return self.intent or self.phase


@dataclass(frozen=True)
class Escrow:
    """The canister, by its principal."""

    canister: bytes

    def id_of(self, terms: EscrowTerms) -> bytes:
        """32 bytes: the name of the lock, and the subaccount of the canister that holds its money."""
        return _id(self, terms)

    def id(self, initiator: bytes, nonce: bytes) -> bytes:
        named = b"".join(bytes([len(principal)]) + principal for principal in (self.canister, initiator))
        return hashlib.sha256(_ID_DOMAIN + named + nonce).digest()

    def account_of(self, swap_id: bytes) -> Account:
        """Where the money of a lock lies."""
        return Account(self.canister, swap_id)

    def is_it(self, swap: Swap, terms: EscrowTerms) -> bool:
        """Whether a swap of the canister is the lock of exactly these terms (rule S11)."""
        return swap.terms == terms and swap.nonce == terms.nonce and swap.initiator == terms.sender.owner


@lru_cache(LEGS_REMEMBERED)
def _id(escrow: Escrow, terms: EscrowTerms) -> bytes:
    return escrow.id(terms.sender.owner, terms.nonce)
