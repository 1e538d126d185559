"""Start, health, clock, money and deployment on a real anvil; and that the adapter is what its callers expect."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import Health, HtlcChain
from swapd.chains.ethereum.deploy import deploy
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.devnet.anvil import Anvil
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.protocol.effects import EffectKind
from swapd.vault.derivation import Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault
from tests.chains.ethereum import proxy
from tests.chains.ethereum.world import ETHER, PREIMAGE, World, settings


def test_it_is_a_chain_like_any_other(world: World) -> None:
    chain: HtlcChain = world.chain  # mypy's test, really
    assert chain.name == "ethereum"


async def test_the_contract_calls_a_lock_as_swapd_does(world: World) -> None:
    terms = HtlcTerms.of(world.terms())
    data = world.htlc._abi.call("lockId", terms.words)
    returned = await world.chain._node.returned(replace(world.htlc.refund(terms), data=data))
    assert "0x" + returned.hex() == world.chain.fingerprint(world.terms())


async def test_the_clock_is_the_tips_own(world: World) -> None:
    await world.time_is(world.start + 1234)
    clock = await world.chain.clock()
    assert (clock.tip.height, clock.tip.hash) == await world.node.best()
    assert clock.time == clock.tip.time == world.start + 1234


# -- start and health --------------------------------------------------------------------------------------------------


async def test_a_node_of_another_network_is_refused_at_the_start(world: World) -> None:
    async with world.another_chain(chain_id=1) as chain:
        with pytest.raises(Invalid, match=r"chains\.ethereum\.chain_id: got 1, expected 31337"):
            await chain.start()


async def test_a_chain_whose_contract_is_not_deployed_yet_has_an_account_and_does_not_start(world: World) -> None:
    async with world.another_chain(contract="") as chain:
        assert await chain.addresses() == {"ETH": world.own}
        assert (await chain.balances())["ETH"] > 0
        with pytest.raises(Invalid, match=r"chains\.ethereum\.contract"):
            await chain.start()


async def test_an_address_with_other_code_or_none_is_refused_at_the_start(world: World) -> None:
    async with world.another_chain(contract=world.bob) as chain:
        with pytest.raises(Invalid, match=r"chains\.ethereum\.contract"):
            await chain.start()
    await world.node.rpc("anvil_setCode", world.htlc.address, "0x6001")
    with pytest.raises(Invalid, match=r"chains\.ethereum\.contract"):
        await world.chain.start()


async def found(world: World, **changes: Any) -> dict[str, Health]:
    async with world.another_chain(**changes) as chain:
        return {health.name: health for health in await chain.examine()}


async def test_a_healthy_chain_has_nothing_to_mend(world: World) -> None:
    await world.node.set_next_timestamp(int(time.time()) + 1)
    await world.node.mine()
    health = await found(world)
    assert list(health) == ["network", "sync", "clock", "contract", "balance"]
    assert all(each.ok and not each.mend for each in health.values()), health
    assert re.search(r"has [\d.]+ ETH for gas", health["balance"].says)


@pytest.mark.parametrize("name", ["network", "contract", "balance", "clock", "sync"])
async def test_what_is_wrong_is_named_with_how_to_mend_it(world: World, name: str) -> None:
    changes: dict[str, Any] = {}
    if name == "network":
        changes = {"chain_id": 1}
    elif name == "contract":
        changes = {"contract": world.bob}
    elif name == "balance":
        await world.node.set_balance(world.own, 0)
    elif name == "clock":
        await world.time_is(int(time.time()) + 100_000)
    else:
        world.proxy.instead["eth_syncing"] = proxy.result({"currentBlock": "0x1", "highestBlock": "0x9"})
    health = (await found(world, **changes))[name]
    assert not health.ok
    assert health.mend


async def test_a_node_that_is_down_is_reported_and_not_raised(world: World) -> None:
    health = await found(world, rpc_url="http://127.0.0.1:1/key-of-the-operator")
    assert list(health) == ["node"]
    assert not health["node"].ok
    assert "key-of-the-operator" not in health["node"].says


# -- money -------------------------------------------------------------------------------------------------------------


async def test_a_balance_leaves_out_what_is_promised_and_what_is_not_here_yet(world: World) -> None:
    before = (await world.chain.balances())["ETH"]
    tx = await world.send(EffectKind.LOCK, world.leg())
    promised = (await world.chain.balances())["ETH"]
    assert before - ETHER // 10 - tx.fee <= promised < before - ETHER // 10
    await world.node.rpc("anvil_dropTransaction", tx.txid)
    await world.node.rpc("eth_sendTransaction", {"from": world.bob, "to": world.own, "value": hex(ETHER)})
    assert (await world.chain.balances())["ETH"] == before


async def test_costs_cover_what_a_hot_leg_really_takes(world: World) -> None:
    leg = world.leg()
    costs = (await world.chain.costs(leg.leg))["ETH"]
    before = await world.balance(world.own)
    await world.lock(leg)
    await world.send(EffectKind.CLAIM, leg, secret=PREIMAGE, left=0)
    await world.node.mine()
    taken = before - await world.balance(world.own)
    assert leg.leg.terms.amount < taken < costs < leg.leg.terms.amount + ETHER // 100


async def test_costs_of_a_leg_that_others_fund_are_one_fee(world: World) -> None:
    leg = world.leg(sender=world.bob, receiver=world.own)
    assert 0 < (await world.chain.costs(leg.leg))["ETH"] < ETHER // 100


# -- deployment --------------------------------------------------------------------------------------------------------


async def test_a_deployment_that_no_block_takes_is_unknown_and_named(anvil: Anvil) -> None:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    await anvil.set_balance(vault.ethereum_address, ETHER)
    with pytest.raises(Unknown, match=r"0x[0-9a-f]{64}"):
        await deploy(settings(anvil.rpc_url), vault, within_seconds=0.3)


async def test_a_deployment_without_money_on_another_chain_or_without_a_node_is_refused(anvil: Anvil) -> None:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    with pytest.raises(Rejected, match=r"0 wei|nsufficient"):
        await deploy(settings(anvil.rpc_url), vault, within_seconds=5)
    with pytest.raises(Invalid, match="chain_id"):
        await deploy(settings(anvil.rpc_url, chain_id=1), vault, within_seconds=5)
    with pytest.raises(Unavailable):
        await deploy(settings("http://127.0.0.1:1"), vault, within_seconds=5)


async def test_no_connection_is_left_open_when_a_chain_is_closed(world: World) -> None:
    before = len(asyncio.all_tasks())
    async with world.another_chain() as chain:
        await asyncio.gather(*(chain.clock() for _ in range(20)))
    for _ in range(100):
        if len(asyncio.all_tasks()) <= before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asyncio.all_tasks())
