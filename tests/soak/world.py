"""The nodes of the crash matrix, and minutes in which a chain has no block."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.crash.world import World
from tests.scenarios.chains import BLOCK_SECONDS


@dataclass
class SoakWorld(World):
    async def minute(self, *, bitcoin: bool, ethereum: bool) -> None:
        """Passes, and brings a block to these."""
        await self._clock_is(self.now + BLOCK_SECONDS)
        if bitcoin:
            await self.bitcoin_block()
        if ethereum:
            await self.ethereum_block()
        self.moved_at = time.monotonic_ns()
