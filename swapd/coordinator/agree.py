"""Making the terms of a swap: our own, or somebody else's after checking. Nothing is written before all is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from swapd.chains.base import Party
from swapd.coordinator.funds import needs_of
from swapd.coordinator.house import House
from swapd.coordinator.limits import require_room, stakes
from swapd.coordinator.pricing import check_amount, different_chains, make_leg, price
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected
from swapd.protocol.request import Request as Request
from swapd.protocol.request import Side as Side
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import check_times, plan
from swapd.store import Transaction

EPOCH = 1_767_225_600
"""2026-01-01, from which swap indexes follow the clock."""

INDEX_SECONDS = 10
"""Seconds for each index. More swaps than that, for as long as a backup is old, would let a restored database hand out
an index again; fewer indexes a year make a search through all of them (rule S14) shorter."""

CLOCKS_DIFFER = 60
"""Seconds by which the clock of somebody who made an offer may be ahead of ours."""

OLDEST_OFFER = 86_400
"""Seconds. A leg is looked for in the blocks of this time before its offer was accepted, never longer."""

TRIES = 5
"""How often another worker may take an index between looking and writing before a person is told."""


Also = Callable[[Transaction, SwapTerms], Awaitable[None]]


async def create(house: House, request: Request, actor: str, also: Also | None = None, *, owner: str = "") -> SwapTerms:
    """A new swap with our own secret, checked and stored. Returns its terms, which the other party can check too.

    also: what else is written with it, all of it or nothing. owner: the tenant whose swap it is.
    """
    first = price(house, Role.INITIATOR, request.give, request.give_amount, request.initiator, request.participant)
    second = price(house, Role.PARTICIPANT, request.get, request.get_amount, request.participant, request.initiator)
    different_chains(first.asset, second.asset)
    for _ in range(TRIES):
        async with _new_index(house) as index:
            now = house.clock()
            times = plan(now, first.timing, second.timing)
            hashlock = house.secrets.hashlock(index)
            legs = (
                await make_leg(first, index, hashlock, times.initiator_timelock, times),
                await make_leg(second, index, hashlock, times.participant_timelock, times),
            )
            terms = SwapTerms(swap_id_of(hashlock), index, SecretHolder.SELF, *legs, times.reveal_by, now)
            try:
                await _store(house, terms, actor, also=also, owner=owner)
            except Invalid as error:
                if error.field in ("index", "hashlock"):
                    continue  # another worker was given this index meanwhile, and with it comes its hashlock
                raise
            return terms
    raise Rejected(f"other workers created swaps at the same moment, {TRIES} times in a row; try again")


@asynccontextmanager
async def _new_index(house: House) -> AsyncIterator[int]:
    """The next one that nobody was given, and nobody in this process is about to take. It is taken with its swap: if
    that is refused, the index is free again."""
    taken = set(house.making)  # before the look: what is stored meanwhile may not be seen by it
    async with house.store.read() as reading:
        index = await reading.peek_index(index_floor(house.clock()))
    while index in taken | house.making:
        index += 1
    house.making.add(index)
    try:
        yield index
    finally:
        house.making.discard(index)


async def reserve_keys(house: House, receive_on: str, send_on: str) -> tuple[int, Party, Party]:
    """An index and our identities under it, to be given to an initiator who makes the terms. Returns (index, receiver,
    sender)."""
    for field_name, name in (("receive_on", receive_on), ("send_on", send_on)):
        if name not in house.markets:
            raise Invalid(field_name, name, f"one of the configured chains: {', '.join(sorted(house.markets))}")
    async with house.store.write() as writing:
        index = await writing.next_index(max(index_floor(house.clock()), *(each + 1 for each in house.making), 0))
    receiver = await house.chain(receive_on).party("receive_on", None, index, sends=False)
    sender = await house.chain(send_on).party("send_on", None, index, sends=True)
    return index, receiver, sender


async def accept(house: House, offer: SwapTerms, index: int, actor: str, also: Also | None = None) -> SwapTerms:
    """Take part in a swap that somebody else made, with the keys reserved under `index`. Their secret stays theirs.
    also: as with `create`."""
    now = house.clock()
    first = await _ours(house, offer.initiator, index, now)
    second = await _ours(house, offer.participant, index, now)
    terms = replace(offer, index=index, secret=SecretHolder.REMOTE, initiator=first, participant=second, created_at=now)
    if terms.swap_id != swap_id_of(terms.hashlock):
        raise Invalid("swap_id", terms.swap_id, f"{swap_id_of(terms.hashlock)}, the start of the hashlock")
    profiles = [house.markets[leg.terms.chain].profile for leg in terms.legs]
    check_times(terms, profiles[0], profiles[1], now)
    # the initiator may have funded its leg since it made the offer; its clock may differ from ours, within reason
    age = min(max(now - offer.created_at, 0) + CLOCKS_DIFFER, OLDEST_OFFER)
    await _store(house, terms, actor, age=age, also=also)
    return terms


def index_floor(now: int) -> int:
    """Indexes follow the clock wherever that is further than counting: a database that was lost or restored to an older
    state does not hand out an index, and so a hashlock, a second time (rule S13)."""
    return max(0, (now - EPOCH) // INDEX_SECONDS)


async def _ours(house: House, offered: Leg, index: int, now: int) -> Leg:
    """The same leg from the participant's side: what was the initiator's own is external to us, and the reverse."""
    role, terms = offered.role, offered.terms
    asset, allowed = house.asset(f"{role.value}.asset", terms.asset.symbol)
    if asset != terms.asset:
        raise Invalid(f"{role.value}.asset", terms.asset, f"{asset}, as configured here")
    check_amount(f"{role.value}.amount", terms.amount, asset.symbol, allowed)
    market = house.markets[asset.chain]
    we_fund = role is Role.PARTICIPANT
    own_field, their_field = ("sender", "receiver") if we_fund else ("receiver", "sender")
    own = await market.chain.party(f"{role.value}.{own_field}", None, index, sends=we_fund)
    offered_identity = terms.sender if we_fund else terms.receiver
    if own.identity != offered_identity:
        raise Invalid(f"{role.value}.{own_field}", offered_identity, f"{own.identity}, our own under index {index}")
    theirs_identity = terms.receiver if we_fund else terms.sender
    theirs = await market.chain.party(f"{role.value}.{their_field}", theirs_identity, index, sends=not we_fund)
    sender, receiver = (own, theirs) if we_fund else (theirs, own)
    leg = Leg(
        role=role,
        terms=terms,
        funded_by=Wallet.HOT if we_fund else Wallet.EXTERNAL,
        claimed_by=Wallet.EXTERNAL if we_fund else Wallet.HOT,
        pay_to=receiver.payout,
        refund_to=sender.payout,
        claim_by_swapd=receiver.by_swapd,
        refund_by_swapd=sender.by_swapd,
        claim_waived=False,
        confirmations=allowed.confirmations(terms.amount),
        lock_by=terms.fund_by - (market.profile.inclusion if we_fund else 0),
    )
    market.chain.check_terms(leg)
    return leg


async def _store(
    house: House, terms: SwapTerms, actor: str, *, age: int = 0, also: Also | None = None, owner: str = ""
) -> None:
    """Check what needs both chains, and write it down. age: seconds since which others may have known the terms."""
    async with house.store.read() as reading:  # before the balances: what is paid meanwhile counts in one of the two
        promised = await reading.reserved(house.clock())
    looks = asyncio.gather(*(house.chain(leg.terms.chain).clock() for leg in terms.legs))
    needs, clocks = await asyncio.gather(needs_of(house, terms.legs), looks)
    needs.require(promised)
    for leg, clock in zip(terms.legs, clocks, strict=True):
        if why := house.drift(leg.terms.chain, clock.time):
            raise Rejected(why)
    births = {
        leg.role: max(0, clock.tip.height - house.markets[leg.terms.chain].profile.most_blocks(age))
        for leg, clock in zip(terms.legs, clocks, strict=True)
    }
    names = {leg.role: house.chain(leg.terms.chain).fingerprint(leg.terms) for leg in terms.legs}
    crashpoint("agree.store.before")
    async with house.store.write(actor) as writing:
        await require_room(house, writing, terms, owner, needs)
        await writing.add_swap(terms, births, names, Status.PROPOSED)
        await writing.own(terms.swap_id, owner, stakes(terms, owner))
        if also is not None:
            await also(writing, terms)
    crashpoint("agree.store.after")
