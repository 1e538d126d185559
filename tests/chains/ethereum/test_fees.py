"""What is bid for a place in a block, as a function of market and time left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.base import TxState
from swapd.chains.ethereum.fees import FeePolicy, Fees, Market
from swapd.chains.ethereum.transactions import attempt_of
from swapd.protocol.effects import EffectKind
from tests.chains.ethereum import proxy
from tests.chains.ethereum.world import PREIMAGE, World

GWEI = 10**9
POLICY = FeePolicy(
    priority_floor=GWEI,
    urgency_factor=10,
    ramp_seconds=1800,
    fee_cap=100 * GWEI,
    fee_cap_at_deadline=1000 * GWEI,
    bump_percent=13,
)

markets = st.builds(Market, base_fee=st.integers(1, 5_000 * GWEI), priority=st.integers(0, 500 * GWEI))
lefts = st.integers(-100_000, 100_000)
policies = st.builds(
    lambda floor, factor, ramp, cap, more, bump: FeePolicy(floor, factor, ramp, floor + cap, floor + cap + more, bump),
    st.integers(1, 10 * GWEI),
    st.integers(1, 100),
    st.integers(1, 100_000),
    st.integers(0, 500 * GWEI),
    st.integers(0, 5_000 * GWEI),
    st.integers(13, 100),
)


@st.composite
def bids(draw: st.DrawFn) -> Fees:
    max_fee = draw(st.integers(1, 2_000 * GWEI))
    return Fees(max_fee, draw(st.integers(0, max_fee)))


@given(policies, markets, lefts, lefts)
def test_a_bid_never_falls_as_the_deadline_comes_nearer(policy: FeePolicy, market: Market, one: int, two: int) -> None:
    early, late = policy.first(market, max(one, two)), policy.first(market, min(one, two))
    assert early.max_fee <= late.max_fee
    assert early.priority <= late.priority


@given(policies, markets, lefts)
def test_a_bid_keeps_to_the_cap_of_its_moment_and_is_well_formed(policy: FeePolicy, market: Market, left: int) -> None:
    bid = policy.first(market, left)
    assert 0 < bid.priority <= bid.max_fee <= policy.cap(left) <= policy.fee_cap_at_deadline


@given(policies, markets, lefts, bids())
def test_a_replacement_raises_both_fees_by_an_eighth_at_least_and_keeps_to_the_cap(
    policy: FeePolicy, market: Market, left: int, last: Fees
) -> None:
    better = policy.replacement(market, left, last)
    if better is not None:
        assert better.max_fee * 8 >= last.max_fee * 9
        assert better.priority * 8 >= last.priority * 9
        assert better.priority <= better.max_fee <= policy.cap(left)


@given(policies, markets, lefts, lefts, bids())
def test_what_deserves_a_replacement_deserves_it_no_less_when_time_is_shorter(
    policy: FeePolicy, market: Market, one: int, two: int, last: Fees
) -> None:
    early, late = (policy.replacement(market, left, last) for left in (max(one, two), min(one, two)))
    if early is not None:
        assert late is not None
        assert late.max_fee >= early.max_fee
        assert late.priority >= early.priority


@given(policies, markets, lefts, st.integers(0, 1_000 * GWEI), st.integers(0, 100 * GWEI))
def test_a_bid_never_falls_as_the_market_rises(
    policy: FeePolicy, market: Market, left: int, base_fee: int, priority: int
) -> None:
    dearer = Market(market.base_fee + base_fee, market.priority + priority)
    before, after = policy.first(market, left), policy.first(dearer, left)
    assert after.max_fee >= before.max_fee
    assert after.priority >= before.priority


@given(policies, st.integers(0, 10**30), st.integers(0, 10**30), lefts, bids())
def test_however_absurd_a_market_is_the_cap_of_the_moment_holds(
    policy: FeePolicy, base_fee: int, priority: int, left: int, last: Fees
) -> None:
    market = Market(base_fee, priority)
    bid, better = policy.first(market, left), policy.replacement(market, left, last)
    assert 0 < bid.priority <= bid.max_fee <= policy.cap(left)
    assert better is None or better.max_fee <= policy.cap(left)


@given(policies, markets, lefts)
def test_a_bid_is_told_of_when_the_cap_holds_it_back_and_when_it_yields(
    policy: FeePolicy, market: Market, left: int
) -> None:
    bid = policy.first(market, left)
    if not policy.at_cap(bid, left):
        assert bid.max_fee >= 2 * market.base_fee + market.priority
    if left >= policy.ramp_seconds:
        assert not policy.cap_yields(bid)


@given(policies, markets, lefts)
def test_a_fresh_bid_is_good_enough_at_the_moment_it_was_made(policy: FeePolicy, market: Market, left: int) -> None:
    bid = policy.first(market, left)
    if bid.tip(market.base_fee) >= bid.priority:  # else the cap made it one that waits for cheaper blocks
        assert policy.replacement(market, left, bid) is None


@given(policies, markets, st.lists(bids(), min_size=1, max_size=5))
def test_a_void_outbids_every_attempt_whatever_the_cap(policy: FeePolicy, market: Market, attempts: list[Fees]) -> None:
    bid = policy.outbid(market, attempts)
    assert all(bid.max_fee * 8 >= last.max_fee * 9 and bid.priority * 8 >= last.priority * 9 for last in attempts)
    assert bid.priority <= bid.max_fee


@given(policies, markets, markets, st.lists(bids(), min_size=1, max_size=5))
def test_a_void_that_is_bumped_outbids_again_and_is_good_enough_then(
    policy: FeePolicy, market: Market, later: Market, attempts: list[Fees]
) -> None:
    first = policy.outbid(market, attempts)
    again = policy.outbid_again(later, [*attempts, first])
    if again is not None:
        assert again.max_fee * 8 >= first.max_fee * 9
        assert again.priority * 8 >= first.priority * 9
        assert again.tip(later.base_fee) >= policy.first(later, 0).tip(later.base_fee) > 0
        assert policy.outbid_again(later, [*attempts, first, again]) is None


@given(policies, markets, bids())
def test_a_void_is_left_alone_only_if_it_pays_within_a_step_of_a_new_one_or_the_cap_allows_none(
    policy: FeePolicy, market: Market, void: Fees
) -> None:
    if policy.outbid_again(market, [void]) is None:
        new = policy.first(market, 0).tip(market.base_fee)
        assert new <= 0 or void.tip(market.base_fee) * (100 + policy.bump_percent) > new * 100


@given(policies, markets)
def test_the_number_of_replacements_on_the_way_to_a_deadline_is_small(policy: FeePolicy, market: Market) -> None:
    bid, replacements = policy.first(market, policy.ramp_seconds), 0
    for left in range(policy.ramp_seconds, -1, -max(1, policy.ramp_seconds // 500)):
        better = policy.replacement(market, left, bid)
        if better is not None:
            bid, replacements = better, replacements + 1
    # each raises by 13 % at least, from the floor to the last cap
    assert 1.13**replacements <= 1.14 * policy.fee_cap_at_deadline / policy.priority_floor


@pytest.mark.parametrize(
    "answer",
    [
        proxy.error(-32601, "the method eth_feeHistory does not exist"),
        proxy.result({}),
        proxy.result({"baseFeePerGas": []}),
        proxy.result({"baseFeePerGas": ["lots"]}),
        proxy.result(None),
    ],
    ids=["no such method", "nothing", "empty", "words", "null"],
)
async def test_a_node_without_a_history_of_fees_keeps_no_exit_waiting(world: World, answer: proxy.Answer) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_feeHistory"] = answer
    claim = await world.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
    assert attempt_of(claim).fees.priority == world.settings.priority_floor
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.MINED


async def test_a_market_above_the_cap_is_said_once_and_so_is_a_cap_that_yields(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    leg = world.leg()
    await world.lock(leg)
    base_fee = world.settings.fee_cap
    world.proxy.instead["eth_feeHistory"] = proxy.result({"baseFeePerGas": [hex(base_fee)], "reward": []})
    for _ in range(2):
        assert await world.draft(EffectKind.CLAIM, leg, secret=PREIMAGE, left=86_400) is not None
    said = capsys.readouterr().out
    assert said.count("fee.held_back_by_cap") == 1
    assert "fee.cap_yields" not in said
    assert await world.draft(EffectKind.CLAIM, leg, secret=PREIMAGE, left=0) is not None
    assert capsys.readouterr().out.count("fee.cap_yields") == 1


def test_far_from_the_deadline_it_pays_what_others_pay() -> None:
    assert POLICY.first(Market(20 * GWEI, 2 * GWEI), left=86_400) == Fees(42 * GWEI, 2 * GWEI)


def test_an_empty_market_is_paid_the_floor() -> None:
    assert POLICY.first(Market(10, 0), left=86_400).priority == GWEI


def test_the_priority_is_urgency_factor_times_the_market_at_and_after_the_deadline() -> None:
    market = Market(20 * GWEI, 2 * GWEI)
    assert POLICY.first(market, left=900).priority == 11 * GWEI
    assert POLICY.first(market, left=0).priority == 20 * GWEI
    assert POLICY.first(market, left=-5_000).priority == 20 * GWEI


def test_the_cap_yields_as_the_deadline_comes_near() -> None:
    assert [POLICY.cap(left) for left in (86_400, 1800, 900, 0, -1)] == [
        100 * GWEI,
        100 * GWEI,
        550 * GWEI,
        1000 * GWEI,
        1000 * GWEI,
    ]


def test_a_fee_spike_above_the_far_cap_is_waited_out_and_paid_when_there_is_no_time() -> None:
    spike = Market(300 * GWEI, GWEI)
    far = POLICY.first(spike, left=86_400)
    assert far.max_fee == 100 * GWEI
    assert POLICY.replacement(spike, 86_400, far) is None
    near = POLICY.replacement(spike, 0, far)
    assert near is not None
    assert near.tip(spike.base_fee) >= 10 * GWEI


def test_a_bid_that_the_base_fee_overtook_is_replaced() -> None:
    last = POLICY.first(Market(10 * GWEI, GWEI), left=86_400)
    assert POLICY.replacement(Market(21 * GWEI, GWEI), 86_400, last) is not None
    assert POLICY.replacement(Market(12 * GWEI, GWEI), 86_400, last) is None


def test_bumps_round_up_so_that_one_wei_becomes_two() -> None:
    policy = replace(POLICY, fee_cap=10, fee_cap_at_deadline=10, priority_floor=1)
    assert policy.outbid(Market(1, 0), [Fees(1, 1)]).max_fee >= 2
