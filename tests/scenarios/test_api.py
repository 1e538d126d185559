"""The three kinds of people at their doors: whole swaps over HTTP, on real nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from swapd.protocol.request import Side as Party
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from tests.scenarios.http import Http, Json, http_of, party
from tests.scenarios.rig import AMOUNTS, Rig
from tests.scenarios.test_external import People


@pytest.fixture
async def http(rig: Rig) -> AsyncIterator[Http]:
    async with http_of(rig.house) as made:
        yield made


def wish(rig: Rig, initiator: Party, participant: Party) -> Json:
    give, get = rig.direction.give, rig.direction.get
    return {
        "give": give,
        "give_amount": str(AMOUNTS[give]),
        "get": get,
        "get_amount": str(AMOUNTS[get]),
        "initiator": party(initiator),
        "participant": party(participant),
    }


async def brokered(http: Http, people: People, who: str = "shop") -> str:
    """A swap between two people outside, made by a marketplace. Returns its id."""
    rig = people.rig
    give, get = rig.direction.give, rig.direction.get
    form = wish(rig, await people.side(people.alice, give, get), await people.side(people.bob, get, give))
    made = await http.post(who, "/v1/swaps", form, 201)
    await rig.settle()
    swap_id: str = made["id"]
    return swap_id


async def terms_of(rig: Rig, swap_id: str) -> SwapTerms:
    return (await rig.house.row(swap_id)).terms


async def test_a_marketplace_brings_two_people_together(rig: Rig, http: Http) -> None:
    people = await People.met(rig)
    swap_id = await brokered(http, people)
    assert (await http.get("shop", f"/v1/swaps/{swap_id}"))["swap"]["status"] == "accepted"
    await http.get("stall", f"/v1/swaps/{swap_id}", 404)
    assert (await http.get("stall", "/v1/swaps"))["items"] == []

    for person, role, after in (
        (people.alice, Role.INITIATOR, Status.INITIATOR_LOCKED),
        (people.bob, Role.PARTICIPANT, Status.COMPLETED),
    ):
        told = await http.get("shop", f"/v1/swaps/{swap_id}/legs/{role.value}/funding")
        leg = (await terms_of(rig, swap_id)).leg(role)
        assert told["fields"] == dict(rig.house.house.chain(leg.terms.chain).instructions(leg).fields)
        await rig.follow_instructions(person, rig.house, leg)
        await rig.until(rig.house, swap_id, after)
        await rig.block(2)
    await rig.until_over(swap_id, Status.COMPLETED, sides=(rig.house,))

    done = await http.get("shop", f"/v1/swaps/{swap_id}")
    assert done["swap"]["status"] == "completed"
    assert done["swap"]["preimage"] is not None
    story = [each["sentence"] for each in (await http.get("shop", f"/v1/swaps/{swap_id}/timeline"))["items"]]
    assert story[0].startswith("the swap was agreed")
    assert any("redeeming → completed" in line for line in story)
    give, get = rig.direction.give, rig.direction.get
    receiver_of_bitcoin = people.alice if get == "BTC" else people.bob
    gains = people.with_fees(await rig.accounts_balance(), receiver_of_bitcoin)
    assert gains["alice"] == {give: -AMOUNTS[give], get: AMOUNTS[get]}
    assert gains["bob"] == {give: AMOUNTS[give], get: -AMOUNTS[get]}


async def test_s2_s5_a_dispute_between_lock_and_reveal_ends_in_a_forced_refund(rig: Rig, http: Http) -> None:
    people = await People.met(rig)
    swap_id = await brokered(http, people)
    terms = await terms_of(rig, swap_id)
    await rig.follow_instructions(people.alice, rig.house, terms.initiator)
    await rig.until(rig.house, swap_id, Status.INITIATOR_LOCKED)
    await rig.block(2)
    await rig.follow_instructions(people.bob, rig.house, terms.participant)
    await rig.until(rig.house, swap_id, Status.PARTICIPANT_LOCKED)

    dispute = await http.post("dora", f"/v1/swaps/{swap_id}/disputes", {"reason": "alice is not alice"}, 201)
    await http.post("dora", f"/v1/swaps/{swap_id}/disputes", {"reason": "again"}, 409)
    await rig.block(8)
    assert not (await rig.house.row(swap_id)).reveal_sent, "both legs are final, and the secret is not shown"
    assert (await http.get("shop", f"/v1/swaps/{swap_id}"))["swap"]["frozen"] is not None

    early = await http.post("dora", f"/v1/swaps/{swap_id}/refund", status=409)
    assert early["rule"] == "S5"
    assert early["possible_at"] == terms.participant.terms.timelock

    forced = await http.post("dora", f"/v1/disputes/{dispute['id']}/force-refund", {"why": "fraud"})
    assert (forced["state"], forced["decided_by"]) == ("forced", "dispute:dora")
    await http.post("dora", f"/v1/disputes/{dispute['id']}/resume", {"why": "no"}, 409)
    await rig.house.restart()
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(swap_id, Status.REFUNDED, sides=(rig.house,))

    async with http_of(rig.house, http.tokens) as again:
        evidence = await again.get("aud", f"/v1/swaps/{swap_id}/evidence")
    events = [entry["event"] for entry in evidence["bundle"]["audit"]["entries"]]
    assert {"dispute opened", "dispute forced"} <= set(events)
    assert evidence["bundle"]["preimage"] is None
    assert all(leg["proofs"].keys() - {"none"} for leg in evidence["bundle"]["legs"].values()), "both chains prove it"
    gains = await rig.accounts_balance()
    person = people.alice if rig.direction.give == "BTC" else people.bob
    assert people.with_fees(gains, person) == rig.nothing


async def test_s6_a_refund_is_not_forced_once_the_secret_is_out(rig: Rig, http: Http) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.REDEEMING)
    dispute = await http.post("dora", f"/v1/swaps/{terms.swap_id}/disputes", {"reason": "too late"}, 201)
    refused = await http.post("dora", f"/v1/disputes/{dispute['id']}/force-refund", {"why": "please"}, 409)
    assert refused["rule"] == "S6"
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_a_resumed_swap_completes(rig: Rig, http: Http) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    dispute = await http.post("dora", f"/v1/swaps/{terms.swap_id}/disputes", {"reason": "a look"}, 201)
    await http.post("dora", f"/v1/disputes/{dispute['id']}/notes", {"note": "all is well"}, 204)
    await rig.block(4)
    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    await http.post("dora", f"/v1/disputes/{dispute['id']}/resume", {"why": "all is well"})
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_a_large_swap_waits_for_two_operators(rig: Rig) -> None:
    give = rig.direction.give
    chain = rig.house.house.asset("give", give)[0].chain
    rig.house.more[f"SWAPD__CHAINS__{chain.upper()}__ASSETS__{give}__APPROVE_FROM"] = str(AMOUNTS[give])
    await rig.house.restart()
    async with http_of(rig.house) as http:
        terms = await rig.agreed(rig.house, rig.other)
        path = f"/v1/swaps/{terms.swap_id}"
        await rig.block(3)
        assert await rig.house.effects(terms.swap_id) == {}, "nothing is locked yet"
        assert "0 of 2 operators" in (await http.get("olga", path))["swap"]["trouble"]

        await http.ask("olga", "PUT", f"{path}/approval")
        await http.ask("olga", "PUT", f"{path}/approval")
        await http.ask("shop", "PUT", f"{path}/approval", status=403)
        await rig.block(2)
        assert await rig.house.effects(terms.swap_id) == {}, "one operator twice is one"
        await http.ask("otto", "PUT", f"{path}/approval")
        await http.ask("olga", "DELETE", f"{path}/approval")
        await rig.block(2)
        assert await rig.house.effects(terms.swap_id) == {}, "one has taken it back"
        told = await http.ask("olga", "PUT", f"{path}/approval")
        assert (told["needed"], told["given"]) == (2, 2)
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
