"""The Bitcoin node of the tests is a real one, and does what tests need."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from swapd.devnet.bitcoind import Bitcoind, to_btc, to_satoshi
from swapd.devnet.state import ProcessId
from swapd.errors import Invalid, Rejected, Unavailable


async def balance(node: Bitcoind, wallet: str) -> int:
    return to_satoshi((await node.rpc("getbalances", wallet=wallet))["mine"]["trusted"])


async def test_mines_and_funds_to_the_satoshi(bitcoind: Bitcoind, wallet: str) -> None:
    height, _ = await bitcoind.best()
    hashes = await bitcoind.mine(3)
    assert await bitcoind.best() == (height + 3, hashes[-1])
    address = await bitcoind.rpc("getnewaddress", wallet=wallet)
    await bitcoind.fund(address, 12_345_679)
    assert await balance(bitcoind, wallet) == 12_345_679


async def test_the_shared_node_gives_each_test_a_wallet_of_its_own(bitcoind: Bitcoind, wallet: str) -> None:
    assert await balance(bitcoind, wallet) == 0


async def test_an_unconfirmed_payment_waits_in_the_mempool(own_bitcoind: Bitcoind) -> None:
    await own_bitcoind.create_wallet("alice")
    address = await own_bitcoind.rpc("getnewaddress", wallet="alice")
    txid = await own_bitcoind.fund(address, 50_000, confirm=False)
    assert await own_bitcoind.rpc("getrawmempool") == [txid]


async def test_median_time_past_is_close_to_now_from_the_start(own_bitcoind: Bitcoind) -> None:
    info = await own_bitcoind.rpc("getblockchaininfo")
    assert -30 < info["mediantime"] - time.time() < 0
    assert info["time"] <= time.time() + 1
    assert not info["initialblockdownload"]


async def test_its_clock_can_be_set_and_stays_over_a_restart(own_bitcoind: Bitcoind) -> None:
    tomorrow = int(time.time()) + 86_400
    await own_bitcoind.set_time(tomorrow)
    await own_bitcoind.mine(6)  # more than half of the eleven whose median counts
    await own_bitcoind.restart()
    info = await own_bitcoind.rpc("getblockchaininfo")
    assert info["mediantime"] == tomorrow
    await own_bitcoind.mine(1)
    _, tip = await own_bitcoind.best()
    assert (await own_bitcoind.rpc("getblockheader", tip))["time"] >= tomorrow


async def test_a_reorg_sends_a_transaction_back_to_the_mempool_and_reconsider_mines_it_again(
    own_bitcoind: Bitcoind,
) -> None:
    await own_bitcoind.create_wallet("alice")
    txid = await own_bitcoind.fund(await own_bitcoind.rpc("getnewaddress", wallet="alice"), 70_000)
    height, block = await own_bitcoind.best()
    await own_bitcoind.invalidate(block)
    assert (await own_bitcoind.best())[0] == height - 1
    assert txid in await own_bitcoind.rpc("getrawmempool")
    await own_bitcoind.reconsider(block)
    assert await own_bitcoind.best() == (height, block)
    assert await own_bitcoind.rpc("getrawmempool") == []


async def test_wallets_and_chain_survive_a_restart_of_the_node(own_bitcoind: Bitcoind) -> None:
    await own_bitcoind.create_wallet("alice")
    before = await own_bitcoind.best()
    await own_bitcoind.restart()
    assert await own_bitcoind.best() == before
    assert "alice" in await own_bitcoind.rpc("listwallets")


async def test_stop_leaves_neither_process_nor_folder() -> None:
    async with Bitcoind() as node:
        identity = ProcessId.of(node.process.pid)
    assert identity is not None
    assert not identity.alive()
    assert not node.folder.exists()
    with pytest.raises(Unavailable, match="getblockcount"):
        await node.rpc("getblockcount")


async def test_a_refused_call_is_rejected_with_the_nodes_words(bitcoind: Bitcoind) -> None:
    with pytest.raises(Rejected, match=r"getblockhash: Block height out of range \(code -8\)"):
        await bitcoind.rpc("getblockhash", 10_000_000)


async def test_an_option_it_does_not_know_is_shown_from_its_log() -> None:
    with pytest.raises(Unavailable, match=r"Invalid parameter -nonsense"):
        async with Bitcoind(options=("-nonsense",)):
            pass


async def test_a_named_binary_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match=r"binary: got 'no-such-bitcoind', expected a program that can be run"):
        async with Bitcoind(binary="no-such-bitcoind"):
            pass


def test_amounts_cross_the_json_edge_exactly() -> None:
    assert to_satoshi(0.1) == 10_000_000
    assert to_satoshi(20_999_999.9769) == 2_099_999_997_690_000
    assert to_btc(1) == "0.00000001"
    assert Decimal(to_btc(2_099_999_997_690_000)) == Decimal("20999999.9769")
