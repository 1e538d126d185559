"""The same nodes, houses and books as the scenarios have, and the smaller worlds of contract, canister and adapters."""

from __future__ import annotations

from tests.canister.conftest import rig as canister
from tests.chains.ethereum.conftest import world as ethereum
from tests.chains.icp.conftest import world as internet_computer
from tests.contract.conftest import artifacts, chain, do, htlc, make_token, terms
from tests.scenarios.conftest import chains, direction, pytest_runtest_makereport, rig, world

__all__ = [
    "artifacts",
    "canister",
    "chain",
    "chains",
    "direction",
    "do",
    "ethereum",
    "htlc",
    "internet_computer",
    "make_token",
    "pytest_runtest_makereport",
    "rig",
    "terms",
    "world",
]
