"""What somebody asks for before there are terms, and what swapd answers: terms that can be checked, or why not."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.protocol.terms import Leg, Role, SwapTerms, Wallet


@dataclass(frozen=True)
class Side:
    """One party as the person creating the swap describes it.

    refund_to: address or key on the chain that the party funds. receive_at: on the chain that it claims. Neither is
    given for swapd's own wallet. claims_itself: it waives that swapd holds its pre-signed claim before the reveal (S2).
    """

    wallet: Wallet
    refund_to: str | None = None
    receive_at: str | None = None
    claims_itself: bool = False


@dataclass(frozen=True)
class Request:
    """What is swapped: the initiator gives `give_amount` of `give` and gets `get_amount` of `get` (smallest units)."""

    give: str
    give_amount: int
    get: str
    get_amount: int
    initiator: Side
    participant: Side


@dataclass(frozen=True)
class OfferedLeg:
    """A leg as it is told to whoever asked: everything that its HTLC commits to.

    amount: smallest units. timelock, fund_by: Unix seconds. reference: the chain's name for the HTLC before it is
    funded, its fingerprint; who knows the chain makes it of the rest, and sees that nothing was left out.
    """

    role: Role
    chain: str
    asset: str
    amount: int
    sender: str
    receiver: str
    timelock: int
    fund_by: int
    reference: str

    @classmethod
    def of(cls, leg: Leg, reference: str) -> OfferedLeg:
        terms = leg.terms
        return cls(
            role=leg.role,
            chain=terms.chain,
            asset=terms.asset.symbol,
            amount=terms.amount,
            sender=terms.sender,
            receiver=terms.receiver,
            timelock=terms.timelock,
            fund_by=terms.fund_by,
            reference=reference,
        )


@dataclass(frozen=True)
class Accepted:
    """There is a swap now. legs: the initiator's first."""

    swap_id: str
    hashlock: bytes
    legs: tuple[OfferedLeg, ...]

    @classmethod
    def of(cls, terms: SwapTerms, references: dict[Role, str]) -> Accepted:
        legs = tuple(OfferedLeg.of(leg, references[leg.role]) for leg in terms.legs)
        return cls(terms.swap_id, terms.hashlock, legs)


@dataclass(frozen=True)
class Refused:
    """There is none. field: of the request, or what else stands in the way. reason: in words, for everybody to see."""

    field: str
    reason: str


Answer = Accepted | Refused
