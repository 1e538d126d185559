"""Counting the tokens of a ledger canister by reading its whole log: who has what, and who paid which fee."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from swapd.chains.icp import candid
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.candid import types as t
from swapd.chains.icp.principal import Account, parse, text
from swapd.devnet import ledger
from swapd.devnet.money import Fee
from swapd.errors import Rejected
from swapd.protocol.terms import Asset

_PAGE = 1_000
"""Blocks asked for at once: as many as the ledger gives."""


class Tokens:
    """One token of a devnet; see `Coin`. Blocks are read once, and those that came since at each later question.

    escrow: principal of the swap canister, in text. A payout's fee comes out of what was put into the escrow for it, so
    its payer is whoever put it there.
    """

    def __init__(self, agent: Agent, asset: Asset, escrow: str) -> None:
        self.asset = asset
        self._agent = agent
        self._ledger = parse("token", asset.token)
        self._escrow = parse("escrow", escrow)
        self._balances: dict[Account, int] = defaultdict(int)
        self._funders: dict[Account, bytes] = {}
        self._fees: list[Fee] = []
        self._funded: list[Account | None] = []

    async def height(self) -> int:
        await self._read_on()
        return len(self._fees) - 1

    async def balance(self, owner: str) -> int:
        """owner: a principal. What lies in all its subaccounts."""
        return await self._of(parse("owner", owner))

    async def held(self) -> int:
        return await self._of(self._escrow)

    async def fees(self, first: int, last: int) -> list[Fee]:
        await self._read_on()
        return [fee for fee in self._fees[first : last + 1] if fee.amount]

    async def locks(self, first: int, last: int) -> list[str]:
        """The escrow's subaccounts (hex) that were paid into in these blocks, each as often as it was."""
        await self._read_on()
        funded = (account for account in self._funded[first : last + 1] if account is not None)
        return [account.subaccount.hex() for account in funded if account.subaccount is not None]

    async def _of(self, owner: bytes) -> int:
        await self._read_on()
        return sum(amount for account, amount in self._balances.items() if account.owner == owner)

    async def _read_on(self) -> None:
        while True:
            asked = candid.encode(ledger.BlocksArgs, {"start": len(self._fees), "length": _PAGE})
            reply = candid.decode(ledger.BlocksReply, await self._agent.query(self._ledger, "blocks", asked))
            for block in reply["blocks"]:
                self._take(block)
            if len(self._fees) >= reply["log_length"]:
                break
        if sum(self._balances.values()) != await self._supply():
            raise Rejected(f"the ledger of {self.asset.symbol} has another supply than its log says")

    async def _supply(self) -> int:
        """Smallest unit."""
        reply = await self._agent.query(self._ledger, "icrc1_total_supply", candid.NO_ARGUMENTS)
        return int(candid.decode(t.Nat, reply))

    def _take(self, block: Any) -> None:
        operation = next(iter(block["operation"]))
        sender, receiver = _account(block["from"]), _account(block["to"])
        amount, fee = block["amount"], block["fee"]
        moves = operation != "Approve"
        if operation != "Mint":
            self._balances[sender] -= fee + (amount if moves else 0)
        if operation in ("Mint", "Transfer"):
            self._balances[receiver] += amount
        payer = self._funders.get(sender, sender.owner)
        funded = moves and receiver.owner == self._escrow
        if funded:
            self._funders[receiver] = payer
        self._funded.append(receiver if funded else None)
        self._fees.append(Fee(f"{self.asset.symbol} block {len(self._fees)}", fee, text(payer)))


def _account(value: Any) -> Account:
    return Account(value["owner"], value["subaccount"])
