"""People with wallets of their own: they fund legs as they are told to, and swapd claims and refunds for them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from swapd.coordinator import agree
from swapd.devnet.money import Account
from swapd.errors import Rejected
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms, Wallet
from tests.scenarios.books import Gains
from tests.scenarios.rig import AMOUNTS, Rig


@dataclass
class People:
    """Alice initiates, Bob takes part. Neither runs a swapd."""

    rig: Rig
    alice: Account
    bob: Account

    @classmethod
    async def met(cls, rig: Rig) -> People:
        rig.other.asleep = True
        return cls(rig, await rig.person("alice"), await rig.person("bob"))

    async def address(self, person: Account, symbol: str) -> str:
        if symbol == "ETH":
            return person.at["ethereum"]
        found: str = await self.rig.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=person.at["bitcoin"])
        return found

    async def side(self, person: Account, gives: str, gets: str) -> agree.Side:
        return agree.Side(Wallet.EXTERNAL, await self.address(person, gives), await self.address(person, gets))

    async def brokered(self) -> SwapTerms:
        """A swap between the two, both with plain addresses; the house keeps the secret and moves nothing of its own"""
        give, get = self.rig.direction.give, self.rig.direction.get
        request = agree.Request(
            *(give, AMOUNTS[give], get, AMOUNTS[get]),
            initiator=await self.side(self.alice, give, get),
            participant=await self.side(self.bob, get, give),
        )
        terms = await agree.create(self.rig.house.house, request, "operator")
        await self.rig.settle()
        return terms

    async def fund(self, person: Account, terms: SwapTerms, role: Role) -> None:
        await self.rig.follow_instructions(person, self.rig.house, terms.leg(role))

    def with_fees(self, gains: Gains, *paid_for: Account) -> Gains:
        """What the house's Bitcoin transactions cost came out of these people's legs, not out of its own wallet."""
        fee = gains["house"]["BTC"]
        assert (fee > 0) == bool(paid_for)
        expected = {name: dict(gain) for name, gain in gains.items()}
        expected["house"]["BTC"] = 0
        for person in paid_for:
            expected[person.name]["BTC"] += fee // len(paid_for)
        return expected


async def test_brokered_swap_pays_both_owners(rig: Rig) -> None:
    people = await People.met(rig)
    terms = await people.brokered()

    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.block(2)
    await people.fund(people.bob, terms, Role.PARTICIPANT)
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))

    give, get = rig.direction.give, rig.direction.get
    receiver_of_bitcoin = people.alice if get == "BTC" else people.bob
    gains = people.with_fees(await rig.accounts_balance(), receiver_of_bitcoin)
    assert gains == {
        **rig.nothing,
        "alice": {give: -AMOUNTS[give], get: AMOUNTS[get]},
        "bob": {give: AMOUNTS[give], get: -AMOUNTS[get]},
    }


async def test_brokered_swap_refunded_when_the_other_never_locks(rig: Rig) -> None:
    people = await People.met(rig)
    terms = await people.brokered()
    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)

    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    paid_for = [people.alice] if rig.direction.give == "BTC" else []
    assert people.with_fees(await rig.accounts_balance(), *paid_for) == rig.nothing


async def test_external_leg_funded_by_following_the_instructions(rig: Rig) -> None:
    """House liquidity: its own wallet gives, and a person without a swapd follows the instructions for the rest."""
    people = await People.met(rig)
    give, get = rig.direction.give, rig.direction.get
    request = agree.Request(
        *(give, AMOUNTS[give], get, AMOUNTS[get]),
        initiator=agree.Side(Wallet.HOT),
        participant=await people.side(people.bob, get, give),
    )
    terms = await agree.create(rig.house.house, request, "operator")
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)

    await people.fund(people.bob, terms, Role.PARTICIPANT)
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))

    gains = await rig.accounts_balance()
    assert gains["bob"][get] == -AMOUNTS[get]
    fee = AMOUNTS[give] - gains["bob"][give]
    assert (fee > 0) == (give == "BTC"), "the claim's fee comes out of a Bitcoin leg"
    assert gains["house"] == {give: fee - AMOUNTS[give], get: AMOUNTS[get]}


async def test_cancelled_before_the_lock(rig: Rig) -> None:
    await rig.house.restart(halted=True)
    terms, _ = await rig.offer(rig.house, rig.other)
    await _cancel(rig, terms)
    await rig.house.restart(halted=False)

    await rig.block(3)

    assert await rig.house.status(terms.swap_id) is Status.CANCELLED
    assert not await rig.house.effects(terms.swap_id)
    assert await rig.accounts_balance(locks=0) == rig.nothing


async def test_cancel_is_refused_after_the_lock(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.settle()

    with pytest.raises(Rejected, match="a lock exists"):
        await _cancel(rig, terms)

    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s12_money_that_comes_after_a_cancel_goes_back(rig: Rig) -> None:
    people = await People.met(rig)
    terms = await people.brokered()
    await _cancel(rig, terms)
    await rig.until(rig.house, terms.swap_id, Status.CANCELLED)

    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.block(3)
    assert await rig.house.status(terms.swap_id) is Status.REFUNDING
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    paid_for = [people.alice] if rig.direction.give == "BTC" else []
    assert people.with_fees(await rig.accounts_balance(), *paid_for) == rig.nothing


async def test_s12_money_that_comes_after_the_expiry_goes_back(rig: Rig) -> None:
    people = await People.met(rig)
    terms = await people.brokered()
    await rig.time_is(terms.initiator.terms.fund_by + 1)
    await rig.until(rig.house, terms.swap_id, Status.EXPIRED)

    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.block(3)

    if rig.direction.give == "ETH":  # the contract does not even take it
        assert await rig.house.status(terms.swap_id) is Status.EXPIRED
        assert people.with_fees(await rig.accounts_balance(locks=0)) == rig.nothing
        return
    assert await rig.house.status(terms.swap_id) is Status.REFUNDING
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert people.with_fees(await rig.accounts_balance(), people.alice) == rig.nothing


async def test_s12_money_for_both_legs_of_a_cancelled_swap_goes_back_and_the_secret_is_not_shown(rig: Rig) -> None:
    people = await People.met(rig)
    terms = await people.brokered()
    await _cancel(rig, terms)

    await people.fund(people.alice, terms, Role.INITIATOR)
    await people.fund(people.bob, terms, Role.PARTICIPANT)
    await rig.block(4)
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.block(3)
    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.state is LegState.REFUNDED
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    payee = people.alice if rig.direction.give == "BTC" else people.bob
    assert people.with_fees(await rig.accounts_balance(), payee) == rig.nothing


async def _cancel(rig: Rig, terms: SwapTerms) -> None:
    async with rig.house.house.store.write("operator") as writing:
        await writing.cancel(terms.swap_id, "the test says so")
