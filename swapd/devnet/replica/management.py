"""The management canister `aaaaa-aa`: creating, installing, stopping, deleting canisters.

IC interface specification, section "The IC management canister". Also the `provisional_...` methods that only test
networks have. Not here: snapshots, chunked uploads, threshold signatures, HTTPS outcalls, Bitcoin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ic.candid import Types, encode

from swapd.devnet.replica.candid_reader import NotCandid, case, field, read_arguments
from swapd.devnet.replica.canister import Canister, Settings
from swapd.devnet.replica.errors import ErrorCode, RejectError, text_of
from swapd.devnet.replica.installation import HeapOption, Installation, Mode, install
from swapd.devnet.replica.messages import Answer, FromSystem, Reply, Request
from swapd.devnet.replica.scheduler import Scheduler
from swapd.devnet.replica.state import ReplicaState

DEFAULT_CYCLES = 10**14  # of a canister created with the provisional method, as on other test networks
_MODES: dict[str, Mode] = {"install": "install", "reinstall": "reinstall", "upgrade": "upgrade"}
_HEAP: dict[str, HeapOption] = {"keep": "keep", "replace": "replace"}
_MAX_CONTROLLERS = 10
_EMPTY = b"DIDL\0\0"
_ID = Types.Record({"canister_id": Types.Principal})

Answered = tuple[Answer, int]


class Management:
    """Carries out calls to the management canister for a scheduler."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self.scheduler = Scheduler(state, self.call)
        self._methods: dict[str, Callable[[Request, Any], Answered | None]] = {
            "canister_status": self._canister_status,
            "create_canister": self._create_canister,
            "delete_canister": self._delete_canister,
            "deposit_cycles": self._deposit_cycles,
            "install_code": self._install_code,
            "provisional_create_canister_with_cycles": self._provisional_create_canister_with_cycles,
            "provisional_top_up_canister": self._provisional_top_up_canister,
            "raw_rand": self._raw_rand,
            "start_canister": self._start_canister,
            "stop_canister": self._stop_canister,
            "uninstall_code": self._uninstall_code,
            "update_settings": self._update_settings,
        }

    def call(self, request: Request) -> Answered | None:
        """Answer and refund, None if the answer comes later. Raises `RejectError`."""
        method = self._methods.get(request.method)
        if method is None:
            text = f"Management canister has no method '{request.method}'"
            raise RejectError.of(ErrorCode.CANISTER_METHOD_NOT_FOUND, text)
        try:
            arguments = read_arguments(request.argument)
            return method(request, arguments[0] if arguments else {})
        except NotCandid as e:
            text = f"Error decoding candid: {e}"
            raise RejectError.of(ErrorCode.INVALID_MANAGEMENT_PAYLOAD, text) from e

    # --- creating ------------------------------------------------------------------------------------------------

    def _create_canister(self, request: Request, argument: Any) -> Answered:
        fee = self._state.costs.create_canister
        if request.cycles < fee:
            raise RejectError.of(
                ErrorCode.INSUFFICIENT_CYCLES_FOR_CREATE_CANISTER,
                f"Creating a canister requires a fee of {fee} that is deducted from the canister's initial balance but "
                f"only {request.cycles} cycles were received with the create_canister request.",
            )
        return self._created(request, argument, request.cycles - fee)

    def _provisional_create_canister_with_cycles(self, request: Request, argument: Any) -> Answered:
        amount = _natural(argument, "amount")
        return self._created(request, argument, DEFAULT_CYCLES if amount is None else amount)

    def _created(self, request: Request, argument: Any, cycles: int) -> Answered:
        settings = Settings([request.caller])
        wanted = field(argument, "settings")
        if wanted is not None:
            _apply(settings, wanted)
        canister = self._state.new_canister(settings, cycles)
        return Reply(encode([{"type": _ID, "value": {"canister_id": canister.id}}])), 0

    # --- code ----------------------------------------------------------------------------------------------------

    def _install_code(self, request: Request, argument: Any) -> Answered:
        canister = self._controlled(request, argument)
        name, options = case(field(argument, "mode"), list(_MODES))
        heap: HeapOption | None = None
        skip = False
        if options is not None and name == "upgrade":
            skip = bool(field(options, "skip_pre_upgrade"))
            persistence = field(options, "wasm_memory_persistence")
            heap = _HEAP[case(persistence, list(_HEAP))[0]] if persistence is not None else None
        wasm, init = field(argument, "wasm_module"), field(argument, "arg")
        if not isinstance(wasm, bytes) or not isinstance(init, bytes):
            raise NotCandid("expected blobs wasm_module and arg")
        self.install(canister, wasm, _MODES[name], init, request.caller, heap, skip_pre_upgrade=skip)
        return _done(request)

    def install(
        self,
        canister: Canister,
        wasm: bytes,
        mode: Mode,
        argument: bytes,
        sender: bytes,
        heap: HeapOption | None,
        *,
        skip_pre_upgrade: bool = False,
    ) -> None:
        """Raises `RejectError`; then everything is as it was."""
        module = self._state.module(wasm, canister.id)
        install(
            canister, Installation(module, mode, argument, sender, heap, skip_pre_upgrade), self._state.clock.now_ns()
        )

    def _uninstall_code(self, request: Request, argument: Any) -> Answered:
        self.scheduler.uninstall(self._controlled(request, argument))
        return _done(request)

    # --- running and not -----------------------------------------------------------------------------------------

    def _start_canister(self, request: Request, argument: Any) -> Answered:
        self.start(self._controlled(request, argument))
        return _done(request)

    def start(self, canister: Canister) -> None:
        canister.status = "running"
        waiting, canister.waiting_for_stop = canister.waiting_for_stop, []
        for origin in waiting:
            text = f"Canister {text_of(canister.id)} was stopped and restarted"
            cancelled = RejectError.of(ErrorCode.CANISTER_STOPPING_CANCELLED, text)
            self.scheduler.respond_error(origin, cancelled)

    def _stop_canister(self, request: Request, argument: Any) -> Answered | None:
        canister = self._controlled(request, argument)
        if canister.status == "stopped" or isinstance(request.origin, FromSystem):
            return _done(request)
        canister.waiting_for_stop.append(request.origin)
        self.stop(canister)
        return None

    def stop(self, canister: Canister) -> None:
        """No new calls from now on; stopped as soon as the open ones are done."""
        if canister.status == "running":
            canister.status = "stopping"
        self.scheduler.stop_if_idle(canister)

    def _delete_canister(self, request: Request, argument: Any) -> Answered:
        canister = self._controlled(request, argument)
        if canister.status != "stopped":
            text = f"Canister {text_of(canister.id)} must be stopped before it is deleted."
            raise RejectError.of(ErrorCode.CANISTER_NOT_STOPPED, text)
        del self._state.canisters[canister.id]
        return _done(request)

    # --- the rest ------------------------------------------------------------------------------------------------

    def _update_settings(self, request: Request, argument: Any) -> Answered:
        canister = self._controlled(request, argument)
        settings = field(argument, "settings")
        if settings is None:
            raise NotCandid("expected settings")
        _apply(canister.settings, settings)
        canister.version += 1
        return _done(request)

    def _canister_status(self, request: Request, argument: Any) -> Answered:
        canister = self._canister(argument)
        if request.caller != canister.id:  # a canister may ask for its own
            self._controlled(request, argument)
        return Reply(encode([{"type": _STATUS, "value": _status(canister)}])), request.cycles

    def _deposit_cycles(self, request: Request, argument: Any) -> Answered:
        self._canister(argument).cycles += request.cycles
        return Reply(_EMPTY), 0

    def _provisional_top_up_canister(self, request: Request, argument: Any) -> Answered:
        amount = _natural(argument, "amount")
        if amount is None:
            raise NotCandid("expected amount")
        self._canister(argument).cycles += amount
        return _done(request)

    def _raw_rand(self, request: Request, argument: Any) -> Answered:
        random = self._state.random_bytes()
        return Reply(encode([{"type": Types.Vec(Types.Nat8), "value": random}])), request.cycles

    # --- inside --------------------------------------------------------------------------------------------------

    def _canister(self, argument: Any) -> Canister:
        canister_id = field(argument, "canister_id")
        if not isinstance(canister_id, bytes):
            raise NotCandid("expected a principal canister_id")
        return self._state.canister(canister_id)

    def _controlled(self, request: Request, argument: Any) -> Canister:
        canister = self._canister(argument)
        if not canister.is_controller(request.caller):
            controllers = ", ".join(text_of(controller) for controller in canister.settings.controllers)
            raise RejectError.of(
                ErrorCode.CANISTER_INVALID_CONTROLLER,
                f"Only the controllers of the canister {text_of(canister.id)} can control it.\n"
                f"Canister's controllers: {controllers}\nSender's ID: {text_of(request.caller)}",
            )
        return canister


