"""A local replica of the Internet Computer: canister wasm on wasmtime, behind the real HTTP interface.

What it is not: a network. There is one node and no consensus, query responses carry no node's signature, calls with a
best-effort response always get one, instructions are near the real count and not equal to it. Composite queries can
make no calls; there are no heartbeats, no canister or web-authentication signatures of users, no snapshots, chunked
uploads, HTTPS outcalls or threshold signatures. Tables that a canister changes, and data segments that it drops, are
not rolled back and not saved (what compilers of canisters make does neither).
"""

from __future__ import annotations

from swapd.devnet.replica.canister import Canister
from swapd.devnet.replica.clock import ManualClock
from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import ErrorCode, RejectCode, RejectError
from swapd.devnet.replica.ingress import Outcome
from swapd.devnet.replica.replica import Replica

__all__ = ["Canister", "Costs", "ErrorCode", "Limits", "ManualClock", "Outcome", "RejectCode", "RejectError", "Replica"]
