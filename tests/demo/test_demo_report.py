"""The demo is content only if every swap ended as expected, and every coin is where it should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swapd.cli.demo_play import scenarios
from swapd.cli.demo_report import Played, Scenario, Story, report
from swapd.devnet.money import NOBODY, Count, Fees
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset

BTC, ETH, ICP = Asset("BTC", "bitcoin", 8), Asset("ETH", "ethereum", 18), Asset("ICP", "icp", 8, "ledger")
COINS = [BTC, ICP]
SWAP = Scenario(BTC, 1_000, ICP, 5_000, Status.COMPLETED)

BEFORE = Count(
    {}, {"BTC": {"house": 9_000, "counterparty": 0}, "ICP": {"house": 0, "counterparty": 9_000}}, {"BTC": 0, "ICP": 50}
)
AFTER = Count(
    {},
    {"BTC": {"house": 7_990, "counterparty": 993}, "ICP": {"house": 5_000, "counterparty": 3_970}},
    {"BTC": 0, "ICP": 50},
)
PAID = {"BTC": {"house": 10, "counterparty": 7}, "ICP": {"counterparty": 30}}


def content(
    after: Count = AFTER, paid: Mapping[str, Mapping[str, int]] = PAID, status: Status = Status.COMPLETED
) -> bool:
    row = cast("Any", SimpleNamespace(status=status, terms=None))
    fees = Fees({symbol: defaultdict(int, each) for symbol, each in paid.items()})
    return report(Story([Played(SWAP, "5eed", 3)], {"5eed": row}, {}), COINS, BEFORE, after, fees)


def test_content_when_all_is_there() -> None:
    assert content()


def test_not_content_with_another_ending() -> None:
    assert not content(status=Status.REFUNDED)


@pytest.mark.parametrize("symbol", ["BTC", "ICP"])
@pytest.mark.parametrize("change", [-1, 1])
def test_not_content_when_somebody_has_more_or_less(symbol: str, change: int) -> None:
    had = {**AFTER.had, symbol: {**AFTER.had[symbol], "house": AFTER.had[symbol]["house"] + change}}
    assert not content(replace(AFTER, had=had))


def test_not_content_when_one_has_what_the_other_lacks() -> None:
    had = {**AFTER.had, "BTC": {"house": 7_991, "counterparty": 992}}
    assert not content(replace(AFTER, had=had))


def test_not_content_with_a_fee_that_nobody_paid() -> None:
    assert not content(paid={**PAID, "BTC": {**PAID["BTC"], NOBODY: 1}})


def test_not_content_when_something_is_left_in_escrow() -> None:
    assert not content(replace(AFTER, held={"BTC": 0, "ICP": 51}))


def test_it_plays_every_ordered_pair_to_both_ends() -> None:
    played = scenarios([BTC, ETH, ICP])
    assert len({(each.give, each.get, each.ends) for each in played}) == len(played) == 12
    amounts = [(each.give, each.give_amount) for each in played] + [(each.get, each.get_amount) for each in played]
    assert max(amounts.count(each) for each in amounts) == 1, "nothing that is missing hides behind another"
