"""Two nodes for all scenarios of a worker, and two new houses on them for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from zlib import crc32

import pytest

from swapd.devnet.icp_world import IcpWorld
from swapd.telemetry.logs import log_as
from tests.scenarios.chains import Chains
from tests.scenarios.rig import DIRECTIONS, Direction, Rig, new_rig

PASSED = pytest.StashKey[bool]()

IN_BOTH = ("test_endings", "test_rules", "test_six_pairs")
"""Scenarios that are played in both directions in every run."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each scenario in one direction in every run, the one that its name draws; in both with the marker `full`."""
    mine = [item for item in items if isinstance(item, pytest.Function) and item.path.parent == Path(__file__).parent]
    told = {item.nodeid for item in mine}
    for item in mine:
        drawn = _in_the_other_direction(item)
        if (
            drawn != item.nodeid
            and drawn in told
            and item.path.stem not in IN_BOTH
            and crc32(min(drawn, item.nodeid).encode()) % 2 == (drawn < item.nodeid)
        ):
            item.add_marker(pytest.mark.full)


def _in_the_other_direction(item: pytest.Function) -> str:
    one, other = map(str, DIRECTIONS)
    swapped = {one: other, other: one}
    name, _, parameters = item.nodeid.partition("[")
    return f"{name}[" + "-".join(swapped.get(part, part) for part in parameters[:-1].split("-")) + "]"


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


@pytest.fixture
def as_in_production(quiet_after: None) -> None:
    """JSON lines at level debug."""
    log_as("debug", "json")
