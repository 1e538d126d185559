"""How much may be at stake at a time. Entry alone is limited, and nothing is written for what is over a limit."""

from __future__ import annotations

import asyncio

import pytest

from swapd.coordinator import agree
from swapd.coordinator.limits import TooMuch
from swapd.errors import Rejected, SwapdError
from swapd.protocol.terms import SwapTerms
from tests.scenarios.rig import AMOUNTS, DIRECTIONS, Direction, Rig
from tests.scenarios.test_bad_input import everything_written, request

GIVES_BTC = pytest.mark.parametrize("direction", DIRECTIONS[:1], ids=str)
GIVEN, GOT = AMOUNTS["BTC"], AMOUNTS["ETH"]
ASSET = "SWAPD__CHAINS__BITCOIN__ASSETS__BTC__"
OTHERS_ASSET = "SWAPD__CHAINS__ETHEREUM__ASSETS__ETH__"


async def make(rig: Rig, owner: str = "") -> SwapTerms:
    return await agree.create(rig.house.house, request(rig.direction), "operator", owner=owner)


async def limited(rig: Rig, **settings: str) -> None:
    rig.house.more |= settings
    await rig.house.restart(halted=True)


async def refused(rig: Rig, setting: str, owner: str = "") -> None:
    before = everything_written(rig.house)
    with pytest.raises(TooMuch) as error:
        await make(rig, owner)
    assert error.value.setting == setting
    assert setting in str(error.value)
    assert everything_written(rig.house) == before


@pytest.fixture(autouse=True)
async def nothing_moves(rig: Rig) -> None:
    rig.done = True


@GIVES_BTC
async def test_what_swapd_has_at_stake_of_an_asset(rig: Rig, direction: Direction) -> None:
    await limited(rig, **{f"{ASSET}EXPOSURE_MAX": str(2 * GIVEN)})
    first, _ = await make(rig), await make(rig)
    await refused(rig, "chains.bitcoin.assets.BTC.exposure_max")
    async with rig.house.house.store.write("operator") as writing:
        await writing.cancel(first.swap_id, "room for another")
    await rig.house.look()
    await make(rig)


@GIVES_BTC
async def test_swaps_of_one_tenant_and_of_one_party(rig: Rig, direction: Direction) -> None:
    await limited(rig, SWAPD__ENTRY__TENANT_OPEN_SWAPS_MAX="1", SWAPD__ENTRY__PARTY_OPEN_SWAPS_MAX="3")
    await make(rig, "shop")
    await refused(rig, "entry.tenant_open_swaps_max", "shop")
    await make(rig, "stall")
    await make(rig)
    await refused(rig, "entry.party_open_swaps_max")


@GIVES_BTC
async def test_what_a_tenant_and_a_party_take_part_with_in_a_day(rig: Rig, direction: Direction) -> None:
    await limited(
        rig, **{f"{ASSET}TENANT_DAY_MAX": str(2 * GIVEN - 1), f"{OTHERS_ASSET}PARTY_DAY_MAX": str(3 * GOT - 1)}
    )
    await make(rig, "shop")
    await refused(rig, "chains.bitcoin.assets.BTC.tenant_day_max", "shop")
    await make(rig, "stall")
    await refused(rig, "chains.ethereum.assets.ETH.party_day_max")
    rig.house.clock_error = 86_401  # a day later by its own clock alone: the chains' say that nothing may be begun
    with pytest.raises(Rejected, match="clock"):
        await make(rig)


@GIVES_BTC
async def test_two_at_the_same_moment_do_not_pass_the_same_check(rig: Rig, direction: Direction) -> None:
    await limited(rig, **{f"{ASSET}EXPOSURE_MAX": str(2 * GIVEN)})
    made = await asyncio.gather(*(make(rig) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, SwapTerms) for each in made) == 2
    assert all(isinstance(each, SwapTerms | SwapdError) for each in made), made


@GIVES_BTC
async def test_two_at_the_same_moment_are_not_promised_the_same_money(rig: Rig, direction: Direction) -> None:
    """The wallet holds 0.2 BTC: enough for one of these."""
    await limited(rig)
    big = request(direction, give_amount=15_000_000)
    made = await asyncio.gather(
        *(agree.create(rig.house.house, big, "operator") for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(each, SwapTerms) for each in made) == 1, made
