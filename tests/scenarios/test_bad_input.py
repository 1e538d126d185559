"""What bad input gets: refused with the field, the value and what was expected, and nothing is written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from swapd.coordinator import agree
from swapd.errors import Invalid, Rejected
from swapd.protocol.terms import SwapTerms, Wallet
from swapd.store.codec import decode, encode
from tests.scenarios.chains import Chains
from tests.scenarios.rig import AMOUNTS, DIRECTIONS, Direction, Rig, new_rig
from tests.scenarios.side import Side

pytestmark = pytest.mark.asyncio(loop_scope="module")

GIVES_BTC, GIVES_ETH = DIRECTIONS
BITCOIN = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ETHEREUM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
EXTERNAL = {"BTC": BITCOIN, "ETH": ETHEREUM}
MAINNET_BITCOIN = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TESTNET_BITCOIN = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(chains: Chains, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One house and one other side for all tests of this file: nothing here changes anything."""
    async with new_rig(chains, GIVES_BTC, tmp_path_factory.mktemp("shop")) as made:
        yield made


def everything_written(side: Side) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with sqlite3.connect(f"file:{side.database}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: connection.execute(f'select * from "{name}" order by rowid').fetchall() for name in tables}  # noqa: S608


# -- creating ----------------------------------------------------------------------------------------------------------


def request(direction: Direction, **changes: Any) -> agree.Request:
    give, get = direction.give, direction.get
    good = agree.Request(
        *(give, AMOUNTS[give], get, AMOUNTS[get]),
        initiator=agree.Side(Wallet.HOT),
        participant=agree.Side(Wallet.EXTERNAL, EXTERNAL[get], EXTERNAL[give]),
    )
    return replace(good, **changes)


def participant(direction: Direction, **changes: Any) -> dict[str, agree.Side]:
    return {"participant": replace(request(direction).participant, **changes)}


BAD_ADDRESSES = {
    "BTC": {
        "mainnet": MAINNET_BITCOIN,
        "testnet": TESTNET_BITCOIN,
        "another_chains": ETHEREUM,
        "with_a_wrong_letter": BITCOIN[:-1] + "q",
        "key_off_the_curve": "02" + "ff" * 32,
        "key_of_malformed_hex": "02" + "zz" * 32,
        "key_too_short": "02" + "11" * 31,
        "nothing": "",
    },
    "ETH": {
        "another_chains": BITCOIN,
        "with_a_wrong_letter": ETHEREUM.replace("A", "a", 1),
        "of_malformed_hex": "0x" + "zz" * 20,
        "too_short": ETHEREUM[:-2],
        "of_nobody": "0x" + "00" * 20,
        "nothing": "",
    },
}

BAD_REQUESTS = [
    pytest.param(direction, changes, field, id=f"{direction}-{name}")
    for direction in DIRECTIONS
    for name, changes, field in [
        *(
            (f"{where}_{what}", participant(direction, **{where: text}), f"participant.{where}")
            for where, symbol in (("refund_to", direction.get), ("receive_at", direction.give))
            for what, text in BAD_ADDRESSES[symbol].items()
        ),
        ("same_chain_twice", {"get": direction.give, "get_amount": AMOUNTS[direction.give]}, "get"),
        ("give_zero", {"give_amount": 0}, "give_amount"),
        ("get_zero", {"get_amount": 0}, "get_amount"),
        ("give_negative", {"give_amount": -AMOUNTS[direction.give]}, "give_amount"),
        ("get_negative", {"get_amount": -AMOUNTS[direction.get]}, "get_amount"),
        ("give_dust", {"give_amount": 545}, "give_amount"),
        ("get_dust", {"get_amount": 545}, "get_amount"),
        ("give_over_the_limit", {"give_amount": 10**21}, "give_amount"),
        ("get_over_the_limit", {"get_amount": 10**21}, "get_amount"),
        ("give_unknown", {"give": "DOGE"}, "give"),
        ("get_unknown", {"get": "DOGE"}, "get"),
        ("hot_with_an_address", {"initiator": agree.Side(Wallet.HOT, EXTERNAL[direction.give])}, "initiator.refund_to"),
        ("external_without_a_refund", participant(direction, refund_to=None), "participant.refund_to"),
        ("external_without_a_payout", participant(direction, receive_at=None), "participant.receive_at"),
    ]
]


@pytest.mark.parametrize(("direction", "changes", "field"), BAD_REQUESTS)
async def test_bad_request_is_refused_and_nothing_is_written(
    shop: Rig, direction: Direction, changes: dict[str, Any], field: str
) -> None:
    before = everything_written(shop.house)

    with pytest.raises(Invalid) as refused:
        await agree.create(shop.house.house, request(direction, **changes), "operator")

    assert refused.value.field == field
    given = changes.get(field.partition(".")[0])
    assert refused.value.value == (getattr(given, field.partition(".")[2]) if "." in field else given)
    assert refused.value.expected
    assert everything_written(shop.house) == before


@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
@pytest.mark.parametrize("short_of", ["amount", "fee"])
async def test_insufficient_funds_are_refused_at_creation(shop: Rig, direction: Direction, short_of: str) -> None:
    """Fees included: not even a wallet that holds exactly the amount is enough."""
    balance = (await shop.house.house.markets[_chain(direction.give)].chain.balances())[direction.give]
    asked = balance + 1 if short_of == "amount" else balance
    before = everything_written(shop.house)

    with pytest.raises(Rejected, match=f"not enough {direction.give}: this needs {asked}|not enough {direction.give}"):
        await agree.create(shop.house.house, request(direction, give_amount=asked), "operator")

    assert everything_written(shop.house) == before


async def test_funds_promised_to_one_swap_are_not_there_for_another(shop: Rig) -> None:
    """The wallet holds 0.2 BTC: enough for either, not for both."""
    await agree.create(shop.house.house, request(GIVES_BTC, give_amount=15_000_000), "operator")
    before = everything_written(shop.house)

    with pytest.raises(Rejected, match="15000000 of it is promised to other swaps"):
        await agree.create(shop.house.house, request(GIVES_BTC, give_amount=6_000_000), "operator")

    assert everything_written(shop.house) == before


# -- accepting ---------------------------------------------------------------------------------------------------------

Offer = dict[str, Any]
OFFERS: dict[Direction, tuple[str, int]] = {}


def _leg(offer: Offer, role: str, **changes: Any) -> None:
    offer[role]["terms"] |= changes


def _earlier(role: str, name: str, seconds: int) -> Callable[[Offer], None]:
    def change(offer: Offer) -> None:
        offer[role]["terms"][name] -= seconds

    return change


def _both(name: str, value: Any) -> Callable[[Offer], None]:
    def change(offer: Offer) -> None:
        for role in ("initiator", "participant"):
            offer[role]["terms"][name] = value

    return change


def _wrong_order(offer: Offer) -> None:
    first, second = offer["initiator"]["terms"], offer["participant"]["terms"]
    first["timelock"], second["timelock"] = second["timelock"], first["timelock"]


def _equal(offer: Offer) -> None:
    _leg(offer, "initiator", timelock=offer["participant"]["terms"]["timelock"])


def _reveal_late(offer: Offer) -> None:
    offer["reveal_by"] = offer["participant"]["terms"]["timelock"] - 1


def _too_long(offer: Offer) -> None:
    _leg(offer, "initiator", timelock=offer["initiator"]["terms"]["timelock"] + 365 * 86_400)


def _fund_late(offer: Offer) -> None:
    """What would let the participant lock before the initiator leg can be final."""
    moment = offer["initiator"]["terms"]["fund_by"]
    _leg(offer, "participant", fund_by=moment)
    offer["participant"]["lock_by"] = moment


def _window_is_over(offer: Offer) -> None:
    for role in ("initiator", "participant"):
        _earlier(role, "fund_by", 86_400)(offer)
        offer[role]["lock_by"] -= 86_400


def _same_chain(offer: Offer) -> None:
    _leg(offer, "participant", asset=offer["initiator"]["terms"]["asset"])


TAMPERED: dict[str, tuple[Callable[[Offer], None], str]] = {
    "participant_timelock_too_short": (_earlier("participant", "timelock", 60), "participant.timelock"),
    "initiator_timelock_too_short": (_earlier("initiator", "timelock", 60), "initiator.timelock"),
    "timelocks_in_the_wrong_order": (_wrong_order, "timelock"),
    "timelocks_equal": (_equal, "timelock"),
    "timelock_of_a_year": (_too_long, "initiator.timelock"),
    "reveal_too_late": (_reveal_late, "reveal_by"),
    "participant_funds_too_early": (_fund_late, "participant.fund_by"),
    "windows_are_over": (_window_is_over, "participant.fund_by"),
    "two_hashlocks": (lambda offer: _leg(offer, "participant", hashlock="11" * 32), "hashlock"),
    "hashlock_of_another_id": (_both("hashlock", "11" * 32), "swap_id"),
    "hashlock_of_malformed_hex": (_both("hashlock", "zz" * 32), "initiator.terms.hashlock"),
    "hashlock_too_short": (_both("hashlock", "11" * 31), "hashlock"),
    "amount_zero": (lambda offer: _leg(offer, "participant", amount="0"), "amount"),
    "amount_negative": (lambda offer: _leg(offer, "participant", amount="-1"), "participant.terms.amount"),
    "amount_a_number": (lambda offer: _leg(offer, "participant", amount=10**6), "participant.terms.amount"),
    "amount_dust": (lambda offer: _leg(offer, "initiator", amount="545"), "initiator.amount"),
    "amount_over_the_limit": (lambda offer: _leg(offer, "participant", amount=str(10**21)), "participant.amount"),
    "same_chain_twice": (_same_chain, "chain"),
    "asset_unknown": (lambda offer: offer["initiator"]["terms"]["asset"].update(symbol="DOGE"), "initiator.asset"),
    "asset_of_another_contract": (
        lambda offer: offer["initiator"]["terms"]["asset"].update(token=ETHEREUM),
        "initiator.asset",
    ),
    "receiver_not_ours": (lambda offer: _leg(offer, "initiator", receiver=ETHEREUM), "initiator.receiver"),
    "sender_not_ours": (lambda offer: _leg(offer, "participant", sender=ETHEREUM), "participant.sender"),
    "sender_malformed": (lambda offer: _leg(offer, "initiator", sender="02zz"), "initiator.sender"),
    "field_missing": (lambda offer: offer.pop("reveal_by"), "reveal_by"),
    "field_unknown": (lambda offer: offer.update(fee=1), "fee"),
}


@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
@pytest.mark.parametrize("tampered", TAMPERED)
async def test_tampered_offer_is_refused_and_nothing_is_written(shop: Rig, direction: Direction, tampered: str) -> None:
    change, field = TAMPERED[tampered]
    offer, index = await _offered(shop, direction)
    change(offer)
    before = everything_written(shop.house)

    with pytest.raises(Invalid) as refused:
        await _accept(shop.house, offer, index)

    assert refused.value.field == field
    assert refused.value.expected
    assert everything_written(shop.house) == before


@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
async def test_s13_an_offer_whose_hashlock_was_used_before_is_refused(shop: Rig, direction: Direction) -> None:
    offer, index = await _offered(shop, direction)
    await _accept(shop.house, offer, index)
    before = everything_written(shop.house)

    with pytest.raises(Invalid, match="never used before") as refused:
        await _accept(shop.house, offer, index)

    assert refused.value.field == "hashlock"
    assert refused.value.value == offer["initiator"]["terms"]["hashlock"]
    assert everything_written(shop.house) == before


async def _offered(rig: Rig, direction: Direction) -> tuple[Offer, int]:
    """An honest offer of the other's to the house, as JSON; one for all tests, because each binds money."""
    if direction not in OFFERS:
        rig.direction = direction
        terms, index = await rig.offer(rig.other, rig.house)
        OFFERS[direction] = json.dumps(encode(terms)), index
    text, index = OFFERS[direction]
    return json.loads(text), index


async def _accept(side: Side, offer: Offer, index: int) -> None:
    await agree.accept(side.house, decode(SwapTerms, offer), index, "operator")


def _chain(symbol: str) -> str:
    return {"BTC": "bitcoin", "ETH": "ethereum"}[symbol]
