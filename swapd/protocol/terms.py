"""What two parties agree on: assets, legs, and the whole swap. Validated when made, never changed after."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from swapd.errors import Invalid
from swapd.protocol.hashlock import LENGTH


class Role(StrEnum):
    """Which leg of a swap. The initiator leg is funded first and claimed last."""

    INITIATOR = "initiator"
    PARTICIPANT = "participant"

    @property
    def other(self) -> Role:
        return Role.PARTICIPANT if self is Role.INITIATOR else Role.INITIATOR


class Wallet(StrEnum):
    """Who signs: a wallet of swapd, or somebody's own that swapd only instructs and watches."""

    HOT = "hot"
    EXTERNAL = "external"


class SecretHolder(StrEnum):
    """Who knows the preimage before it is public."""

    SELF = "self"
    REMOTE = "remote"


@dataclass(frozen=True)
class Asset:
    """Something of value on a chain. `token` is empty for the chain's own coin."""

    symbol: str
    chain: str
    decimals: int
    token: str = ""


@dataclass(frozen=True)
class LegTerms:
    """What one HTLC commits to. Identities are in the chain's own form (an address, a public key in hex).

    amount: in the asset's smallest unit. timelock: Unix seconds after which the sender may refund.
    fund_by: Unix seconds after which the leg must not be locked any more (rule S3); contracts that can, enforce it.
    """

    asset: Asset
    amount: int
    hashlock: bytes
    sender: str
    receiver: str
    timelock: int
    fund_by: int

    def __post_init__(self) -> None:
        if len(self.hashlock) != LENGTH:
            raise Invalid("hashlock", self.hashlock.hex(), f"{2 * LENGTH} hex digits")
        if self.amount <= 0:
            raise Invalid("amount", self.amount, f"a whole number above zero of {self.asset.symbol}'s smallest unit")
        for name in ("sender", "receiver"):
            if not getattr(self, name):
                raise Invalid(name, "", f"an identity on {self.asset.chain}")
        if not 0 < self.fund_by < self.timelock:
            raise Invalid("fund_by", self.fund_by, f"a Unix time before the leg's timelock {self.timelock}")
        if self.timelock >= 2**32:
            # nLockTime is 32 bits wide; one bound for all chains keeps any leg movable to any chain
            raise Invalid("timelock", self.timelock, "Unix seconds below 2^32")

    @property
    def chain(self) -> str:
        return self.asset.chain


@dataclass(frozen=True)
class Leg:
    """One leg of a swap: the terms, who signs on each side, and what swapd itself can do with it.

    pay_to, refund_to: where a claim and a refund pay out, in the chain's address form.
    claim_by_swapd, refund_by_swapd: whether swapd can build that spend without anybody's help, because the chain lets
    anyone send it or because swapd holds the per-swap key.
    claim_waived: the receiver said that it finishes its own claim, so a reveal need not wait for it (rule S2).
    confirmations: blocks, the one that includes the transaction counted, after which it is final.
    lock_by: Unix seconds; the last moment at which swapd itself starts to fund it, so that it is in a block by
    `terms.fund_by` even in a bad hour (rule S3).
    """

    role: Role
    terms: LegTerms
    funded_by: Wallet
    claimed_by: Wallet
    pay_to: str
    refund_to: str
    claim_by_swapd: bool
    refund_by_swapd: bool
    claim_waived: bool
    confirmations: int
    lock_by: int

    def __post_init__(self) -> None:
        if self.confirmations < 1:
            raise Invalid("confirmations", self.confirmations, "at least 1")
        if not 0 < self.lock_by <= self.terms.fund_by:
            raise Invalid("lock_by", self.lock_by, f"a Unix time up to the leg's fund_by {self.terms.fund_by}")
        if self.claimed_by is Wallet.HOT and not self.claim_by_swapd:
            raise Invalid("receiver", self.terms.receiver, "an identity that swapd's own wallet can claim with")
        if self.funded_by is Wallet.HOT and not self.refund_by_swapd:
            raise Invalid("sender", self.terms.sender, "an identity that swapd's own wallet can refund with")

    @property
    def own(self) -> bool:
        """swapd's money goes in, somebody else's wallet takes it out."""
        return self.funded_by is Wallet.HOT and self.claimed_by is Wallet.EXTERNAL


@dataclass(frozen=True)
class SwapTerms:
    """Everything that is fixed about a swap from its first day.

    index: the number from which the vault derives this swap's keys and preimage.
    reveal_by: Unix seconds; the last moment at which the secret may be shown (rule S2).
    """

    swap_id: str
    index: int
    secret: SecretHolder
    initiator: Leg
    participant: Leg
    reveal_by: int
    created_at: int

    def __post_init__(self) -> None:
        first, second = self.initiator.terms, self.participant.terms
        if first.chain == second.chain:
            raise Invalid("chain", second.chain, f"a chain other than the initiator leg's {first.chain}")
        if first.hashlock != second.hashlock:
            raise Invalid("hashlock", second.hashlock.hex(), "the same hashlock on both legs")
        if first.timelock <= second.timelock:
            raise Invalid("timelock", first.timelock, f"later than the participant leg's timelock {second.timelock}")
        if not second.fund_by <= self.reveal_by < second.timelock:
            raise Invalid(
                "reveal_by",
                self.reveal_by,
                f"from fund_by {second.fund_by} to before the timelock {second.timelock}",
            )
        if first.fund_by > second.fund_by:
            raise Invalid("fund_by", second.fund_by, f"not before the initiator leg's fund_by {first.fund_by}")
        if self.initiator.role is not Role.INITIATOR or self.participant.role is not Role.PARTICIPANT:
            raise Invalid("role", self.initiator.role.value, "initiator leg first, participant leg second")
        if self.secret is SecretHolder.SELF and not self.participant.claim_by_swapd:
            raise Invalid(
                "receiver",
                second.receiver,
                "an address instead of a key: swapd shows its secret only in a claim that it sends itself",
            )

    @property
    def hashlock(self) -> bytes:
        return self.initiator.terms.hashlock

    @property
    def legs(self) -> tuple[Leg, Leg]:
        return (self.initiator, self.participant)

    def leg(self, role: Role) -> Leg:
        return self.initiator if role is Role.INITIATOR else self.participant


def swap_id_of(hashlock: bytes) -> str:
    """A swap's short name: the first 16 hex digits of its hashlock, so both parties call it the same."""
    return hashlock.hex()[:16]
