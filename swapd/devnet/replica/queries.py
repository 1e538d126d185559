"""Queries and inspections: a canister's code runs, and nothing of it stays."""

from __future__ import annotations

from swapd.devnet.replica.canister import Canister, refusal
from swapd.devnet.replica.errors import (
    CanisterTrap,
    ErrorCode,
    RejectCode,
    RejectError,
    did_not_reply,
    frozen_for_queries,
    no_method,
)
from swapd.devnet.replica.execution import Entry, Execution, Rejected
from swapd.devnet.replica.messages import Reply
from swapd.devnet.replica.state import ReplicaState
from swapd.devnet.replica.state_tree import certificate


def query(state: ReplicaState, canister_id: bytes, method: str, argument: bytes, sender: bytes) -> bytes:
    """The reply. Raises `RejectError`."""
    canister = state.canister(canister_id)
    refused = refusal(canister)
    if refused:
        raise refused
    if canister.frozen:
        raise frozen_for_queries(canister_id)
    try:
        return _query(state, canister, method, argument, sender)
    except CanisterTrap as e:
        raise e.rejection(canister_id) from None


def _query(state: ReplicaState, canister: Canister, method: str, argument: bytes, sender: bytes) -> bytes:
    kind = canister.code.module.methods.get(method)
    if kind not in ("query", "composite_query"):
        raise no_method("query", method)
    made: list[bytes] = []

    def data_certificate() -> bytes:
        if not made:
            made.append(certificate(state, [(b"canister", canister.id, b"certified_data")], canister.id))
        return made[0]

    execution = Execution(
        Entry.QUERY,
        state.clock.now_ns(),
        argument,
        sender,
        method,
        answerable=True,
        certificate=data_certificate,
        balance=canister.cycles,
        limit=state.limits.instructions_per_query,
    )
    trap = canister.execute(execution, f"canister_{kind} {method}", commit=False)
    if trap is not None:
        raise trap
    if isinstance(execution.answer, Rejected):
        error = ErrorCode.CANISTER_REJECTED_MESSAGE
        raise RejectError(RejectCode.CANISTER_REJECT, execution.answer.message, error)
    if not isinstance(execution.answer, Reply):
        raise did_not_reply()
    return execution.answer.data


def inspect(state: ReplicaState, canister: Canister, method: str, argument: bytes, sender: bytes) -> None:
    """Ask the canister whether it takes a call from outside. Raises `RejectError` if it does not.

    One node of the real network asks, so that a canister must not trust in it.
    """
    if canister.module is None or not canister.code.exports("canister_inspect_message"):
        return
    execution = Execution(
        Entry.INSPECT,
        state.clock.now_ns(),
        argument,
        sender,
        method,
        balance=canister.cycles,
        limit=state.limits.instructions_per_inspection,
    )
    trap = canister.execute(execution, "canister_inspect_message", commit=False)
    if trap is not None:
        raise trap.rejection(canister.id)
    if not execution.message_accepted:
        refused = CanisterTrap("Canister rejected the message", ErrorCode.CANISTER_REJECTED_MESSAGE)
        raise refused.rejection(canister.id)
