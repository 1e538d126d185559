"""Counting money on a devnet, from the chains alone: what every party has, and what every transaction did cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eth_utils.address import to_checksum_address

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind, to_satoshi
from swapd.protocol.terms import Asset

NOBODY = "?"
"""Stands for a payer that no account and no database knows."""


@dataclass(frozen=True)
class Account:
    """Where a party's money lies. at: by chain, a wallet of the Bitcoin node, an Ethereum address, a principal."""

    name: str
    at: Mapping[str, str]


@dataclass(frozen=True)
class Fee:
    """What one transaction did cost. by: its payer as `Account.at` has it; None where the chain does not say."""

    txid: str
    amount: int
    by: str | None


class Coin(Protocol):
    """A coin that can be counted. All amounts are in its smallest unit."""

    @property
    def asset(self) -> Asset: ...

    async def height(self) -> int:
        """Of the last block there is."""

    async def balance(self, owner: str) -> int:
        """All that an owner has, as `Account.at` names it."""

    async def held(self) -> int:
        """What lies in the place that all legs share. 0 where there is none: money in a leg is then in no balance."""

    async def fees(self, first: int, last: int) -> Iterable[Fee]:
        """Of every transaction in these blocks, both ends included."""


@dataclass(frozen=True)
class Count:
    """All money at one moment, by symbol of the coin. had: also by name of the account."""

    heights: Mapping[str, int]
    had: Mapping[str, Mapping[str, int]]
    held: Mapping[str, int]


@dataclass
class Fees:
    """What the transactions between two counts did cost. paid: by symbol of the coin and name, `NOBODY` among them."""

    paid: dict[str, dict[str, int]]
    transactions: dict[str, int] = field(default_factory=dict)


async def count(coins: Iterable[Coin], accounts: Iterable[Account]) -> Count:
    """Balances first, height last: call it while nothing is on its way."""
    heights, had, held = {}, {}, {}
    owners = list(accounts)
    for coin in coins:
        symbol, chain = coin.asset.symbol, coin.asset.chain
        had[symbol] = {account.name: await coin.balance(account.at[chain]) for account in owners}
        held[symbol] = await coin.held()
        heights[symbol] = await coin.height()
    return Count(heights, had, held)


async def fees(
    coins: Iterable[Coin], before: Count, after: Count, accounts: Sequence[Account], payers: Mapping[str, str]
) -> Fees:
    """Read every block between two counts. payers: who sent which transaction, by txid, where the chain does not say"""
    found = Fees({})
    for coin in coins:
        symbol, chain = coin.asset.symbol, coin.asset.chain
        paid = found.paid[symbol] = defaultdict(int)
        names = {account.at[chain]: account.name for account in accounts}
        for fee in await coin.fees(before.heights[symbol] + 1, after.heights[symbol]):
            name = payers.get(fee.txid, NOBODY) if fee.by is None else names.get(fee.by, NOBODY)
            paid[name] += fee.amount
            found.transactions[fee.txid] = fee.amount
    return found


class Bitcoins:
    """BTC in the wallets of one node."""

    asset = Asset("BTC", "bitcoin", 8)

    def __init__(self, node: Bitcoind) -> None:
        self._node = node

    async def height(self) -> int:
        return (await self._node.best())[0]

    async def balance(self, owner: str) -> int:
        mine = (await self._node.rpc("getbalances", wallet=owner))["mine"]
        return to_satoshi(mine["trusted"]) + to_satoshi(mine["untrusted_pending"])

    async def held(self) -> int:
        return 0  # every leg is an output of its own

    async def fees(self, first: int, last: int) -> list[Fee]:
        found = []
        for height in range(first, last + 1):
            block = await self._node.rpc("getblock", await self._node.rpc("getblockhash", height), 2)
            found += [Fee(tx["txid"], to_satoshi(tx["fee"]), None) for tx in block["tx"][1:]]  # the first one mints
        return found


class Ether:
    """ETH of addresses, and in the HTLC contract. Addresses are compared as they are written, with their checksum."""

    asset = Asset("ETH", "ethereum", 18)

    def __init__(self, node: Anvil, contract: str) -> None:
        self._node = node
        self._contract = contract

    async def height(self) -> int:
        return (await self._node.best())[0]

    async def balance(self, owner: str) -> int:
        return int(await self._node.rpc("eth_getBalance", owner, "latest"), 16)

    async def held(self) -> int:
        return await self.balance(self._contract)

    async def fees(self, first: int, last: int) -> list[Fee]:
        found = []
        for number in range(first, last + 1):
            block = await self._node.rpc("eth_getBlockByNumber", hex(number), False)
            for txid in block["transactions"]:
                receipt = await self._node.rpc("eth_getTransactionReceipt", txid)
                cost = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
                found.append(Fee(txid, cost, to_checksum_address(receipt["from"])))
        return found
