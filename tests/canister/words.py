"""The whole Candid interface of the swap canister; swapd itself reads less of it (`swapd.chains.icp.interface`)."""

from __future__ import annotations

from swapd.chains.icp.candid.types import (
    Blob,
    Bool,
    Empty,
    Nat,
    Nat64,
    Null,
    Opt,
    Principal,
    Record,
    Text,
    Variant,
    Vec,
)
from swapd.chains.icp.interface import Account, CompleteArgs, GetSwapReply, InitiateArgs, Phase, Swap

RequestError = Variant(
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
TemporaryError = Variant(
    {
        "Busy": Null,
        "Halted": Null,
        "LedgerUnavailable": Null,
        "LowCycles": Null,
        "RateLimited": Record({"retry_after_ns": Nat64}),
    }
)
Error = Record(
    {
        "kind": Variant(
            {
                "RequestError": Opt(RequestError),
                "TemporaryError": Opt(TemporaryError),
                "InternalError": Opt(Variant({"none": Empty})),
            }
        ),
        "message": Opt(Text),
    }
)
SwapAnswer = Variant({"Ok": Swap, "Err": Error})
NatAnswer = Variant({"Ok": Nat, "Err": Error})
Done = Variant({"Ok": Null, "Err": Error})

Side = Variant({"Hot": Null, "External": Record({"refund_to": Text, "receive_at": Text, "claims_itself": Bool})})
SwapRequest = Record(
    {"give": Text, "give_amount": Nat, "get": Text, "get_amount": Nat, "initiator": Side, "participant": Side}
)
AnsweredLeg = Record(
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
RequestAnswer = Variant(
    {
        "Accepted": Record({"swap_id": Text, "hashlock": Blob, "legs": Vec(AnsweredLeg)}),
        "Refused": Record({"field": Text, "reason": Text}),
    }
)
Request = Record(
    {
        "marketplace": Principal,
        "request_id": Blob,
        "request": SwapRequest,
        "requested_at": Nat64,
        "answer": Opt(RequestAnswer),
    }
)
RequestKey = Record({"marketplace": Principal, "request_id": Blob})
RequestResult = Variant({"Ok": Request, "Err": Error})

Config = Record(
    {
        "arbiter": Principal,
        "ledgers": Vec(Principal),
        "min_timelock": Nat64,
        "max_timelock": Nat64,
        "marketplaces": Vec(Principal),
        "coordinators": Vec(Principal),
        "limits": Record({"open_swaps_per_caller": Nat, "initiates_per_minute": Nat, "requests_per_minute": Nat}),
        "min_cycles": Nat,
        "sweep_seconds": Nat64,
    }
)
Health = Record(
    {
        "cycles": Nat,
        "memory_bytes": Nat,
        "heap_bytes": Nat,
        "log_length": Nat,
        "swaps": Nat,
        "open_swaps": Nat,
        "quarantined": Nat,
        "halted": Bool,
        "halted_ledgers": Vec(Principal),
        "low_cycles": Bool,
        "last_sweep": Nat64,
        "config": Config,
    }
)
ListArgs = Record(
    {
        "start": Opt(Blob),
        "limit": Nat,
        "filter": Record({"party": Opt(Principal), "phases": Opt(Vec(Phase))}),
    }
)
Page = Record({"swaps": Vec(Swap), "next": Opt(Blob)})

UPDATES = {
    "initiateSwap": (InitiateArgs, SwapAnswer),
    "completeSwap": (CompleteArgs, SwapAnswer),
    "refundSwap": (Blob, SwapAnswer),
    "resumeSwap": (Blob, SwapAnswer),
    "resolveQuarantined": (Record({"id": Blob, "paid_in_block": Opt(Nat)}), SwapAnswer),
    "returnExcess": (Record({"nonce": Blob, "ledger": Principal, "to_subaccount": Opt(Blob)}), NatAnswer),
    "setHalted": (Record({"ledger": Opt(Principal), "halted": Bool}), Done),
    "configure": (Config, Done),
    "requestSwap": (Record({"request_id": Blob, "request": SwapRequest}), RequestResult),
    "acknowledgeSwap": (
        Record({"marketplace": Principal, "request_id": Blob, "answer": RequestAnswer}),
        RequestResult,
    ),
}
QUERIES = {
    "getRequest": (RequestKey, Opt(Request)),
    "getSwap": (Blob, GetSwapReply),
    "swapId": (Record({"initiator": Principal, "nonce": Blob}), Blob),
    "listSwaps": (ListArgs, Page),
}
HEALTH = Variant({"Ok": Health, "Err": Error})
ACCOUNT = Account
