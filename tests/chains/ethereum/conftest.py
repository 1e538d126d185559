"""One anvil for each test, with swapd's contract on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from swapd.devnet.anvil import Anvil
from tests.chains.ethereum.world import World, new_world


@pytest.fixture
async def world(anvil: Anvil) -> AsyncIterator[World]:
    async with new_world(anvil) as made:
        yield made
