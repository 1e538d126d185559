"""Somebody else with the house's Ethereum key: another process, with a database of its own. Whatever it does with the
account's nonces, swaps end, no leg is locked twice, and an operator is told."""

from __future__ import annotations

import pytest

from swapd.chains.base import SignedTx
from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.fees import Fees
from swapd.chains.ethereum.transactions import Call, EthereumDraft
from swapd.coordinator.places import PATIENCE
from swapd.protocol.effects import EffectKind
from swapd.protocol.status import Status
from swapd.vault import Vault
from tests.scenarios.rig import DIRECTIONS, Rig
from tests.scenarios.side import Side

GWEI = 10**9
ether_first = pytest.mark.parametrize("direction", DIRECTIONS[1:], indirect=True, ids=str)
LOCK = f"{EffectKind.LOCK.value}:initiator"


async def stranger(side: Side, nonce: int, gwei: int = 90) -> SignedTx:
    """A transfer of nothing to itself, in the mempool, by whoever else has the key."""
    chain, vault = side.house.chain("ethereum"), side.house.secrets
    assert isinstance(chain, EthereumChain)
    assert isinstance(vault, Vault)
    fees, nothing = Fees(gwei * GWEI, gwei * GWEI), Call(vault.ethereum_address, 0, b"")
    draft = EthereumDraft(vault, chain._settings.chain_id, nothing, 21_000, fees, nonce, nonce)
    tx = draft.sign(None)
    await chain.broadcast(tx)
    return tx


async def next_nonce(side: Side) -> int:
    chain = side.house.chain("ethereum")
    assert isinstance(chain, EthereumChain)
    return (await chain.places())[0]


@ether_first
async def test_a_gap_below_our_own_transaction_is_found_and_filled(rig: Rig) -> None:
    """The stranger's transaction was first in line and is dropped; a restart in between changes nothing."""
    foreign = await stranger(rig.house, await next_nonce(rig.house))
    terms = await rig.agreed(rig.house, rig.other)
    await rig.settle()
    lock = (await rig.house.effects(terms.swap_id))[LOCK].attempts[-1].tx
    assert foreign.sequence is not None
    assert lock.sequence == foreign.sequence + 1
    await rig.chains.anvil.rpc("anvil_dropTransaction", foreign.txid)
    await rig.house.restart()
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED, blocks=PATIENCE + 4)
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    rig.done = True  # what the stranger paid is in no book


@ether_first
async def test_s4_a_lock_whose_nonce_somebody_else_took_is_not_made_again(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.settle()
    lock = (await rig.house.effects(terms.swap_id))[LOCK].attempts[-1].tx
    assert lock.sequence is not None
    await stranger(rig.house, lock.sequence)
    await rig.block(2)
    effect = (await rig.house.effects(terms.swap_id))[LOCK]
    assert [attempt.tx.txid for attempt in effect.attempts] == [lock.txid]
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until(rig.house, terms.swap_id, Status.EXPIRED)
    rig.done = True


@ether_first
async def test_an_operator_is_told_that_somebody_else_uses_the_account_and_swaps_go_on(rig: Rig) -> None:
    first = await rig.agreed(rig.house, rig.other)
    await rig.until_over(first.swap_id, Status.COMPLETED)
    places = rig.house.daemon.watchers["ethereum"].places
    assert places.notice == ""
    await stranger(rig.house, await next_nonce(rig.house))
    await rig.block(2)
    assert "somebody else sends with its key" in places.notice
    (line,) = [line for line in await rig.house.daemon.health.look() if line.name == "ethereum"]
    assert not line.ok
    assert places.notice in line.says
    assert "a seed of its own" in line.needs
    second = await rig.agreed(rig.house, rig.other)
    await rig.until_over(second.swap_id, Status.COMPLETED)
    assert rig.house.daemon.watchers["ethereum"].places.notice == ""
    rig.done = True
