"""The Candid types of the swap canister and of an ICRC-1/2 ledger, as far as swapd speaks them.

Sources: `canisters/atomic_swap/atomic_swap.did`; ICRC-1, ICRC-2, ICRC-3.
"""

from __future__ import annotations

from swapd.chains.icp.candid.types import (
    Blob,
    Int,
    Nat,
    Nat64,
    Null,
    Opt,
    Principal,
    Record,
    Recursive,
    Reserved,
    Text,
    Tuple,
    Variant,
    Vec,
)

Account = Record({"owner": Principal, "subaccount": Opt(Blob)})

# -- the swap canister -------------------------------------------------------------------------------------------------

_Intent = Variant({"Funding": Null, "Claiming": Null, "Refunding": Null})
Phase = Variant(
    {
        "Funding": Null,
        "Locked": Null,
        "Claiming": Null,
        "Refunding": Null,
        "Claimed": Null,
        "Refunded": Null,
        "Cancelled": Null,
        "Quarantined": _Intent,
    }
)
InitiateArgs = Record(
    {
        "nonce": Blob,
        "ledger": Principal,
        "amount": Nat,
        "fee": Nat,
        "from_subaccount": Opt(Blob),
        "recipient": Account,
        "refund_to": Account,
        "hashlock": Blob,
        "fund_by": Nat64,
        "deadline": Nat64,
    }
)
Swap = Record(
    {
        "id": Blob,
        "initiator": Principal,
        "args": InitiateArgs,
        "phase": Phase,
        "secret": Opt(Blob),
        "lock_block": Opt(Nat),
        "payout_block": Opt(Nat),
        "created_at": Nat64,
        "last_event": Nat,
    }
)
Note = Opt(Blob)
CompleteArgs = Record({"id": Blob, "secret": Blob})
GetSwapReply = Record({"swap": Opt(Swap), "certificate": Opt(Blob), "witness": Blob})
_RequestError = Variant(
    {
        "InvalidArgument": Null,
        "NotFound": Null,
        "NonceReused": Null,
        "WrongSecret": Null,
        "DeadlineNotReached": Null,
        "WrongPhase": Phase,
        "NotAuthorized": Null,
        "LedgerNotAllowed": Null,
        "LedgerRefused": Null,
        "AlreadyAnswered": Null,
        "TooManyOpen": Null,
    }
)
_TemporaryError = Variant(
    {
        "Busy": Null,
        "Halted": Null,
        "LedgerUnavailable": Null,
        "LowCycles": Null,
        "RateLimited": Record({"retry_after_ns": Nat64}),
    }
)
_ErrorKind = Variant(
    {"RequestError": Opt(_RequestError), "TemporaryError": Opt(_TemporaryError), "InternalError": Opt(Record({}))}
)
_Error = Record({"kind": _ErrorKind, "message": Opt(Text)})
SwapResult = Variant({"Ok": Swap, "Err": _Error})

_AnsweredLeg = Record(
    {
        "role": Text,
        "chain": Text,
        "asset": Text,
        "amount": Nat,
        "sender": Text,
        "receiver": Text,
        "timelock": Nat64,
        "fund_by": Nat64,
        "reference": Text,
    }
)
_Answer = Variant(
    {
        "Accepted": Record({"swap_id": Text, "hashlock": Blob, "legs": Vec(_AnsweredLeg)}),
        "Refused": Record({"field": Text, "reason": Text}),
    }
)
AcknowledgeArgs = Record({"marketplace": Principal, "request_id": Blob, "answer": _Answer})
RequestResult = Variant({"Ok": Reserved, "Err": _Error})

# -- ICRC-3 -----------------------------------------------------------------------------------------------------------

Value = Recursive()
Value.fill(
    Variant(
        {
            "Blob": Blob,
            "Text": Text,
            "Nat": Nat,
            "Int": Int,
            "Array": Vec(Value),
            "Map": Vec(Tuple(Text, Value)),
        }
    )
)
Ranges = Vec(Record({"start": Nat, "length": Nat}))
BlocksReply = Record(
    {"log_length": Nat, "blocks": Vec(Record({"id": Nat, "block": Value}))}  # archives are not used
)
TipReply = Opt(Record({"certificate": Blob, "hash_tree": Blob}))

# -- ICRC-1, ICRC-2 ---------------------------------------------------------------------------------------------------

AllowanceArgs = Record({"account": Account, "spender": Account})
Allowance = Record({"allowance": Nat, "expires_at": Opt(Nat64)})
ApproveArgs = Record(
    {
        "from_subaccount": Opt(Blob),
        "spender": Account,
        "amount": Nat,
        "expected_allowance": Opt(Nat),
        "expires_at": Opt(Nat64),
        "fee": Opt(Nat),
        "memo": Opt(Blob),
        "created_at_time": Opt(Nat64),
    }
)
_ApproveError = Variant(
    {
        "BadFee": Record({"expected_fee": Nat}),
        "InsufficientFunds": Record({"balance": Nat}),
        "AllowanceChanged": Record({"current_allowance": Nat}),
        "Expired": Record({"ledger_time": Nat64}),
        "TooOld": Null,
        "CreatedInFuture": Record({"ledger_time": Nat64}),
        "Duplicate": Record({"duplicate_of": Nat}),
        "TemporarilyUnavailable": Null,
        "GenericError": Record({"error_code": Nat, "message": Text}),
    }
)
ApproveResult = Variant({"Ok": Nat, "Err": _ApproveError})
