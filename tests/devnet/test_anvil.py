"""The Ethereum node of the tests is a real one, and does what tests need."""

from __future__ import annotations

import time

import pytest

from swapd.devnet.anvil import Anvil
from swapd.devnet.state import ProcessId
from swapd.errors import Rejected

ALICE = "0x" + "a1" * 20


async def pay(node: Anvil, wei: int) -> str:
    sender = (await node.rpc("eth_accounts"))[0]
    transaction = {"from": sender, "to": ALICE, "value": hex(wei)}
    txid: str = await node.rpc("eth_sendTransaction", transaction)
    return txid


async def balance(node: Anvil) -> int:
    return int(await node.rpc("eth_getBalance", ALICE, "latest"), 16)


async def test_mines_only_when_told(anvil: Anvil) -> None:
    txid = await pay(anvil, 7)
    assert await anvil.rpc("eth_getTransactionReceipt", txid) is None
    await anvil.mine()
    assert (await anvil.rpc("eth_getTransactionReceipt", txid))["status"] == "0x1"
    assert await balance(anvil) == 7
    assert (await anvil.best())[0] == 1


async def test_mines_by_itself_with_a_block_time() -> None:
    async with Anvil(block_time=0.1) as node:
        deadline = time.monotonic() + 10
        while (await node.best())[0] < 2:
            assert time.monotonic() < deadline


async def test_a_reorg_takes_a_payment_back(anvil: Anvil) -> None:
    await anvil.mine(5)
    txid = await pay(anvil, 7)
    await anvil.mine(2)
    height, tip = await anvil.best()
    await anvil.reorg(3)
    assert (await anvil.best())[0] == height
    assert (await anvil.best())[1] != tip
    assert await anvil.rpc("eth_getTransactionReceipt", txid) is None
    assert await balance(anvil) == 0


async def test_time_moves_as_told_and_goes_on_from_there(anvil: Anvil) -> None:
    tomorrow = int(time.time()) + 86_400
    await anvil.set_next_timestamp(tomorrow)
    await anvil.mine(2)
    stamps = [int((await anvil.rpc("eth_getBlockByNumber", hex(n), False))["timestamp"], 16) for n in (1, 2)]
    assert stamps[0] == tomorrow
    assert tomorrow <= stamps[1] < tomorrow + 60


async def test_a_snapshot_brings_the_state_back_once(anvil: Anvil) -> None:
    await anvil.set_balance(ALICE, 10**18)
    snapshot = await anvil.snapshot()
    await anvil.set_balance(ALICE, 5)
    await anvil.revert(snapshot)
    assert await balance(anvil) == 10**18
    with pytest.raises(Rejected):
        await anvil.revert(snapshot)


async def test_chain_and_receipts_survive_a_restart(anvil: Anvil) -> None:
    txid = await pay(anvil, 7)
    await anvil.mine(2)
    before = await anvil.best()
    await anvil.restart()
    assert await anvil.best() == before
    assert await balance(anvil) == 7
    assert (await anvil.rpc("eth_getTransactionReceipt", txid))["blockNumber"] == "0x1"


async def test_an_epoch_sets_how_far_finality_is_behind() -> None:
    async with Anvil(slots_in_an_epoch=1) as node:
        await node.mine(5)
        assert (await node.rpc("eth_getBlockByNumber", "finalized", False))["number"] == hex(3)


async def test_stop_leaves_neither_process_nor_folder() -> None:
    async with Anvil() as node:
        identity = ProcessId.of(node.process.pid)
    assert identity is not None
    assert not identity.alive()
    assert not node.folder.exists()


async def test_a_refused_call_is_rejected_with_the_nodes_words(anvil: Anvil) -> None:
    with pytest.raises(Rejected, match=r"eth_nonsense: .*code -32"):
        await anvil.rpc("eth_nonsense")
