"""A marketplace canister, which asks the swap canister for swaps, and how both are told who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.types import (
    Blob,
    Bool,
    Nat,
    Nat64,
    Null,
    Opt,
    Principal,
    Record,
    Reserved,
    Text,
    Variant,
    Vec,
)
from swapd.chains.icp.principal import text
from swapd.devnet.canisters import built
from swapd.devnet.replica import Replica
from tests.chains.icp.world import CONFIG, DAY, DEPLOYER, NS

SIDE = Variant({"Hot": Null, "External": Record({"refund_to": Text, "receive_at": Text, "claims_itself": Bool})})
SWAP_REQUEST = Record(
    {"give": Text, "give_amount": Nat, "get": Text, "get_amount": Nat, "initiator": SIDE, "participant": SIDE}
)
LEG = Record(
    {
        **dict.fromkeys(("role", "chain", "asset", "sender", "receiver", "reference"), Text),
        **dict.fromkeys(("timelock", "fund_by"), Nat64),
        "amount": Nat,
    }
)
ANSWER = Variant(
    {
        "Accepted": Record({"swap_id": Text, "hashlock": Blob, "legs": Vec(LEG)}),
        "Refused": Record({"field": Text, "reason": Text}),
    }
)
REQUEST = Record(
    {
        "marketplace": Principal,
        "request_id": Blob,
        "request": SWAP_REQUEST,
        "requested_at": Nat64,
        "answer": Opt(ANSWER),
    }
)
RESULT = Variant({"Ok": REQUEST, "Err": Record({"kind": Reserved, "message": Opt(Text)}), "Unreachable": Text})
HEARD = Variant({"Ok": Opt(REQUEST), "Unreachable": Text})

OWNER = b"\x33" * 28 + b"\x02"

HOT: dict[str, Any] = {"Hot": None}


def external(refund_to: str, receive_at: str, *, claims_itself: bool = False) -> dict[str, Any]:
    return {"External": {"refund_to": refund_to, "receive_at": receive_at, "claims_itself": claims_itself}}


@dataclass
class Marketplace:
    """canister: its principal."""

    replica: Replica
    canister: bytes

    @property
    def name(self) -> str:
        return text(self.canister)

    def sell(self, request_id: bytes, request: dict[str, Any]) -> dict[str, Any]:
        """Its owner has it ask for a swap, by a call from canister to canister. What it was told."""
        arg = candid.encode(Record({"request_id": Blob, "request": SWAP_REQUEST}), _asked(request_id, request))
        told: dict[str, Any] = candid.decode(RESULT, self.replica.update(self.canister, "sell", arg, OWNER))
        return told

    def ask(self, request_id: bytes, request: dict[str, Any]) -> None:
        assert "Ok" in (told := self.sell(request_id, request)), told

    def answer(self, request_id: bytes) -> dict[str, Any] | None:
        """What it finds at the swap canister, by a call from canister to canister; None while nobody has answered."""
        arg = candid.encode(Blob, request_id)
        found = candid.decode(HEARD, self.replica.update(self.canister, "answer", arg, OWNER))
        answer: dict[str, Any] | None = found["Ok"]["answer"]
        return answer


def _asked(request_id: bytes, request: dict[str, Any]) -> dict[str, Any]:
    return {"request_id": request_id, "request": request}


def open_marketplace(replica: Replica, swaps: bytes) -> Marketplace:
    canister = replica.create_canister(DEPLOYER)
    init = Record({"owner": Principal, "swaps": Principal})
    arg = candid.encode(init, {"owner": OWNER, "swaps": swaps})
    replica.install(canister, built("marketplace").wasm, arg, DEPLOYER)
    return Marketplace(replica, canister)


def allow(
    replica: Replica, swaps: bytes, *, ledger: bytes, marketplaces: list[bytes], coordinators: list[bytes]
) -> None:
    """What the swap canister's controllers say."""
    config = {
        "arbiter": DEPLOYER,
        "ledgers": [ledger],
        "min_timelock": 60 * NS,
        "max_timelock": 30 * DAY * NS,
        "marketplaces": marketplaces,
        "coordinators": coordinators,
        "limits": {"open_swaps_per_caller": 100, "initiates_per_minute": 100, "requests_per_minute": 1_000},
        "min_cycles": 10**12,
        "sweep_seconds": 60,
    }
    reply = replica.update(swaps, "configure", candid.encode(CONFIG, config), DEPLOYER)
    done = candid.decode(Variant({"Ok": Null, "Err": Record({"message": Opt(Text)})}), reply)
    assert "Ok" in done, done


def acknowledge(replica: Replica, swaps: bytes, sender: bytes, key: tuple[bytes, bytes], answer: dict[str, Any]) -> Any:
    """An answer by somebody else than the swapd under test."""
    args = {"marketplace": key[0], "request_id": key[1], "answer": answer}
    reply = replica.update(swaps, "acknowledgeSwap", candid.encode(interface.AcknowledgeArgs, args), sender)
    return candid.decode(interface.RequestResult, reply)
