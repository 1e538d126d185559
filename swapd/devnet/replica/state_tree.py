"""What the replica certifies about itself. IC interface specification, section "The system state tree"."""

from __future__ import annotations

from collections.abc import Sequence

from swapd.devnet.replica.canister import Canister
from swapd.devnet.replica.certificates import cbor
from swapd.devnet.replica.hash_tree import Path, Tree
from swapd.devnet.replica.leb128 import encode_unsigned
from swapd.devnet.replica.state import ReplicaState

_TIME: Path = (b"time",)


class Forbidden(Exception):
    """The path is not for this sender to read (HTTP 403). Says why."""


class BadPath(Exception):
    """There is no such path in any state (HTTP 400). Says why."""


def certificate(state: ReplicaState, paths: Sequence[Path], canister_id: bytes) -> bytes:
    """A certificate that shows the paths, and the time; for whoever asked `canister_id`."""
    now = state.clock.now_ns()
    requests = [path[1] for path in paths if len(path) > 1 and path[0] == b"request_status"]
    tree = _tree(state, now, requests)
    return state.certifier.certificate(tree, [_TIME, *paths], now, canister_id)


def check_readable(state: ReplicaState, paths: Sequence[Path], sender: bytes) -> None:
    """Raises `Forbidden` or `BadPath`. One bad path spoils the request, as on the real replica."""
    asked = set()
    for path in paths:
        match [bytes(label) for label in path]:
            case [b"time"] | [b"subnet", *_] | [b"canister_ranges", *_]:
                pass
            case [b"canister", canister_id, b"module_hash" | b"controllers" | b"certified_data"]:
                if len(canister_id) > 29:
                    raise BadPath("a principal has at most 29 bytes")
            case [b"canister", canister_id, b"metadata", name]:
                _check_metadata(state.canisters.get(canister_id), name, sender)
            case [b"request_status", request_id, *_] if len(request_id) == 32:
                asked.add(request_id)
                _check_request(state, request_id, sender)
            case _:
                raise BadPath("Invalid path requested.")
    if len(asked) > 1:
        raise BadPath("Can only request a single request ID in request_status paths.")


def _check_metadata(canister: Canister | None, name: bytes, sender: bytes) -> None:
    section = canister.module.metadata(name.decode(errors="replace")) if canister and canister.module else None
    if canister and section and not section[0] and not canister.is_controller(sender):
        raise Forbidden("Custom section can only be requested by the controllers of the canister.")


def _check_request(state: ReplicaState, request_id: bytes, sender: bytes) -> None:
    if request_id in state.history and state.history[request_id].sender != sender:
        raise Forbidden("The user tries to access Request ID not signed by the caller.")


def _tree(state: ReplicaState, now_ns: int, request_ids: Sequence[bytes]) -> Tree:
    statuses = {request_id: state.history.tree(request_id, now_ns) for request_id in request_ids}
    return {
        b"canister": {canister.id: _canister_tree(canister) for canister in state.canisters.values()},
        b"request_status": {request_id: tree for request_id, tree in statuses.items() if tree is not None},
        b"time": encode_unsigned(now_ns),
        **state.certifier.subnets(),
    }


def _canister_tree(canister: Canister) -> Tree:
    tree: dict[bytes, Tree] = {b"controllers": cbor(sorted(canister.settings.controllers))}
    module = canister.module
    if module is not None:
        tree[b"certified_data"] = canister.certified_data
        tree[b"module_hash"] = module.hash
        tree[b"metadata"] = {
            name.removeprefix("icp:public ").removeprefix("icp:private ").encode(): content
            for name, content in module.custom.items()
            if name.startswith(("icp:public ", "icp:private "))
        }
    return tree
