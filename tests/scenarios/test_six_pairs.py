"""Both endings of every ordered pair of the three chains, with all money counted on all three.

And the same while the Internet Computer's replica is stopped and goes on from disk, at each stage of the swap.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swapd.devnet.icp_world import IcpWorld
from swapd.protocol.status import Status
from tests.scenarios.chains import Chains
from tests.scenarios.rig import PAIRS, Direction, Rig, new_rig

six_pairs = pytest.mark.parametrize("direction", PAIRS, indirect=True, ids=str)
some_pairs = pytest.mark.parametrize(
    "direction",
    [
        pair if str(pair) in ("btc_to_icp", "icp_to_eth") else pytest.param(pair, marks=pytest.mark.full)
        for pair in PAIRS
    ],
    indirect=True,
    ids=str,
)
"""With a restart of the replica, which does the same to all of them."""
another_token = pytest.mark.parametrize(
    "direction", [Direction("TOK", "BTC"), Direction("ETH", "TOK")], indirect=True, ids=str
)


@pytest.fixture
async def rig(chains: Chains, world: IcpWorld, direction: Direction, tmp_path: Path) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path, world) as made:
        yield made


@six_pairs
async def test_completed_when_both_lock(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@some_pairs
async def test_completed_when_the_replica_restarts_from_disk_at_each_stage(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.chains.restart_icp()
    rig.house.asleep = True  # or it would show its secret as soon as the participant has locked
    await rig.until(rig.other, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.chains.restart_icp()
    rig.house.asleep, rig.other.asleep = False, True
    await rig.until(rig.house, terms.swap_id, Status.REDEEMING)
    await rig.chains.restart_icp()
    rig.other.asleep = False

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@six_pairs
async def test_refunded_when_the_other_never_locks(rig: Rig) -> None:
    await refunded(rig, restarts=False)


@some_pairs
async def test_refunded_when_the_replica_restarts_from_disk_at_each_stage(rig: Rig) -> None:
    await refunded(rig, restarts=True)


async def refunded(rig: Rig, *, restarts: bool) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)  # the other never accepts
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    if restarts:
        await rig.chains.restart_icp()
    await rig.time_is(terms.participant.terms.fund_by + 1)
    await rig.until(rig.house, terms.swap_id, Status.REFUNDING)

    await rig.chains.time_is(terms.initiator.terms.timelock - 60)
    await rig.settle()
    assert "refund:initiator" not in await rig.house.effects(terms.swap_id), "a refund before its time"
    if restarts:
        await rig.chains.restart_icp()
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert await rig.accounts_balance() == rig.nothing


@another_token
async def test_another_token_is_swapped_as_well(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
