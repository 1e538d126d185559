"""The fee schedule, for every market, amount and moment; and replacements that a real node accepts."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.fees import Market, Purse, Rival
from swapd.chains.bitcoin.settings import FeeSettings
from swapd.chains.bitcoin.transaction import dust
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState

from .conftest import FAR, World

RATES = st.integers(1, 2_000)
LEFT = st.integers(-100_000, 400_000)


@st.composite
def fee_settings(draw: st.DrawFn) -> FeeSettings:
    floor, fallback, cap = sorted(draw(st.lists(RATES, min_size=3, max_size=3)))
    return FeeSettings(
        floor_rate=floor,
        fallback_rate=fallback,
        cap_rate=cap,
        cap_share=draw(st.floats(0.001, 0.5)),
        step=draw(st.floats(0.01, 1)),
        rush_seconds=draw(st.integers(1, 50_000)),
        rush_multiple=draw(st.floats(1, 20)),
        batch_seconds=0,
    )


MARKETS = st.builds(Market, RATES, RATES, st.integers(1, 10))
PURSES = st.builds(
    Purse, amount=st.integers(1, 10**9), vsize=st.integers(100, 200), keep=st.integers(294, 600), yields=st.booleans()
)
RIVALS = st.lists(st.builds(Rival, st.integers(0, 10**6), RATES), max_size=3)


@given(fee_settings(), MARKETS, PURSES, RIVALS, LEFT, st.integers(0, 100_000))
def test_fees_never_fall_as_the_deadline_comes_nearer(
    settings: FeeSettings, market: Market, purse: Purse, rivals: list[Rival], left: int, sooner: int
) -> None:
    at = {x: fees.wanted_rate(settings, market, x, yields=purse.yields) for x in (left - sooner, left)}
    assert at[left - sooner] >= at[left]
    assert fees.ceiling(settings, market, purse, left - sooner) >= fees.ceiling(settings, market, purse, left)
    later, earlier = (fees.next_fee(settings, market, purse, rivals, x) for x in (left - sooner, left))
    assert earlier is None or (later is not None and later >= earlier)


@given(fee_settings(), MARKETS, PURSES, RIVALS, LEFT)
def test_a_fee_keeps_to_its_ceiling_leaves_more_than_dust_and_outbids_by_bip_125(
    settings: FeeSettings, market: Market, purse: Purse, rivals: list[Rival], left: int
) -> None:
    fee = fees.next_fee(settings, market, purse, rivals, left)
    if fee is None:
        return
    assert fee <= purse.amount - purse.keep
    assert fee <= fees.ceiling(settings, market, purse, left)
    assert fee >= market.minimum * purse.vsize
    for rival in rivals:
        assert fee >= rival.fee + market.increment * purse.vsize, "rules 3 and 4"
        assert fee > rival.rate * purse.vsize, "the rate rises"


@given(fee_settings(), MARKETS, PURSES, LEFT)
def test_the_cap_yields_only_near_the_deadline_and_only_where_it_may(
    settings: FeeSettings, market: Market, purse: Purse, left: int
) -> None:
    most = fees.ceiling(settings, market, purse, left)
    everything = max(0, purse.amount - purse.keep)
    share = max(int(settings.cap_share * purse.amount), market.minimum * purse.vsize)
    if left >= settings.rush_seconds or not purse.yields:
        assert most == min(everything, share)
    elif left <= 0:
        assert most >= everything - 1


@given(fee_settings(), MARKETS, PURSES, LEFT)
def test_the_cap_never_keeps_a_payable_transaction_out_of_the_mempool(
    settings: FeeSettings, market: Market, purse: Purse, left: int
) -> None:
    payable = purse.amount - purse.keep >= market.minimum * purse.vsize
    assert (fees.next_fee(settings, market, purse, (), left) is not None) == payable


@given(fee_settings(), MARKETS, PURSES, RIVALS, LEFT, st.integers(0, 2_000), st.integers(0, 2_000))
def test_fees_never_fall_as_the_market_rises(
    settings: FeeSettings, market: Market, purse: Purse, rivals: list[Rival], left: int, more: int, asked: int
) -> None:
    """Unless even the least that the network asks is more than the whole amount."""
    dearer = Market(market.estimate + more, market.minimum + asked, market.increment)
    rates = [fees.wanted_rate(settings, each, left, yields=purse.yields) for each in (market, dearer)]
    assert rates == sorted(rates)
    assert fees.ceiling(settings, dearer, purse, left) >= fees.ceiling(settings, market, purse, left)
    before, after = (fees.next_fee(settings, each, purse, rivals, left) for each in (market, dearer))
    if before is not None and after is not None:
        assert after >= before
    if before is not None and after is None:
        assert dearer.minimum * purse.vsize > purse.amount - purse.keep


@given(fee_settings(), MARKETS, PURSES, RIVALS, LEFT, st.integers(0, 10**9))
def test_fees_never_fall_as_more_is_at_stake(
    settings: FeeSettings, market: Market, purse: Purse, rivals: list[Rival], left: int, more: int
) -> None:
    larger = replace(purse, amount=purse.amount + more)
    assert fees.ceiling(settings, market, larger, left) >= fees.ceiling(settings, market, purse, left)
    less, much = (fees.next_fee(settings, market, each, rivals, left) for each in (purse, larger))
    assert less is None or (much is not None and much >= less)


@given(fee_settings(), MARKETS, PURSES, RIVALS, RIVALS, LEFT)
def test_a_void_outbids_its_own_lock_whatever_the_cap_and_others_within_it(
    settings: FeeSettings, market: Market, purse: Purse, ours: list[Rival], others: list[Rival], left: int
) -> None:
    fee = fees.void_fee(settings, market, purse, ours, others, left)
    own = fees.least_fee(market, purse.vsize, ours)
    needed = max(own, fees.least_fee(market, purse.vsize, others))
    most = max(own, fees.ceiling(settings, market, purse, left))
    if fee is None:
        assert needed > min(most, purse.amount - purse.keep)
        return
    assert needed <= fee <= most
    assert fee <= purse.amount - purse.keep
    for rival in [*ours, *others]:
        assert fee >= rival.fee + market.increment * purse.vsize, "rules 3 and 4"


@given(fee_settings(), MARKETS, LEFT, st.integers(1, 10**12), st.booleans())
def test_however_absurd_an_estimate_is_no_more_is_bid_than_the_cap_or_what_the_network_asks_unless_an_exit_is_due(
    settings: FeeSettings, market: Market, left: int, estimate: int, yields: bool
) -> None:
    absurd = replace(market, estimate=estimate)
    rate = fees.wanted_rate(settings, absurd, left, yields=yields)
    near = yields and left < settings.rush_seconds
    assert near or rate <= max(settings.cap_rate, market.minimum)


@given(fee_settings(), MARKETS, st.integers(-100_000, 0), st.integers(1, 200_000))
def test_s8_at_its_deadline_an_exit_bids_what_the_market_asks_and_the_amount_alone_is_a_bound(
    settings: FeeSettings, market: Market, left: int, estimate: int
) -> None:
    dear = replace(market, estimate=estimate)
    asked = max(estimate, market.minimum, settings.floor_rate)
    purse = Purse(10**12, 150, 300, yields=True)
    assert (fees.next_fee(settings, dear, purse, (), left) or 0) >= asked * purse.vsize
    small = replace(purse, amount=100_000)
    assert (fees.next_fee(settings, dear, small, (), left) or 0) <= small.amount - small.keep


@given(fee_settings(), MARKETS, LEFT, st.integers(1, 10**6))
def test_the_cap_on_the_rate_yields_to_nothing_while_the_deadline_is_far_and_for_a_lock_never(
    settings: FeeSettings, market: Market, left: int, estimate: int
) -> None:
    dear, most = replace(market, estimate=estimate), max(settings.cap_rate, market.minimum)
    assert fees.wanted_rate(settings, dear, settings.rush_seconds, yields=True) <= most
    assert fees.wanted_rate(settings, dear, left, yields=False) <= most


@given(fee_settings(), MARKETS, PURSES, LEFT)
def test_a_fee_is_told_of_when_a_cap_yields_and_when_one_holds_it_back(
    settings: FeeSettings, market: Market, purse: Purse, left: int
) -> None:
    fee = fees.next_fee(settings, market, purse, (), left)
    if fee is None:
        return
    assert fees.above_share(settings, purse, fee) is (fee > settings.cap_share * purse.amount)
    if not fees.held_back(settings, market, purse, fee, left):
        assert fee >= max(market.estimate, market.minimum) * purse.vsize


@given(fee_settings(), MARKETS, LEFT)
def test_what_was_just_sent_at_the_right_rate_is_good_enough(settings: FeeSettings, market: Market, left: int) -> None:
    assert all(
        fees.good_enough(settings, market, fees.wanted_rate(settings, market, left, yields=y), left, yields=y)
        for y in (False, True)
    )


@given(st.integers(-(10**6), 10**7), st.floats(1, 1000))
def test_estimates_are_asked_for_a_number_of_blocks_that_a_node_takes(left: int, block_seconds: float) -> None:
    assert 1 <= fees.target(left, block_seconds) <= fees.LONGEST_TARGET
    assert fees.target(0, block_seconds) == 1


@pytest.mark.parametrize(
    ("script", "least"),
    [
        (b"\x00\x14" + bytes(20), 294),
        (b"\x00\x20" + bytes(32), 330),
        (b"\x51\x20" + bytes(32), 330),
        (b"\x76\xa9\x14" + bytes(20) + b"\x88\xac", 546),
        (b"\xa9\x14" + bytes(20) + b"\x87", 540),
    ],
)
def test_dust_is_what_bitcoin_core_says_it_is(script: bytes, least: int) -> None:
    assert dust(script) == least


async def test_s6_a_claim_is_replaced_by_better_ones_as_its_deadline_comes_and_the_node_takes_them(
    world: World,
) -> None:
    leg = await world.locked()
    sent = [await world.send(EffectKind.CLAIM, leg)]
    assert await world.draft(EffectKind.CLAIM, leg, *sent) is None, "it is good enough"
    for left in (3600, 1800, 0):
        better = await world.send(EffectKind.CLAIM, leg, *sent, left=left)
        assert better.txid != sent[-1].txid
        assert better.spends == sent[-1].spends
        sent.append(better)
        assert (await world.view(leg)).spend_txid == better.txid
    assert [a.rate < b.rate for a, b in itertools.pairwise(sent)] == [True] * 3
    assert await world.draft(EffectKind.CLAIM, leg, *sent, left=-1000) is None, "after the deadline it stays there"
    await world.node.mine(1)
    fates = [(await world.chain.fate(tx)).state.value for tx in sent]
    assert fates == ["replaced"] * 3 + ["mined"]


async def test_a_replacement_outbids_by_the_full_increment(world: World) -> None:
    leg = await world.locked()
    first = await world.send(EffectKind.CLAIM, leg, left=2000)
    second = await world.send(EffectKind.CLAIM, leg, first, left=500)
    assert second.fee >= first.fee + 109
    await world.node.mine(1)


async def test_s5_a_due_refund_outbids_a_foreign_claim_that_is_pending(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.locked(timelock=timelock)
    await world.node.set_time(timelock + 60)
    await world.node.mine(11)
    claim = await world.send(EffectKind.CLAIM, leg, left=0)
    refund = await world.send(EffectKind.REFUND, leg, left=FAR)
    assert refund.fee > claim.fee
    view = await world.view(leg)
    assert (view.state, view.spend_txid) == (LegState.REFUNDED, refund.txid)
    again = await world.send(EffectKind.CLAIM, leg, claim, left=FAR)
    assert again.fee > refund.fee, "our claim was evicted: resending it would not do"
    assert (await world.view(leg)).state is LegState.CLAIMED


async def test_a_leg_that_cannot_pay_for_its_own_spend_is_refused_in_words(world: World) -> None:
    leg = await world.leg(amount=350)
    await world.pay(leg)
    with pytest.raises(Rejected, match="dust"):
        await world.draft(EffectKind.CLAIM, await world.seen(leg))


async def test_a_small_leg_pays_no_more_than_its_share_while_there_is_time(world: World) -> None:
    leg = await world.leg(amount=10_000)
    await world.pay(leg)
    leg = await world.seen(leg)
    world.chain._spending._settings = world.chain._settings.fee.model_copy(update={"floor_rate": 100})
    patient = await world.draft(EffectKind.CLAIM, leg)
    urgent = await world.draft(EffectKind.CLAIM, leg, left=0)
    assert patient is not None
    assert urgent is not None
    assert patient.fee == 10_000 * 5 // 100
    assert urgent.fee == 10_000 - 294, "at the deadline all but dust may go: anything is better than nothing"


async def test_a_claim_that_fell_under_the_mempools_minimum_is_replaced_by_a_dearer_one(own_world: World) -> None:
    world = own_world
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    world.node._options = ("-minrelaytxfee=0.00006",)
    await world.node.restart()
    assert (await world.view(leg)).state is LegState.LOCKED, "the node forgot the claim"
    with pytest.raises(Rejected, match="min relay fee"):
        await world.chain.broadcast(claim)
    dearer = await world.send(EffectKind.CLAIM, leg, claim)
    assert dearer.rate >= 6
    await world.node.mine(1)
    assert (await world.view(leg)).spend_txid == dearer.txid
