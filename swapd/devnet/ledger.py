"""The token of devnet and tests (`canisters/devnet_ledger`): its Candid types, and how it is told to misbehave."""

from __future__ import annotations

from collections.abc import Iterable

from swapd.chains.icp import candid
from swapd.chains.icp.candid.types import Blob, Nat, Nat8, Nat64, Null, Opt, Record, Text, Tuple, Variant, Vec
from swapd.chains.icp.interface import Account
from swapd.chains.icp.principal import Account as AccountOf

_COMMON_ERRORS = {
    "BadFee": Record({"expected_fee": Nat}),
    "InsufficientFunds": Record({"balance": Nat}),
    "TooOld": Null,
    "CreatedInFuture": Record({"ledger_time": Nat64}),
    "Duplicate": Record({"duplicate_of": Nat}),
    "TemporarilyUnavailable": Null,
    "GenericError": Record({"error_code": Nat, "message": Text}),
}

# -- ICRC-1, ICRC-2: what swapd itself never calls

TransferArgs = Record(
    {
        "from_subaccount": Opt(Blob),
        "to": Account,
        "amount": Nat,
        "fee": Opt(Nat),
        "memo": Opt(Blob),
        "created_at_time": Opt(Nat64),
    }
)
TransferResult = Variant(
    {"Ok": Nat, "Err": Variant({**_COMMON_ERRORS, "BadBurn": Record({"min_burn_amount": Nat})})},
)
TransferFromArgs = Record(
    {
        "spender_subaccount": Opt(Blob),
        "from": Account,
        "to": Account,
        "amount": Nat,
        "fee": Opt(Nat),
        "memo": Opt(Blob),
        "created_at_time": Opt(Nat64),
    }
)
TransferFromResult = Variant(
    {
        "Ok": Nat,
        "Err": Variant(
            {
                **_COMMON_ERRORS,
                "BadBurn": Record({"min_burn_amount": Nat}),
                "InsufficientAllowance": Record({"allowance": Nat}),
            }
        ),
    }
)

# -- the canister's own

Init = Record(
    {
        "symbol": Text,
        "name": Text,
        "decimals": Nat8,
        "fee": Nat,
        "minting_account": Account,
        "initial": Vec(Tuple(Account, Nat)),
    }
)
Fault = Variant(
    {
        "Err": Variant(_COMMON_ERRORS),
        "RejectBefore": Null,
        "RejectAfter": Null,
        "TrapBefore": Null,
        "TrapAfter": Null,
        "Late": Nat,
        "WrongBlock": Nat,
        "Unmoved": Nat,
    }
)
Plan = Record({"method": Text, "account": Opt(Account), "faults": Vec(Fault)})
Block = Record(
    {
        "index": Nat,
        "timestamp": Nat64,
        "operation": Variant({"Mint": Null, "Burn": Null, "Transfer": Null, "Approve": Null}),
        "from": Account,
        "to": Account,
        "spender": Opt(Account),
        "amount": Nat,
        "fee": Nat,
        "memo": Opt(Blob),
        "created_at_time": Opt(Nat64),
    }
)
BlocksArgs = Record({"start": Nat, "length": Nat})
BlocksReply = Record({"log_length": Nat, "blocks": Vec(Block)})


def install_arg(
    *,
    symbol: str,
    name: str,
    decimals: int,
    fee: int,
    minting: AccountOf,
    initial: Iterable[tuple[AccountOf, int]] = (),
) -> bytes:
    """What the ledger is installed with. Its minting account's owner mints, sets the fee and orders misbehaviour;
    `initial` holds balances, and amounts as the fee are in the smallest unit."""
    return candid.encode(
        Init,
        {
            "symbol": symbol,
            "name": name,
            "decimals": decimals,
            "fee": fee,
            "minting_account": account(minting),
            "initial": [(account(holder), amount) for holder, amount in initial],
        },
    )


def misbehave_arg(method: str, *faults: str | dict[str, object], of: AccountOf | None = None) -> bytes:
    """For `misbehave`: the next calls of `method` (in which `of` takes part) suffer these faults, one each. A fault
    without data is its name; no fault at all: it behaves again."""
    cases = [{fault: None} if isinstance(fault, str) else fault for fault in faults]
    return candid.encode(Plan, {"method": method, "account": of and account(of), "faults": cases})


def account(given: AccountOf) -> dict[str, object]:
    """As Candid has it."""
    return {"owner": given.owner, "subaccount": given.subaccount}
