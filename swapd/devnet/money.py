"""Counting money on a devnet, from the chains alone: what every party has, and what every transaction did cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind, to_satoshi


@dataclass(frozen=True)
class Account:
    """Where a party's money lies: a wallet of the Bitcoin node, an Ethereum address."""

    name: str
    wallet: str
    address: str


@dataclass(frozen=True)
class Count:
    """All money at one moment, in satoshi and wei. contract: what the HTLC contract holds."""

    bitcoin_height: int
    ethereum_height: int
    satoshi: Mapping[str, int]
    wei: Mapping[str, int]
    contract: int


@dataclass
class Fees:
    """What the transactions between two counts did cost. by: who paid, "?" for nobody we know."""

    satoshi: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wei: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    transactions: dict[str, int] = field(default_factory=dict)


async def count(bitcoind: Bitcoind, anvil: Anvil, accounts: list[Account], contract: str) -> Count:
    satoshi, wei = {}, {}
    for account in accounts:
        mine = (await bitcoind.rpc("getbalances", wallet=account.wallet))["mine"]
        satoshi[account.name] = to_satoshi(mine["trusted"]) + to_satoshi(mine["untrusted_pending"])
        wei[account.name] = await _wei(anvil, account.address)
    height, _ = await bitcoind.best()
    block, _ = await anvil.best()
    return Count(height, block, satoshi, wei, await _wei(anvil, contract))


async def fees(
    bitcoind: Bitcoind, anvil: Anvil, before: Count, after: Count, accounts: list[Account], payers: Mapping[str, str]
) -> Fees:
    """Read every block between two counts. payers: who sent which Bitcoin transaction, by txid."""
    found = Fees()
    for height in range(before.bitcoin_height + 1, after.bitcoin_height + 1):
        block = await bitcoind.rpc("getblock", await bitcoind.rpc("getblockhash", height), 2)
        for tx in block["tx"][1:]:  # the first one mints
            fee = to_satoshi(tx["fee"])
            found.satoshi[payers.get(tx["txid"], "?")] += fee
            found.transactions[tx["txid"]] = fee
    names = {account.address.lower(): account.name for account in accounts}
    for number in range(before.ethereum_height + 1, after.ethereum_height + 1):
        block = await anvil.rpc("eth_getBlockByNumber", hex(number), False)
        for txid in block["transactions"]:
            receipt = await anvil.rpc("eth_getTransactionReceipt", txid)
            fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
            found.wei[names.get(receipt["from"].lower(), "?")] += fee
            found.transactions[txid] = fee
    return found


async def _wei(anvil: Anvil, address: str) -> int:
    return int(await anvil.rpc("eth_getBalance", address, "latest"), 16)