def target_of(request_method: str, argument: bytes) -> bytes | None:
    """The canister that a call to the management canister is about, None if it is about none. Raises `NotCandid`."""
    if request_method in ("create_canister", "provisional_create_canister_with_cycles", "raw_rand"):
        return None
    arguments = read_arguments(argument)
    target = field(arguments[0] if arguments else {}, "canister_id")
    return target if isinstance(target, bytes) else None


def _done(request: Request) -> Answered:
    return Reply(_EMPTY), request.cycles


def _apply(settings: Settings, wanted: Any) -> None:
    controllers = field(wanted, "controllers")
    if controllers is not None:
        if not isinstance(controllers, list) or not all(isinstance(controller, bytes) for controller in controllers):
            raise NotCandid("expected a vector of principals controllers")
        if len(controllers) > _MAX_CONTROLLERS:
            raise NotCandid(f"expected at most {_MAX_CONTROLLERS} controllers")
        settings.controllers = list(dict.fromkeys(controllers))
    for name in ("compute_allocation", "memory_allocation"):
        value = _natural(wanted, name)
        if value is not None:
            setattr(settings, name, value)
    threshold = _natural(wanted, "freezing_threshold")
    if threshold is not None:
        settings.freezing_threshold_seconds = threshold
    for name in _SHOWN_ONLY:
        value = _natural(wanted, name)
        if value is not None:
            settings.others[name] = value


