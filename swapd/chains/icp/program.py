"""Which program the swap canister runs. Its controllers can replace it at any time, and with it take everything.

So nothing new rests on a program that is not known: no lock and no secret goes into it, and what it shows as locked is
not final. What is locked already is claimed and refunded all the same (rule S8): nothing else is left to try.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from swapd.chains.icp.agent import Agent

UNTRUSTED_PROGRAM = "the swap canister runs a program whose hash is not in module_hashes: see `swapd doctor`"


@dataclass(frozen=True)
class Program:
    """hashes: SHA-256 of the modules that are trusted, none for any."""

    agent: Agent
    canister: bytes
    hashes: Collection[bytes]

    async def is_trusted(self) -> bool:
        """By certified state, at this moment."""
        return not self.hashes or await self.agent.module_hash(self.canister) in self.hashes
