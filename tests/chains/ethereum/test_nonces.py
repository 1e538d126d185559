"""The account's nonces on a real anvil: gaps, dropped and replaced transactions, and a stranger with the same key."""

from __future__ import annotations

from typing import Any

from swapd.chains.base import SignedTx, TxState
from swapd.chains.ethereum.fees import Fees
from swapd.chains.ethereum.transactions import Call, EthereumDraft
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.ethereum.proxy import changed
from tests.chains.ethereum.world import GWEI, PREIMAGE, World, preimage

LOCK, CLAIM = EffectKind.LOCK, EffectKind.CLAIM


async def stranger(world: World, nonce: int, *, gwei: int = 50) -> SignedTx:
    """A transaction of another wallet with the same key, in the mempool."""

    fees = Fees(gwei * GWEI, gwei * GWEI)
    draft = EthereumDraft(world.vault, world.settings.chain_id, Call(world.bob, 1, b""), 21_000, fees, nonce, nonce)
    tx = draft.sign(None)
    await world.chain.broadcast(tx)
    return tx


async def drop(world: World, tx: SignedTx) -> None:
    await world.node.rpc("anvil_dropTransaction", tx.txid)


async def test_s10_a_dropped_transaction_is_missing_and_the_same_bytes_bring_it_back(world: World) -> None:
    lock = await world.send(LOCK, world.leg())
    await drop(world, lock)
    assert (await world.chain.fate(lock)).state is TxState.MISSING
    await world.chain.broadcast(lock)
    await world.node.mine()
    assert (await world.chain.fate(lock)).state is TxState.MINED


async def test_what_waits_behind_a_dropped_transaction_is_mined_when_that_is_sent_again(world: World) -> None:
    one, two = (world.leg(preimage=preimage(number), swap_id=str(number)) for number in (1, 2))
    first, second = await world.send(LOCK, one), await world.send(LOCK, two)
    await drop(world, first)  # with what waits behind it, as anvil does
    await world.chain.broadcast(second)
    await world.node.mine()
    assert (await world.chain.fate(second)).state is TxState.PENDING
    await world.chain.broadcast(first)
    await world.node.mine(2)
    assert (await world.view(one)).state is (await world.view(two)).state is LegState.LOCKED


async def test_a_claim_whose_nonce_somebody_else_took_gets_a_new_one(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    assert claim.sequence is not None
    await stranger(world, claim.sequence)
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.REPLACED
    again = await world.send(CLAIM, leg, secret=PREIMAGE)  # what was replaced is not handed in: see `execute.py`
    assert again.sequence == claim.sequence + 1
    await world.node.mine()
    assert (await world.view(leg)).preimage == PREIMAGE


async def test_a_gap_is_where_nothing_is_known_to_wait_and_a_transfer_of_nothing_fills_it(world: World) -> None:
    """boltz-backend #1201: one missing nonce, and nothing goes on any more."""
    used, taken = await world.chain.places()
    assert used == taken
    foreign = await stranger(world, used)
    assert await world.chain.places() == (used, used + 1)
    lock = await world.send(LOCK, world.leg())
    assert lock.sequence == used + 1
    await drop(world, foreign)
    await world.chain.broadcast(lock)
    assert (await world.chain.places())[0] == used
    await world.node.mine()
    assert (await world.chain.fate(lock)).state is TxState.PENDING
    await world.chain.fill(used)
    await world.node.mine(2)
    assert (await world.chain.fate(lock)).state is TxState.MINED
    assert (await world.chain.fate(foreign)).state is TxState.REPLACED


async def test_a_filling_is_sent_again_and_for_more_when_it_pays_too_little_by_now(world: World) -> None:
    used, _ = await world.chain.places()
    price = GWEI
    await world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(price))
    await world.node.mine()
    await world.chain.fill(used)
    first = await pending_at(world, used)
    await world.chain.fill(used)
    assert await pending_at(world, used) == first, "good enough"
    await drop(world, SignedTx(first["hash"], b"", 0, 1))
    await world.chain.fill(used)
    assert await pending_at(world, used) == first, "the same again"
    world.proxy.instead["eth_feeHistory"] = changed(
        lambda history: {**history, "baseFeePerGas": [hex(20 * GWEI)] * len(history["baseFeePerGas"])}
    )
    await world.chain.fill(used)
    better = await pending_at(world, used)
    assert int(better["maxFeePerGas"], 16) >= 20 * GWEI
    await world.node.mine()
    assert (await world.chain.places())[0] == used + 1


async def pending_at(world: World, nonce: int) -> dict[str, Any]:
    block = await world.node.rpc("txpool_content")
    (mine,) = (each for each in block["pending"].items() if each[0].lower() == world.chain.account.lower())
    found: dict[str, Any] = mine[1][str(nonce)]
    return {key: found[key] for key in ("hash", "maxFeePerGas", "nonce")}