def _natural(record: Any, name: str) -> int | None:
    value = field(record, name)
    if value is not None and (not isinstance(value, int) or not 0 <= value < 2**128):
        raise NotCandid(f"expected a natural number {name}")
    return value


_SHOWN_ONLY = ("reserved_cycles_limit", "wasm_memory_limit", "wasm_memory_threshold")
_STATUS = Types.Record(
    {
        "status": Types.Variant({"running": Types.Null, "stopping": Types.Null, "stopped": Types.Null}),
        "settings": Types.Record(
            {
                "controllers": Types.Vec(Types.Principal),
                "compute_allocation": Types.Nat,
                "memory_allocation": Types.Nat,
                "freezing_threshold": Types.Nat,
                **dict.fromkeys(_SHOWN_ONLY, Types.Nat),
            }
        ),
        "module_hash": Types.Opt(Types.Vec(Types.Nat8)),
        "memory_size": Types.Nat,
        "cycles": Types.Nat,
        "reserved_cycles": Types.Nat,
        "idle_cycles_burned_per_day": Types.Nat,
    }
)


def _status(canister: Canister) -> dict[str, Any]:
    settings = canister.settings
    return {
        "status": {canister.status: None},
        "settings": {
            "controllers": settings.controllers,
            "compute_allocation": settings.compute_allocation,
            "memory_allocation": settings.memory_allocation,
            "freezing_threshold": settings.freezing_threshold_seconds,
            **{name: settings.others.get(name, 0) for name in _SHOWN_ONLY},
        },
        "module_hash": [canister.module.hash] if canister.module else [],
        "memory_size": canister.memory_bytes,
        "cycles": canister.cycles,
        "reserved_cycles": 0,
        "idle_cycles_burned_per_day": canister.costs.storage(canister.memory_bytes, 86_400),
    }
