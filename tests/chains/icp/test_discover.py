"""Our legs from the canister's log: nothing is passed over because a boundary node made times up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from swapd.chains.icp import discover
from swapd.chains.icp.discover import Discovery
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import NANOSECONDS
from swapd.chains.icp.log import Log, value_hash
from swapd.chains.icp.watch import FUNDING
from tests.chains.icp.test_log import Pages, tip_of

BLOCKS = 9


class Canister(Pages):
    """Its log has a block a second. late: those whose time it gives as 0 where only one is asked for."""

    late: frozenset[int] = frozenset()

    @property
    def agent(self) -> Any:
        @contextmanager
        def doubting() -> Iterator[None]:
            yield

        return SimpleNamespace(doubting=doubting)

    async def blocks(self, start: int, length: int) -> list[tuple[int, Any]]:
        found = await super().blocks(start, length)
        if length > 1:
            return found
        return [(index, _at(block, 0) if index in self.late else block) for index, block in found]


def _at(block: Any, ts: int) -> Any:
    return {"Map": [("ts", {"Nat": ts}) if name == "ts" else (name, value) for name, value in block["Map"]]}


def canister() -> Canister:
    blocks: list[Any] = []
    for index in range(BLOCKS):
        fields = [("btype", {"Text": FUNDING}), ("ts", {"Nat": index * NANOSECONDS}), ("tx", {"Map": []})]
        if blocks:
            fields.insert(0, ("phash", {"Blob": value_hash(blocks[-1])}))
        blocks.append({"Map": fields})
    return Canister(blocks)


async def read(of: Canister, since: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks that were looked at."""
    looked: list[int] = []
    monkeypatch.setattr(discover, "found_in", lambda block: looked.append(block.index))
    log: Any = Log(of, most_blocks=100)  # type: ignore[arg-type]
    await Discovery(of, log, b"", {}).traces(tip_of(of.given), since, lambda _: None)  # type: ignore[arg-type]
    return looked


@pytest.mark.parametrize("since", [0, 1, 5, BLOCKS - 1, BLOCKS, 10**6])
async def test_s14_every_block_since_then_is_looked_at(since: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read(canister(), since, monkeypatch) == list(range(min(since, BLOCKS), BLOCKS))


@pytest.mark.parametrize("late", [range(4), range(6), range(BLOCKS)], ids=repr)
async def test_s14_a_node_that_makes_late_blocks_early_hides_nothing(
    late: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = canister()
    log.late = frozenset(late)
    with pytest.raises(Untrusted):
        await read(log, 2, monkeypatch)
