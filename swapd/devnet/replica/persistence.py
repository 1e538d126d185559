"""A replica on disk: all of it, also messages under way, so that it goes on as if nothing had happened.

A folder holds `current`, which names the folder of the last complete save: `state.cbor`, and for each canister its
module, heap and stable memory. A save that is cut short leaves the one before in force.
"""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import cbor2

from swapd.devnet.replica.canister import Canister, Settings
from swapd.devnet.replica.clock import Clock, ManualClock, OffsetClock
from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import RejectCode
from swapd.devnet.replica.ingress import Ingress
from swapd.devnet.replica.instance import Instance
from swapd.devnet.replica.messages import (
    Callback,
    CallContext,
    FromCanister,
    FromSystem,
    FromUser,
    Reject,
    Reply,
    Request,
    Response,
    TimerDue,
)
from swapd.devnet.replica.stable_memory import StableMemory
from swapd.devnet.replica.state import ReplicaState

_FORMAT = 1
_CURRENT = "current"
_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        CallContext,
        Callback,
        Costs,
        FromCanister,
        FromSystem,
        FromUser,
        Ingress,
        Limits,
        Reject,
        Reply,
        Request,
        Response,
        Settings,
        TimerDue,
    )
}
_CANISTER_FIELDS = (
    "id",
    "settings",
    "status",
    "version",
    "cycles",
    "storage_paid_until_ns",
    "certified_data",
    "timer_ns",
    "timer_queued",
    "contexts",
    "callbacks",
    "next_id",
    "waiting_for_stop",
    "logs",
    "instructions_used",
)


class NotAState(Exception):
    """The folder holds no state that this version can read. Says why."""


def exists(folder: Path) -> bool:
    return (folder / _CURRENT).exists()


def save(state: ReplicaState, folder: Path) -> None:
    """Must be called between messages."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"state-{uuid.uuid4().hex}"
    room = folder / name
    room.mkdir()
    (room / "state.cbor").write_bytes(cbor2.dumps(_pack(_described(state))))
    for canister in state.canisters.values():
        _save_memories(canister, room)
    before = _current(folder) if exists(folder) else None
    pointer = folder / f"{_CURRENT}.new"
    pointer.write_text(name)
    pointer.replace(folder / _CURRENT)
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)


def load(folder: Path, clock: ManualClock | None = None) -> ReplicaState:
    """What `save` wrote. `clock` takes the place of the saved one, and is its owner's to set. Raises `NotAState`."""
    if not exists(folder):
        raise NotAState(f"{folder} holds no saved replica")
    room = _current(folder)
    described = _unpack(cbor2.loads((room / "state.cbor").read_bytes()))
    if described["format"] != _FORMAT:
        raise NotAState(f"{folder} was written in format {described['format']}, this replica reads {_FORMAT}")
    state = ReplicaState(
        described["seed"],
        described["delegated"],
        clock or _clock(described),
        described["costs"],
        described["limits"],
    )
    state.next_canister = described["next_canister"]
    state.random_draws = described["random_draws"]
    state.queue = deque(described["queue"])
    for request_id, ingress in described["history"]:
        state.history.add(request_id, ingress)
    for fields in described["canisters"]:
        _restore(state, fields, room)
    return state


def _described(state: ReplicaState) -> dict[str, Any]:
    clock = state.clock
    return {
        "format": _FORMAT,
        "seed": state.seed,
        "delegated": state.delegated,
        "manual_clock": isinstance(clock, ManualClock),
        "now_ns": clock.now_ns(),
        "offset_ns": clock.offset_ns if isinstance(clock, OffsetClock) else 0,
        "costs": state.costs,
        "limits": state.limits,
        "next_canister": state.next_canister,
        "random_draws": state.random_draws,
        "queue": list(state.queue),
        "history": [list(item) for item in state.history.items()],
        "canisters": [
            {
                **{name: getattr(canister, name) for name in _CANISTER_FIELDS},
                "globals": canister.instance.global_values() if canister.instance else None,
            }
            for canister in state.canisters.values()
        ],
    }


def _clock(described: dict[str, Any]) -> Clock:
    if described["manual_clock"]:
        return ManualClock(described["now_ns"])
    return OffsetClock(described["offset_ns"], described["now_ns"])


def _save_memories(canister: Canister, room: Path) -> None:
    name = canister.id.hex()
    (room / f"{name}.stable").write_bytes(canister.stable.content())
    if canister.instance is not None:
        (room / f"{name}.wasm").write_bytes(canister.instance.module.wasm)
        (room / f"{name}.heap").write_bytes(canister.instance.heap())


def _restore(state: ReplicaState, fields: dict[str, Any], room: Path) -> None:
    canister = state.make_canister(fields["id"], fields["settings"])
    for name in _CANISTER_FIELDS:
        setattr(canister, name, fields[name])
    canister.logs = [(ns, text) for ns, text in fields["logs"]]
    name = canister.id.hex()
    canister.stable = StableMemory((room / f"{name}.stable").read_bytes())
    if fields["globals"] is None:
        return
    module = state.module((room / f"{name}.wasm").read_bytes(), canister.id)
    canister.instance = Instance(state.engine, module, canister.api.function)
    canister.instance.set_heap((room / f"{name}.heap").read_bytes())
    canister.instance.set_global_values(fields["globals"])


def _current(folder: Path) -> Path:
    return folder / (folder / _CURRENT).read_text()


# --- dataclasses as CBOR ---------------------------------------------------------------------------------------------


def _pack(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _pack(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(item) for item in value]
    return int(value) if isinstance(value, RejectCode) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        fields = {key: _unpack(item) for key, item in value.items()}
        if "" not in fields:
            return fields
        kind = _TYPES[fields.pop("")]
        if kind is Reject:
            fields["code"] = RejectCode(fields["code"])
        return kind(**fields)
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    return value
