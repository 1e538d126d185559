"""Whole swaps through three nodes a chain, of which two have to agree: with one of them in any trouble they go on to
their end; with two, nothing new begins, it is said why, and exits go on (rules S1, S2, S5, S8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from swapd.chains import endpoints
from swapd.chains.standing import FAILURES
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from tests.chains.ethereum.proxy import Proxy, changed, garbage, result, status
from tests.scenarios.rig import DIRECTIONS, Rig

NODES = 3

FULL = pytest.mark.full
ONE_OF_TWO = [pytest.param(DIRECTIONS[0], marks=FULL), DIRECTIONS[1]]


@dataclass
class Nodes:
    """Through which the house sees each chain."""

    of: dict[str, list[Proxy]]

    def trouble(self, fault: str, *places: int, chains: tuple[str, ...] = ("bitcoin", "ethereum")) -> None:
        for chain in chains:
            for place in places:
                node = self.of[chain][place]
                if fault == "dead":
                    node.dead = True
                else:
                    node.instead |= FAULTS[fault]
                    node.always = EVERYTHING.get(fault)

    def well_again(self) -> None:
        for nodes in self.of.values():
            for node in nodes:
                node.dead, node.always = False, None
                node.instead.clear()


def _stopped(block: Any) -> Any:
    return {**block, "number": "0x0", "timestamp": "0x1"}


FAULTS: dict[str, dict[str, Any]] = {
    # there are no locks, and never were
    "lies": {
        "eth_getLogs": result([]),
        "eth_getStorageAt": result("0x" + "00" * 32),
        "gettxout": result(None),
    },
    # it was never synced
    "lags": {
        "eth_getBlockByNumber": changed(_stopped),
        "getblockchaininfo": changed(lambda info: {**info, "blocks": 0, "mediantime": 1}),
    },
    "asks to wait": {},
    "html": {},
}
EVERYTHING = {"asks to wait": status(429, b"Retry-After: 60\r\n"), "html": garbage}


@pytest.fixture
async def nodes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    """The house, begun anew with three nodes a chain. Those that are passed over are asked at every look."""
    monkeypatch.setattr(endpoints, "PROBE_SECONDS", 0.0)
    async with AsyncExitStack() as stack:
        targets = {"bitcoin": rig.chains.bitcoind.rpc_url, "ethereum": rig.chains.anvil.rpc_url}
        of = {
            chain: [await stack.enter_async_context(Proxy(target)) for _ in range(NODES)]
            for chain, target in targets.items()
        }
        for chain, proxies in of.items():
            rig.house.more |= {
                f"SWAPD__CHAINS__{chain.upper()}__RPC_URL": proxies[0].url,
                f"SWAPD__CHAINS__{chain.upper()}__MORE_RPC_URLS": json.dumps([node.url for node in proxies[1:]]),
                f"SWAPD__CHAINS__{chain.upper()}__QUORUM": "2",
                f"SWAPD__CHAINS__{chain.upper()}__TIMEOUT_SECONDS": "5",
            }
        cookies = [str(rig.chains.bitcoind.cookie_file)] * (NODES - 1)
        rig.house.more["SWAPD__CHAINS__BITCOIN__MORE_RPC_COOKIE_FILES"] = json.dumps(cookies)
        await rig.house.restart()
        yield Nodes(of)
        await rig.house.stop()


@pytest.mark.parametrize("place", [0, pytest.param(2, marks=FULL)], ids=["first", "last"])
@pytest.mark.parametrize("direction", ONE_OF_TWO, indirect=True, ids=str)
async def test_s7_a_swap_completes_although_one_of_three_nodes_lies(rig: Rig, nodes: Nodes, place: int) -> None:
    nodes.trouble("lies", place)
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@pytest.mark.parametrize("fault", ["lags", *(pytest.param(f, marks=FULL) for f in ("dead", "asks to wait", "html"))])
@pytest.mark.parametrize("direction", DIRECTIONS[:1], indirect=True, ids=str)
async def test_a_swap_completes_although_one_of_three_nodes_is_no_help(rig: Rig, nodes: Nodes, fault: str) -> None:
    """The witness is: the wallet's own node is needed to fund a leg on Bitcoin."""
    nodes.trouble(fault, 1)
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@pytest.mark.parametrize("direction", DIRECTIONS[:1], indirect=True, ids=str)
async def test_s8_claims_go_on_without_the_node_that_has_the_wallet(rig: Rig, nodes: Nodes) -> None:
    """Both legs are locked, and then the house's own Bitcoin node is gone, over a restart too."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    nodes.trouble("dead", 0)
    await rig.house.restart()
    await rig.until(rig.house, terms.swap_id, Status.COMPLETED)
    nodes.well_again()
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@pytest.mark.parametrize("direction", ONE_OF_TWO, indirect=True, ids=str)
async def test_s1_nothing_is_funded_while_the_quorum_is_not_reached(rig: Rig, nodes: Nodes) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    give = terms.initiator.terms.chain
    nodes.trouble("dead", 1, 2, chains=(give,))
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.block(FAILURES)
    row = await rig.house.row(terms.swap_id)
    assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())
    assert row.legs[Role.INITIATOR].view.depth == 0
    assert "2 nodes have to" in row.reason
    nodes.well_again()
    await rig.until_over(terms.swap_id, Status.COMPLETED, Status.EXPIRED, Status.REFUNDED)

    await rig.accounts_balance()


@pytest.mark.parametrize("direction", ONE_OF_TWO, indirect=True, ids=str)
async def test_s5_the_refund_goes_on_with_one_node_of_three(rig: Rig, nodes: Nodes) -> None:
    """The house has funded second, the initiator is silent, and most nodes of the house's leg are gone."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    nodes.trouble("dead", 0, 1, chains=(terms.participant.terms.chain,))
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.block(4)
    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.state is LegState.REFUNDED
    assert "2 nodes have to" in row.reason
    nodes.well_again()
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)

    assert await rig.accounts_balance() == rig.nothing
