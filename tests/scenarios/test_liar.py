"""A boundary node that lies about the Internet Computer: nothing is done on its word, it is said why, and the other
chain's claims and refunds go on (rules S1, S2, S8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.icp import interface
from swapd.chains.icp.boundaries import Boundaries
from swapd.chains.icp.chain import IcpChain
from swapd.devnet.icp_world import IcpWorld
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from tests.chains.icp.proxy import Proxy, changed, reject, status
from tests.scenarios.chains import Chains
from tests.scenarios.rig import Direction, Rig, new_rig
from tests.scenarios.side import Side


def spoilt(answer: Any) -> Any:
    """One bit of the signature's certificate."""
    raw = bytearray(answer["certificate"])
    raw[-1] ^= 1
    return answer | {"certificate": bytes(raw)}


LIES = {
    "forged": {
        "getSwap": changed(interface.GetSwapReply, spoilt),
        "icrc3_get_tip_certificate": changed(interface.TipReply, spoilt),
    },
    "garbage": {"getSwap": status(200, b"garbage"), "icrc3_get_tip_certificate": status(500)},
    "rejects": {"getSwap": reject(5, "no"), "icrc3_get_tip_certificate": reject(5, "no")},
}

lies = pytest.mark.parametrize("lie", LIES)
icp_first = pytest.mark.parametrize("direction", [Direction("ICP", "BTC")], indirect=True, ids=str)


@pytest.fixture
async def rig(chains: Chains, world: IcpWorld, direction: Direction, tmp_path: Path) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path, world) as made:
        yield made


@asynccontextmanager
async def lied_to(side: Side, lie: str) -> AsyncIterator[None]:
    """This side's only boundary node lies."""
    chain = side.house.chain("icp")
    assert isinstance(chain, IcpChain)
    honest = chain._agent._nodes
    async with Proxy(chain._settings.api_url) as proxy:
        proxy.instead = dict(LIES[lie])
        chain._agent._nodes = Boundaries([proxy.url], 5)
        try:
            yield
        finally:
            await chain._agent._nodes.close()
            chain._agent._nodes = honest


@lies
@icp_first
async def test_s1_the_second_leg_is_not_funded_on_a_lie(rig: Rig, lie: str) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    async with lied_to(rig.house, lie):
        await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
        await rig.block(4)
        row = await rig.house.row(terms.swap_id)
        assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())
        assert row.legs[Role.PARTICIPANT].view.state is LegState.ABSENT
        assert "icp" in row.reason
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@lies
@icp_first
async def test_s8_the_refund_on_the_other_chain_goes_on(rig: Rig, lie: str) -> None:
    """The house has funded second, the initiator is silent, and all that is said of its leg is a lie."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    async with lied_to(rig.house, lie):
        await rig.time_is(terms.participant.terms.timelock + 1)
        await rig.block(4)
        row = await rig.house.row(terms.swap_id)
        assert row.legs[Role.PARTICIPANT].view.state is LegState.REFUNDED
        assert "icp" in row.reason
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)

    assert await rig.accounts_balance() == rig.nothing
