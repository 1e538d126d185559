"""What one leg would be, for given parties: checked against the settings and its chain."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.chains.base import Party
from swapd.chains.settings import AssetSettings
from swapd.coordinator.house import House, Market
from swapd.errors import Invalid
from swapd.protocol.request import Side
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, Wallet
from swapd.protocol.timelock import LegTiming, Plan


@dataclass(frozen=True)
class Priced:
    """One leg before its times and parties are known."""

    role: Role
    asset: Asset
    amount: int
    market: Market
    confirmations: int
    funder: Side
    claimer: Side

    @property
    def timing(self) -> LegTiming:
        return LegTiming(self.market.profile, self.confirmations, self.funder.wallet)


def price(house: House, role: Role, symbol: str, amount: int, funder: Side, claimer: Side) -> Priced:
    field_name = "give" if role is Role.INITIATOR else "get"
    asset, allowed = house.asset(field_name, symbol)
    check_amount(f"{field_name}_amount", amount, symbol, allowed)
    return Priced(role, asset, amount, house.markets[asset.chain], allowed.confirmations(amount), funder, claimer)


def check_amount(field_name: str, amount: int, symbol: str, allowed: AssetSettings) -> None:
    if not allowed.minimum <= amount <= allowed.maximum:
        raise Invalid(field_name, amount, f"{allowed.minimum} to {allowed.maximum} of the smallest unit of {symbol}")


def different_chains(first: Asset, second: Asset) -> None:
    if first.chain == second.chain:
        raise Invalid("get", second.symbol, f"an asset on another chain than {first.symbol}'s, {first.chain}")


async def make_leg(priced: Priced, index: int, hashlock: bytes, timelock: int, times: Plan) -> Leg:
    """The leg with these parties. Raises Invalid for what the chain, or the protocol, can not do with them."""
    role = priced.role.value
    sender = await _party(priced, f"{role}.refund_to", priced.funder, priced.funder.refund_to, index, sends=True)
    taker = "participant" if priced.role is Role.INITIATOR else "initiator"
    receiver = await _party(
        priced, f"{taker}.receive_at", priced.claimer, priced.claimer.receive_at, index, sends=False
    )
    leg = as_priced(priced, sender, receiver, hashlock, timelock, times)
    if leg.role is Role.INITIATOR and not (leg.claim_by_swapd or leg.claim_waived):
        raise Invalid(
            "participant.receive_at",
            priced.claimer.receive_at,
            "an address (swapd then claims for its owner), or the owner's word that it claims by itself: without either"
            " the secret could never be shown safely",
        )
    priced.market.chain.check_terms(leg)
    return leg


def as_priced(priced: Priced, sender: Party, receiver: Party, hashlock: bytes, timelock: int, times: Plan) -> Leg:
    """The leg between these two."""
    first = priced.role is Role.INITIATOR
    return Leg(
        role=priced.role,
        terms=LegTerms(
            asset=priced.asset,
            amount=priced.amount,
            hashlock=hashlock,
            sender=sender.identity,
            receiver=receiver.identity,
            timelock=timelock,
            fund_by=times.initiator_fund_by if first else times.participant_fund_by,
        ),
        funded_by=priced.funder.wallet,
        claimed_by=priced.claimer.wallet,
        pay_to=receiver.payout,
        refund_to=sender.payout,
        claim_by_swapd=receiver.by_swapd,
        refund_by_swapd=sender.by_swapd,
        claim_waived=priced.claimer.claims_itself,
        confirmations=priced.confirmations,
        lock_by=times.initiator_lock_by if first else times.participant_lock_by,
    )


async def _party(priced: Priced, field_name: str, side: Side, text: str | None, index: int, *, sends: bool) -> Party:
    if side.wallet is Wallet.EXTERNAL and text is None:
        raise Invalid(field_name, None, f"an address on {priced.asset.chain}, because this side is external")
    if side.wallet is Wallet.HOT and text is not None:
        raise Invalid(field_name, text, "nothing, because this side is swapd's own wallet")
    return await priced.market.chain.party(field_name, text, index, sends=sends)
