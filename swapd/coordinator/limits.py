"""How much may be at stake at a time: for the house, a tenant, a party, and of each asset. Entry alone is limited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swapd.errors import HouseOnly
from swapd.protocol.terms import Leg, SwapTerms, Wallet
from swapd.store import SwapRow, Transaction
from swapd.store.reading import promised

if TYPE_CHECKING:
    from swapd.coordinator.funds import Needs
    from swapd.coordinator.house import House

DAY = 86_400


@dataclass(frozen=True)
class Limits:
    """Swaps that may be open at a time: of all, of one tenant, of one external party. approvals: operators who must
    agree to a swap over a threshold; approval_seconds: for how long an operator's word counts."""

    open_swaps: int
    tenant_open_swaps: int
    party_open_swaps: int
    approvals: int
    approval_seconds: int


class TooMuch(HouseOnly):
    """More than may be at stake at a time. setting: the one that says so."""

    for_others = "this is more than swapd takes at a time: ask for less, or again later"

    def __init__(self, setting: str, words: str) -> None:
        self.setting = setting
        super().__init__(words)


class TooManyOpen(TooMuch):
    """As many swaps are open as may be."""


def stakes(terms: SwapTerms, owner: str) -> dict[str, dict[str, int]]:
    """What each party gives, by party and asset symbol: external owners by the address that they would be refunded at,
    a tenant what swapd's own wallets give for it."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for leg in terms.legs:
        party = external(leg) if leg.funded_by is Wallet.EXTERNAL else tenant(owner)
        if party:
            found[party][leg.terms.asset.symbol] = leg.terms.amount
    if owner:
        found.setdefault(tenant(owner), {}).setdefault(terms.initiator.terms.asset.symbol, 0)
    return dict(found)


def external(leg: Leg) -> str:
    """The name of a leg's owner among parties."""
    return f"{leg.terms.chain}:{leg.refund_to}"


def tenant(owner: str) -> str:
    """A tenant's name among parties; "" for the house itself, which is no party to itself."""
    return f"tenant:{owner}" if owner else ""


def exposure(rows: Iterable[SwapRow]) -> dict[str, int]:
    """By asset symbol, what swapd's own wallets have in swaps that have not ended, or promised to them."""
    total: dict[str, int] = defaultdict(int)
    for row in rows:
        for leg in row.terms.legs:
            if leg.funded_by is Wallet.HOT and not row.status.ended:
                total[leg.terms.asset.symbol] += leg.terms.amount
    return dict(total)


async def require_room(house: House, writing: Transaction, terms: SwapTerms, owner: str, needs: Needs) -> None:
    """Refuse a swap that would be over a limit (`TooMuch`), or for which swapd's wallets hold too little (`NotEnough`).
    In the transaction that adds it: what others add meanwhile waits, so no two pass the same check."""
    await writing.hold_entry()
    at_stake = (await writing.at_stake()).whole()
    limits, now = house.limits, house.clock()
    needs.require(promised(at_stake, now))
    going = await writing.count_going()
    if going >= limits.open_swaps:
        raise TooManyOpen(
            "entry.open_swaps_max", f"{going} swaps are open, and entry.open_swaps_max is {limits.open_swaps}"
        )
    _exposure(house, at_stake, terms)
    gives_of = stakes(terms, owner)
    counts, given = await writing.open_stakes(gives_of), await writing.stakes(gives_of, now - DAY)
    for party, gives in gives_of.items():
        mine = party == tenant(owner)
        most, setting = (
            (limits.tenant_open_swaps, "entry.tenant_open_swaps_max")
            if mine
            else (limits.party_open_swaps, "entry.party_open_swaps_max")
        )
        if counts[party] >= most:
            raise TooManyOpen(setting, f"{party} has {counts[party]} swaps open, and {setting} is {most}")
        _a_days(house, party, gives, given[party], mine=mine)


def _exposure(house: House, at_stake: Iterable[SwapRow], terms: SwapTerms) -> None:
    there = exposure(at_stake)
    for leg in terms.legs:
        symbol = leg.terms.asset.symbol
        most = house.asset("asset", symbol)[1].exposure_max
        total = there.get(symbol, 0) + leg.terms.amount
        if leg.funded_by is Wallet.HOT and most is not None and total > most:
            setting = f"chains.{leg.terms.chain}.assets.{symbol}.exposure_max"
            raise TooMuch(
                setting, f"swapd would have {total} {symbol} at stake (smallest units), and {setting} is {most}"
            )


def _a_days(house: House, party: str, gives: Mapping[str, int], given: Mapping[str, int], *, mine: bool) -> None:
    for symbol, amount in gives.items():
        asset, allowed = house.asset("asset", symbol)
        name = "tenant_day_max" if mine else "party_day_max"
        most = allowed.tenant_day_max if mine else allowed.party_day_max
        total = given.get(symbol, 0) + amount
        if most is not None and total > most:
            setting = f"chains.{asset.chain}.assets.{symbol}.{name}"
            raise TooMuch(
                setting, f"{party} would give {total} {symbol} (smallest units) in a day, and {setting} is {most}"
            )
