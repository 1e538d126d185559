"""A ledger of ICRC-1 and ICRC-2, asked by query: its answers are hints, on which no money rests.

A wrong balance or allowance makes swapd send a call that the ledger then refuses, and nothing worse.
"""

from __future__ import annotations

from dataclasses import dataclass

from swapd.chains.icp import candid, interface
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.candid.types import Nat, Nat8
from swapd.chains.icp.principal import Account

APPROVE = "icrc2_approve"


@dataclass(frozen=True)
class Ledger:
    """principal: the ledger canister's."""

    agent: Agent
    principal: bytes

    async def balance(self, account: Account) -> int:
        """Smallest unit."""
        arg = candid.encode(interface.Account, candid_account(account))
        return int(candid.decode(Nat, await self.agent.query(self.principal, "icrc1_balance_of", arg)))

    async def fee(self) -> int:
        """Of a transfer and of an approval, smallest unit."""
        reply = await self.agent.query(self.principal, "icrc1_fee", candid.NO_ARGUMENTS)
        return int(candid.decode(Nat, reply))

    async def decimals(self) -> int:
        reply = await self.agent.query(self.principal, "icrc1_decimals", candid.NO_ARGUMENTS)
        return int(candid.decode(Nat8, reply))

    async def allowance(self, owner: Account, spender: Account) -> int:
        arg = candid.encode(
            interface.AllowanceArgs, {"account": candid_account(owner), "spender": candid_account(spender)}
        )
        reply = candid.decode(interface.Allowance, await self.agent.query(self.principal, "icrc2_allowance", arg))
        return int(reply["allowance"])


def candid_account(account: Account) -> dict[str, object]:
    return {"owner": account.owner, "subaccount": account.subaccount}
