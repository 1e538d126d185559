"""The canisters of a devnet: installed once, brought up to date, and every token in them accounted for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from swapd.chains.icp import candid, interface
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.principal import Account, parse, text
from swapd.devnet import canisters, ledger
from swapd.devnet.icp import Icp
from swapd.devnet.icp_tokens import Tokens
from swapd.devnet.icp_world import SWAP_CANISTER, TOKENS, IcpWorld, Places
from swapd.vault import Network, Secret, Vault

FEE = TOKENS["ICP"].fee
SUBACCOUNT = b"\x07" * 32


@pytest.fixture
async def node() -> AsyncIterator[Icp]:
    async with Icp() as made:
        yield made


@pytest.fixture
async def world(node: Icp) -> AsyncIterator[IcpWorld]:
    made = await IcpWorld.on(node, node.folder / "canisters.json")
    yield made
    await made.close()


class Holder:
    """Somebody with tokens, and an agent of their own."""

    def __init__(self, world: IcpWorld, name: str) -> None:
        vault = Vault(Secret(name.encode().ljust(32)), Network.DEVNET)
        self.principal = text(vault.icp_principal)
        self.account = Account(vault.icp_principal)
        self._ledger = parse("ledger", world.places.ledgers["ICP"])
        self._agent = Agent(world.api_url, vault, root_key=world.root_key, timeout=30, max_age=60)

    async def transfer(self, to: Account, amount: int) -> None:
        arg = candid.encode(ledger.TransferArgs, {"to": ledger.account(to), "amount": amount})
        reply = await self._agent.call(self._ledger, "icrc1_transfer", arg)
        assert "Ok" in candid.decode(ledger.TransferResult, reply)

    async def approve(self, spender: Account, amount: int) -> None:
        arg = candid.encode(interface.ApproveArgs, {"spender": ledger.account(spender), "amount": amount})
        reply = await self._agent.call(self._ledger, "icrc2_approve", arg)
        assert "Ok" in candid.decode(interface.ApproveResult, reply)


async def fees_since(tokens: Tokens, height: int) -> list[tuple[int, str | None]]:
    return [(fee.amount, fee.by) for fee in await tokens.fees(height + 1, await tokens.height())]


async def test_every_token_is_where_the_log_says(world: IcpWorld) -> None:
    alice, bob = Holder(world, "alice"), Holder(world, "bob")
    await world.mint("ICP", alice.principal, 1_000_000)
    tokens = world.token("ICP")
    before = await tokens.height()

    await alice.transfer(bob.account, 100_000)
    await alice.approve(bob.account, 50_000)
    await bob.transfer(replace(bob.account, subaccount=SUBACCOUNT), 20_000)

    assert await tokens.balance(alice.principal) == 1_000_000 - 100_000 - 2 * FEE
    assert await tokens.balance(bob.principal) == 100_000 - FEE, "in all subaccounts"
    assert await fees_since(tokens, before) == [(FEE, alice.principal)] * 2 + [(FEE, bob.principal)]


async def test_what_lies_in_escrow_is_counted_and_named(world: IcpWorld) -> None:
    alice = Holder(world, "alice")
    await world.mint("ICP", alice.principal, 1_000_000)
    tokens = world.token("ICP")
    before = await tokens.height()

    await alice.transfer(Account(parse("canister", world.places.canister), SUBACCOUNT), 300_000)

    assert await tokens.held() == 300_000
    assert await tokens.locks(before + 1, await tokens.height()) == [SUBACCOUNT.hex()]
    assert await fees_since(tokens, before) == [(FEE, alice.principal)]


async def test_a_node_that_goes_on_has_the_same_canisters(node: Icp, world: IcpWorld) -> None:
    alice = Holder(world, "alice")
    await world.mint("TOK", alice.principal, 5)

    await node.restart()
    again = await IcpWorld.on(node, node.folder / "canisters.json")

    assert again.places == world.places
    assert again.root_key == world.root_key
    assert await again.token("TOK").balance(alice.principal) == 5
    await again.close()


async def test_canisters_are_brought_up_to_date_with_all_they_hold(
    node: Icp, world: IcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Holder(world, "alice")
    await world.mint("ICP", alice.principal, 5)
    built = canisters.built

    def changed(name: str) -> canisters.Canister:
        """With a section that means nothing."""
        found = built(name)
        wasm = found.wasm + b"\x00\x04\x03new"
        return replace(found, wasm=wasm, hash=sha256(wasm).hexdigest())

    monkeypatch.setattr(canisters, "built", changed)
    again = await IcpWorld.on(node, node.folder / "canisters.json")

    place = parse("canister", world.places.canister)
    assert again.places == world.places
    assert await again.agent.module_hash(place) == bytes.fromhex(changed(SWAP_CANISTER).hash)
    assert again.module_hash != world.module_hash
    assert await again.token("ICP").balance(alice.principal) == 5
    await again.close()


async def test_canisters_that_the_node_has_forgotten_are_made_anew(node: Icp, world: IcpWorld, tmp_path: Path) -> None:
    file = tmp_path / "canisters.json"
    forgotten = Places(text(b"\x00\x00\x00\x00\x00\x00\x03\xe7\x01\x01"), world.places.ledgers)
    forgotten.write(file)

    again = await IcpWorld.on(node, file)

    assert again.places.canister not in (forgotten.canister, world.places.canister)
    assert again.places == Places.read(file)
    await again.close()
