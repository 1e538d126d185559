"""The files in config/ besides the defaults: they load, and they say what is true."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from swapd.protocol.terms import Wallet
from swapd.protocol.timelock import QUANTILE, LegTiming, Plan, gamma_quantile, plan
from swapd.settings import DEFAULTS, Settings, load, timing_profile
from swapd.vault import Network

CONFIG = DEFAULTS.parent
FILES = sorted(path.name for path in CONFIG.glob("*.toml") if path != DEFAULTS)


def settings_of(name: str) -> Settings:
    return load(CONFIG / name, {})


def leg(settings: Settings, chain: str, funded_by: Wallet) -> LegTiming:
    asset = next(iter(settings.chains[chain].assets.values()))
    timing = timing_profile(chain, settings.chains[chain].timing)
    return LegTiming(timing, asset.tiers[-1].confirmations, funded_by)


def own_first(settings: Settings, first: str, second: str) -> Plan:
    """The plan from moment 0 of a swap in which swapd funds the first leg and somebody else the second."""
    return plan(0, leg(settings, first, Wallet.HOT), leg(settings, second, Wallet.EXTERNAL))


def test_these_files_are_all_there_are() -> None:
    assert FILES == ["devnet.toml", "mainnet.example.toml", "testnet.example.toml"]


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("devnet.toml", Network.DEVNET),
        ("testnet.example.toml", Network.TESTNET),
        ("mainnet.example.toml", Network.MAINNET),
    ],
)
def test_each_file_loads_and_is_of_its_network(name: str, network: Network) -> None:
    assert settings_of(name).daemon.network is network


@pytest.mark.parametrize("name", FILES)
def test_the_tokens_in_comments_can_be_uncommented(name: str, tmp_path: Path) -> None:
    lines = (CONFIG / name).read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("# [chains.")]
    for start in starts:
        lines[start:] = [line.removeprefix("# ") for line in lines[start:]]
    path = tmp_path / name
    path.write_text("\n".join(lines))
    symbols = set(load(path, {}).chains["ethereum"].assets)
    assert symbols == ({"ETH", "USDC"} if starts else {"ETH"})


PAIRS = list(permutations(["bitcoin", "ethereum", "icp"], 2))
"""In the order of the comment's columns."""


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_devnet_swap_is_over_within_a_minute_and_the_comment_says_when(first: str, second: str) -> None:
    times = own_first(settings_of("devnet.toml"), first, second)
    reached = {
        "fund the first leg by": times.initiator_fund_by,
        "fund the second leg by": times.participant_fund_by,
        "show the secret by": times.reveal_by,
        "T_p, second leg's timelock": times.participant_timelock,
        "T_i, first leg's timelock": times.initiator_timelock,
    }
    lines = (CONFIG / "devnet.toml").read_text().splitlines()
    for label, seconds in reached.items():
        said = next(line for line in lines if line.startswith(f"#   {label}")).split()
        assert int(said[PAIRS.index((first, second)) - len(PAIRS)]) == seconds, label
    assert 20 <= times.participant_timelock <= 30
    assert times.initiator_timelock <= 45


@pytest.mark.parametrize("name", ["testnet.example.toml", "mainnet.example.toml"])
@pytest.mark.parametrize(("first", "second"), [("bitcoin", "ethereum"), ("ethereum", "bitcoin")])
def test_real_swaps_take_hours_and_no_more_than_a_day_and_a_half(name: str, first: str, second: str) -> None:
    times = own_first(settings_of(name), first, second)
    assert 4 * 3600 < times.participant_timelock < times.initiator_timelock < 36 * 3600


def test_the_figures_in_the_reasons_are_right() -> None:
    comments = DEFAULTS.read_text() + (CONFIG / "mainnet.example.toml").read_text()
    for blocks in (1, 2, 6):
        assert f"{600 * gamma_quantile(blocks, QUANTILE):.0f}" in comments, blocks
    timing = settings_of("mainnet.example.toml").chains["bitcoin"].timing
    assert timing.inclusion >= 600 * gamma_quantile(2, QUANTILE)
    assert timing.clock_behind >= 600 * gamma_quantile(6, QUANTILE)
