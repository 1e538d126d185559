"""Two nodes for all scenarios of a worker, and two new houses on them for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from swapd.devnet.icp_world import IcpWorld
from tests.scenarios.chains import Chains
from tests.scenarios.rig import DIRECTIONS, Direction, Rig, new_rig

PASSED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def chains() -> Iterator[Chains]:
    """Shared: time goes on from test to test, and each test looks at differences."""
    made = Chains()

    async def start() -> None:
        try:
            await made.start()
        except BaseException:
            await made.stop()
            raise

    asyncio.run(start())
    yield made
    asyncio.run(made.stop())


@pytest.fixture
async def world(chains: Chains) -> AsyncIterator[IcpWorld]:
    """The canisters of a replica that all tests of this worker share, spoken to from this test's event loop."""
    await chains.start_icp()
    found = chains.world()
    yield found
    await found.close()


@pytest.fixture(params=DIRECTIONS, ids=str)
def direction(request: pytest.FixtureRequest) -> Direction:
    found: Direction = request.param
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture
async def rig(
    request: pytest.FixtureRequest, chains: Chains, direction: Direction, tmp_path: Path
) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path) as made:
        yield made
        passed = request.node.stash.get(PASSED, False)
        assert made.done or not passed, "a scenario ends with `accounts_balance`"
