"""Customers with plain addresses, and a house that loses everything: what is theirs comes to the address they gave."""

from __future__ import annotations

from swapd.coordinator import agree
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms, Wallet
from tests.scenarios.loss import heir, lose_and_recover, nothing, together
from tests.scenarios.rig import AMOUNTS, Rig
from tests.scenarios.test_external import People


async def test_s14_a_customer_who_locked_second_is_paid_where_it_wanted(rig: Rig) -> None:
    people, terms = await _answered(rig)

    found = await lose_and_recover(rig, rig.house, rig.books.accounts[-1])

    assert [(each.missing, each.kept) for each in found] == [(None, "")]
    _same_payouts(terms, found[0].terms)
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))
    await _traded(rig, people, "bob")


async def test_s14_a_customer_who_locked_second_is_refunded_where_it_wanted(rig: Rig) -> None:
    people, terms = await _answered(rig)
    await rig.chains.time_is(terms.reveal_by + 60)

    found = await lose_and_recover(rig, rig.house, rig.books.accounts[-1])

    _same_payouts(terms, found[0].terms)
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    paid_for = [people.bob] if rig.direction.get == "BTC" else []
    gains = together(await rig.accounts_balance())
    if rig.direction.give == "BTC":
        assert gains == nothing(rig)
    else:
        assert people.with_fees(gains, *paid_for) == nothing(rig)


async def test_s14_a_customer_who_locked_first_is_paid_where_it_wanted(rig: Rig) -> None:
    people = await People.met(rig)
    await heir(rig)
    give, get = rig.direction.give, rig.direction.get
    request = agree.Request(
        *(give, AMOUNTS[give], get, AMOUNTS[get]),
        initiator=await people.side(people.alice, give, get),
        participant=agree.Side(Wallet.HOT),
    )
    terms = await agree.create(rig.house.house, request, "operator")
    await rig.settle()
    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    for _ in range(6):
        if "lock:participant" in await rig.house.effects(terms.swap_id):
            break
        await rig.block()
    rig.house.asleep = True
    await rig.chains.blocks(3)

    found = await lose_and_recover(rig, rig.house, rig.books.accounts[-1])

    assert [(each.missing, each.kept) for each in found] == [(None, "")]
    _same_payouts(terms, found[0].terms)
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))
    await _traded(rig, people, "alice")


async def _answered(rig: Rig) -> tuple[People, SwapTerms]:
    """The house has locked, Bob too, and the secret is not shown yet."""
    people = await People.met(rig)
    await heir(rig)
    give, get = rig.direction.give, rig.direction.get
    request = agree.Request(
        *(give, AMOUNTS[give], get, AMOUNTS[get]),
        initiator=agree.Side(Wallet.HOT),
        participant=await people.side(people.bob, get, give),
    )
    terms = await agree.create(rig.house.house, request, "operator")
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.block(2)
    rig.house.asleep = True
    await people.fund(people.bob, terms, Role.PARTICIPANT)
    await rig.chains.blocks(3)
    return people, terms


def _same_payouts(agreed: SwapTerms, found: SwapTerms) -> None:
    """Of the customer's; the house's own are new."""
    for before, after in zip(agreed.legs, found.legs, strict=True):
        if before.funded_by is Wallet.EXTERNAL:
            assert after.refund_to == before.refund_to
        if before.claimed_by is Wallet.EXTERNAL:
            assert after.pay_to == before.pay_to


async def _traded(rig: Rig, people: People, customer: str) -> None:
    give, get = rig.direction.give, rig.direction.get
    gains = together(await rig.accounts_balance())
    first, second = (customer, "house") if customer == "alice" else ("house", customer)
    expected = {name: dict(gain) for name, gain in nothing(rig).items()}
    expected[first] |= {give: -AMOUNTS[give], get: AMOUNTS[get]}
    expected[second] |= {give: AMOUNTS[give], get: -AMOUNTS[get]}
    # the fee of a claim that swapd sends for its customer comes out of the leg; the books give it to who sent it
    receives_bitcoin = (get if customer == "alice" else give) == "BTC"
    fee = gains["house"]["BTC"] - expected["house"]["BTC"]
    assert (fee > 0) == receives_bitcoin
    expected["house"]["BTC"] += fee
    expected[customer]["BTC"] -= fee
    assert gains == expected
