"""ERC-20 legs with OpenZeppelin's token on a real anvil."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from swapd.chains.base import SignedTx, TxState, WatchedLeg
from swapd.chains.ethereum.abi import Abi
from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.erc20 import allowance, approve, balance_of, number
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.chains.ethereum.transactions import Call, attempt_of
from swapd.devnet.anvil import Anvil
from swapd.devnet.npm_packages import node_modules
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.ethereum.world import PREIMAGE, SETTINGS, World, new_world, preimage

LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def token_artifact() -> dict[str, Any]:
    """OpenZeppelin's ERC-20 with a public mint, compiled."""
    build, source = ROOT / "swapd/chains/ethereum/contract/build.js", ROOT / "tests/contract/tokens/PlainToken.sol"
    command = ["node", str(build), "--print", str(source), "--node-modules", str(node_modules())]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    artifact: dict[str, Any] = json.loads(printed)["PlainToken"]
    return artifact


@pytest.fixture
async def world(anvil: Anvil, token_artifact: dict[str, Any]) -> AsyncIterator[World]:
    """With an asset TOK, of which swapd and Bob hold a million smallest units each."""
    async with new_world(anvil) as made:
        mint = Abi([entry for entry in token_artifact["abi"] if entry.get("name") == "mint"])
        request = {"from": made.alice, "data": token_artifact["bytecode"], "gas": hex(5_000_000)}
        creation = await anvil.rpc("eth_sendTransaction", request)
        await anvil.mine()
        receipt = await anvil.rpc("eth_getTransactionReceipt", creation)
        token = to_checksum_address(receipt["contractAddress"])
        for holder in (made.own, made.bob):
            await made.call(made.alice, Call(token, 0, mint.call("mint", holder, 1_000_000)))
        await anvil.mine()
        made.settings = type(made.settings).model_validate(
            {
                **made.settings.model_dump(),
                "assets": {**SETTINGS["assets"], "TOK": {**SETTINGS["assets"]["ETH"], "token": token}},
            }
        )
        made.chain = EthereumChain("ethereum", made.settings, made.vault)
        yield made
        await made.chain.close()


def tok(world: World, **changes: Any) -> WatchedLeg:
    return world.leg(**{"asset": "TOK", "amount": 1000, **changes})


async def held(world: World, owner: str) -> int:
    token = world.chain.assets["TOK"].token
    return number(await world.chain._node.returned(balance_of(token, owner)))


async def allowed(world: World) -> int:
    token = world.chain.assets["TOK"].token
    return number(await world.chain._node.returned(allowance(token, world.own, world.htlc.address)))


async def lock_token(world: World, leg: WatchedLeg) -> list[SignedTx]:
    """Approval and lock, each in its block."""
    sent: list[SignedTx] = []
    for _ in range(2):
        sent.append(await world.send(LOCK, leg, sent))
        await world.node.mine()
    return sent


async def test_a_token_leg_is_approved_locked_and_claimed(world: World) -> None:
    leg = tok(world)
    approval, lock = await lock_token(world, leg)
    assert attempt_of(approval).call == approve(leg.leg.terms.asset.token, world.htlc.address, 1000)
    assert attempt_of(lock).call == world.htlc.lock(HtlcTerms.of(leg.leg.terms))
    assert (await world.view(leg)).state is LegState.LOCKED
    await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.mine()
    assert (await world.view(leg)).preimage == PREIMAGE
    assert [await held(world, each) for each in (world.own, world.bob, world.htlc.address)] == [999_000, 1_001_000, 0]


async def test_an_approval_is_for_exactly_the_amount_and_is_used_up_by_the_lock(world: World) -> None:
    leg = tok(world)
    approval = await world.send(LOCK, leg)
    await world.node.mine()
    assert await allowed(world) == 1000
    await world.send(LOCK, leg, [approval])
    await world.node.mine()
    assert await allowed(world) == 0


async def test_a_token_leg_is_refunded(world: World) -> None:
    leg = tok(world)
    await lock_token(world, leg)
    await world.time_is(leg.leg.terms.timelock)
    await world.send(REFUND, leg)
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED
    assert await held(world, world.own) == 1_000_000


