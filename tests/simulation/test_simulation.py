"""A sample of what `make simulate` does in full: see docs/simulation.md."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import Batch, Tally, replay, run
from tests.simulation.report import last_line, lines
from tests.simulation.setup import PAIRS
from tests.simulation.weaken import WEAKER

SWAPS = 250


@pytest.mark.parametrize("pair", PAIRS)
def test_the_honest_side_loses_nothing(pair: str) -> None:
    tally = run(Batch(pair, 1, 0, SWAPS))
    assert tally.swaps == SWAPS
    assert tally.losses == []
    # and something did happen
    assert tally.endings["own claimed, counter claimed"] > SWAPS / 10
    assert tally.endings["own refunded, counter none"] > SWAPS / 50


@pytest.mark.parametrize("rule", WEAKER)
def test_without_a_rule_losses_are_found(rule: str) -> None:
    assert any(run(Batch(pair, 1, number, SWAPS, rule)).losses for pair in PAIRS for number in range(2)), rule


def test_the_same_seed_gives_the_same_report() -> None:
    batch = Batch("BTC-ETH", 3, 1, 60)
    first, second = run(batch), run(batch)
    assert first == second
    assert list(lines({batch.pair: first})) == list(lines({batch.pair: second}))
    assert run(Batch("BTC-ETH", 4, 1, 60)) != first


def test_a_loss_can_be_played_again_by_its_name() -> None:
    [loss, *_] = run(Batch("ETH-ICP", 1, 0, SWAPS, "S6")).losses
    name = loss.split(": ")[0]
    assert replay(name, "S6").outcome("ETH-ICP").loss
    assert not replay(name).outcome("ETH-ICP").loss


def test_the_last_line_says_swaps_losses_and_the_tightest_margin() -> None:
    total = Tally.of([run(Batch("BTC-ICP", 1, 0, 50)), run(Batch("ICP-BTC", 1, 0, 50))])
    assert last_line(total).startswith("simulation: 100 swaps, 0 losses, tightest margin reveal before T_p ")