async def test_a_mined_approval_is_no_lock_and_the_lock_follows_at_a_new_nonce(world: World) -> None:
    leg = tok(world)
    approval = await world.send(LOCK, leg)
    assert await world.draft(LOCK, leg, [approval]) is None, "waiting, at a fee that is good enough"
    assert (await world.view(await world.with_mempool(leg))).state is LegState.ABSENT
    await world.node.mine()
    assert (await world.chain.fate(approval)).state is TxState.MINED
    lock = await world.draft(LOCK, leg, [approval])
    assert lock is not None
    assert lock.account == world.own
    assert lock.floor == (approval.sequence or 0) + 1


async def test_s4_a_pending_approval_is_replaced_by_itself_and_a_token_lock_by_itself(world: World) -> None:
    leg = tok(world)
    sent: list[SignedTx] = []
    for _ in range(2):
        sent.append(await world.send(LOCK, leg, sent))
        sent.append(await world.send(LOCK, leg, sent, left=0))
        first, second = (attempt_of(tx) for tx in sent[-2:])
        assert (first.call, first.nonce) == (second.call, second.nonce)
        await world.node.mine()
    assert (await world.view(leg)).state is LegState.LOCKED
    assert await world.draft(LOCK, leg, sent, left=0) is None


async def test_an_allowance_that_is_there_already_needs_no_approval(world: World) -> None:
    first, second = tok(world, amount=600), tok(world, amount=500, preimage=preimage(2))
    await world.send(LOCK, first)
    await world.node.mine()
    lock = await world.send(LOCK, second)
    await world.node.mine()
    assert (await world.view(second)).state is LegState.LOCKED, "it took what was approved for the other"
    assert attempt_of(lock).call.to == world.htlc.address
    assert len(await lock_token(world, first)) == 2
    assert (await world.view(first)).state is LegState.LOCKED, "which is approved anew"


async def test_an_allowance_that_a_pending_lock_will_take_is_not_counted(world: World) -> None:
    first, second = tok(world), tok(world, preimage=preimage(2))
    approval = await world.send(LOCK, first)
    await world.node.mine()
    await world.send(LOCK, first, [approval])
    draft = await world.draft(LOCK, second)
    assert draft is not None
    assert draft.call == approve(second.leg.terms.asset.token, world.htlc.address, 1000)


async def test_more_tokens_than_there_are_is_rejected_before_the_lock(world: World) -> None:
    leg = tok(world, amount=2_000_000)
    await world.send(LOCK, leg)
    await world.node.mine()
    with pytest.raises(Rejected, match="revert"):
        await world.draft(LOCK, leg)


async def test_s11_a_lock_of_ether_instead_of_tokens_is_a_stray(world: World) -> None:
    leg = tok(world, sender=world.bob, receiver=world.own)
    ether = replace(leg.leg.terms, asset=world.chain.assets["ETH"])
    ref = await world.lock_by(world.bob, ether)
    view = await world.view(leg)
    assert (view.state, [stray.ref for stray in view.strays]) == (LegState.ABSENT, [ref])
    assert "token is 0x0000" in view.strays[0].why


async def test_an_external_wallet_funds_a_token_leg_with_the_instructions_alone(world: World) -> None:
    leg = tok(world, sender=world.bob, receiver=world.own)
    fields = world.chain.instructions(leg.leg).fields
    await world.call(world.bob, Call(fields["token"], 0, bytes.fromhex(fields["approve_calldata"][2:])))
    await world.call(
        world.bob, Call(fields["contract"], int(fields["value_wei"]), bytes.fromhex(fields["calldata"][2:]))
    )
    await world.node.mine()
    view = await world.view(leg)
    assert (view.state, view.lock_ref) == (LegState.LOCKED, fields["lock_id"])


async def test_balances_and_costs_are_in_tokens_and_gas_in_ether(world: World) -> None:
    assert (await world.chain.balances())["TOK"] == 1_000_000
    costs = await world.chain.costs(tok(world).leg)
    assert costs["TOK"] == 1000
    before = await world.balance(world.own)
    await lock_token(world, tok(world))
    await world.send(CLAIM, tok(world), secret=PREIMAGE, left=0)
    await world.node.mine()
    assert 0 < before - await world.balance(world.own) < costs["ETH"]


async def test_a_token_with_other_decimals_than_configured_is_found(world: World) -> None:
    assets = {**world.settings.assets, "TOK": world.settings.assets["TOK"].model_copy(update={"decimals": 6})}
    async with world.another_chain(assets=assets) as chain:
        health = {each.name: each for each in await chain.examine()}
    assert "has 18 decimals, configured 6" in health["TOK"].says
    assert not health["TOK"].ok
