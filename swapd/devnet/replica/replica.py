"""A replica of the Internet Computer, in this process: one subnet, one node, no consensus, real wasm."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from swapd.devnet.replica import persistence
from swapd.devnet.replica.candid_reader import NotCandid
from swapd.devnet.replica.canister import Canister, Settings
from swapd.devnet.replica.certificates import Delegated
from swapd.devnet.replica.clock import Clock, ManualClock, OffsetClock
from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import ErrorCode, RejectCode, RejectError, text_of
from swapd.devnet.replica.hash_tree import Path as TreePath
from swapd.devnet.replica.ingress import Ingress, Outcome
from swapd.devnet.replica.installation import HeapOption, Mode
from swapd.devnet.replica.management import Management, target_of
from swapd.devnet.replica.messages import FromUser, Request
from swapd.devnet.replica.queries import inspect, query
from swapd.devnet.replica.state import MANAGEMENT, ReplicaState
from swapd.devnet.replica.state_tree import certificate, check_readable


class Replica:
    """Principals are bytes, arguments and replies Candid bytes. All methods may be called from any thread.

        replica = Replica(clock=ManualClock())
        canister_id = replica.create_canister(controller)
        replica.install(canister_id, wasm, argument, controller)
        reply = replica.update(canister_id, "method", argument, sender)

    `submit` and `step` take a call apart into its messages, so that calls can be interleaved. Without a clock, time is
    the machine's plus what `advance` adds. `seed` gives the root key, which is the same every time. `delegated` says
    whether certificates are signed through a subnet's key, as on mainnet, and in which form they say which canisters it
    may speak for. A canister id that is not known, and everything else that the real replica would reject, raises
    `RejectError`.
    """

    def __init__(
        self,
        *,
        seed: bytes = b"swapd",
        clock: ManualClock | None = None,
        delegated: Delegated = "none",
        costs: Costs | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._begin(ReplicaState(seed, delegated, clock or OffsetClock(), costs or Costs(), limits or Limits()))

    def _begin(self, state: ReplicaState) -> None:
        self.state = state
        self._management = Management(state)
        self._scheduler = self._management.scheduler

    # --- canisters -----------------------------------------------------------------------------------------------

    @property
    def root_key(self) -> bytes:
        """What clients are to trust: DER, 133 bytes."""
        return self.state.certifier.root_key

    @property
    def clock(self) -> Clock:
        return self.state.clock

    @property
    def now_ns(self) -> int:
        return self.state.clock.now_ns()

    def create_canister(self, controller: bytes, cycles: int = 10**14) -> bytes:
        """A new canister's id."""
        with self.lock:
            return self.state.new_canister(Settings([controller]), cycles).id

    def install(
        self,
        canister_id: bytes,
        wasm: bytes,
        arg: bytes,
        sender: bytes,
        mode: Mode = "install",
        keep_memory: bool = True,
    ) -> None:
        """Install code at once; other messages stay where they are. Raises `RejectError`, then nothing has changed.

        An upgrade of a canister made for enhanced orthogonal persistence keeps the heap, unless told otherwise; other
        modules have to save what they need in stable memory.
        """
        with self.lock:
            canister = self.state.canister(canister_id)
            if not canister.is_controller(sender):
                text = f"Only the controllers of the canister {text_of(canister_id)} can control it."
                raise RejectError.of(ErrorCode.CANISTER_INVALID_CONTROLLER, text)
            heap: HeapOption | None = None
            if mode == "upgrade":
                new, old = (
                    self.state.module(wasm, canister_id).persists_heap,
                    bool(canister.module and canister.module.persists_heap),
                )
                heap = "keep" if keep_memory and new else "replace" if old else None
            self._management.install(canister, wasm, mode, arg, sender, heap)

    def canister(self, canister_id: bytes) -> Canister:
        """For looking at it: `.instructions_used` (of the last message), `.cycles`, `.memory_bytes`,
        `.certified_data`, `.logs`, `.status`."""
        return self.state.canister(canister_id)

    def stop(self, canister_id: bytes) -> None:
        """From now on the canister takes no calls; it is stopped once its open ones are done (`.status` tells)."""
        with self.lock:
            self._management.stop(self.state.canister(canister_id))

    def start(self, canister_id: bytes) -> None:
        with self.lock:
            self._management.start(self.state.canister(canister_id))

    def add_cycles(self, canister_id: bytes, amount: int) -> int:
        """Top up (or, with a negative amount, drain) a canister; its balance then."""
        with self.lock:
            canister = self.state.canister(canister_id)
            canister.cycles = max(0, canister.cycles + amount)
            return canister.cycles

    # --- calls ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        canister_id: bytes,
        method: str,
        arg: bytes,
        sender: bytes,
        *,
        request_id: bytes | None = None,
        expiry_ns: int | None = None,
    ) -> bytes:
        """Queue a call from outside; its request id. A request id that was seen before changes nothing.

        Raises `RejectError` where the real replica would not take it in: unknown canister, no cycles to receive it,
        the canister's own `inspect_message`, too many waiting.
        """
        with self.lock:
            request_id = request_id or os.urandom(32)
            if request_id in self.state.history:
                return request_id
            self._admit(canister_id, method, arg, sender)
            now = self.now_ns
            self.state.history.add(request_id, Ingress(sender, canister_id, expiry_ns, now))
            self.state.queue.append(Request(canister_id, method, arg, sender, FromUser(request_id)))
            return request_id

    def step(self) -> bool:
        """Carry out exactly one message; False if none is waiting. Due timers count as messages."""
        with self.lock:
            self._scheduler.pay_storage()
            return self._scheduler.step()

    def settle(self) -> None:
        """Carry out messages until none is left."""
        for _ in range(self.state.limits.settle_messages):
            if not self.step():
                return
        raise RuntimeError(f"messages did not end after {self.state.limits.settle_messages}")

    def outcome(self, request_id: bytes) -> Outcome | None:
        """None while the call is under way. Does not wait for a message that is being carried out."""
        return self.state.history.outcome(request_id)

    def update(self, canister_id: bytes, method: str, arg: bytes, sender: bytes) -> bytes:
        """Submit, settle, and return the reply. Raises `RejectError`; with `SYS_UNKNOWN` if no answer came."""
        request_id = self.submit(canister_id, method, arg, sender)
        self.settle()
        outcome = self.outcome(request_id)
        if outcome is None:
            raise RejectError(RejectCode.SYS_UNKNOWN, f"no answer yet to request {request_id.hex()}")
        return outcome.unwrap()

    def query(self, canister_id: bytes, method: str, arg: bytes, sender: bytes) -> bytes:
        """Raises `RejectError`."""
        with self.lock:
            return query(self.state, canister_id, method, arg, sender)

    # --- time and certificates -----------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Settle, move time, let due timers fire and settle again. Time moves in one jump, as PocketIC's does."""
        self.settle()
        with self.lock:
            self.state.clock.advance(seconds)
        self.settle()

    def certificate(self, paths: Sequence[TreePath], canister_id: bytes) -> bytes:
        """A certificate (CBOR) that shows the paths, and the time, to somebody who asked `canister_id`."""
        with self.lock:
            return certificate(self.state, paths, canister_id)

    def read_state(self, paths: Sequence[TreePath], canister_id: bytes, sender: bytes) -> bytes:
        """As `certificate`, for a user: raises `Forbidden` or `BadPath`."""
        with self.lock:
            check_readable(self.state, paths, sender)
            return certificate(self.state, paths, canister_id)

    # --- disk ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write everything, messages under way included. What was saved there before is replaced."""
        with self.lock:
            persistence.save(self.state, folder)

    @classmethod
    def load(cls, folder: Path, *, clock: ManualClock | None = None) -> Replica:
        """A replica as it was saved, with its clock (or the given one). Raises `NotAState`."""
        replica = cls.__new__(cls)
        replica.lock = threading.RLock()
        replica._begin(persistence.load(folder, clock))
        return replica

    def reload(self, folder: Path) -> None:
        """Become what was saved there, as a restart would, without a server's letting go of its port."""
        with self.lock:
            self._begin(persistence.load(folder))

    # --- inside --------------------------------------------------------------------------------------------------

    def _admit(self, canister_id: bytes, method: str, arg: bytes, sender: bytes) -> None:
        try:
            payer = canister_id if canister_id != MANAGEMENT else target_of(method, arg)
        except NotCandid as e:
            text = f"Error decoding candid: {e}"
            raise RejectError.of(ErrorCode.INVALID_MANAGEMENT_PAYLOAD, text) from e
        if payer is None:
            return
        canister = self.state.canister(payer)
        waiting = sum(
            isinstance(m, Request) and m.callee == canister_id and isinstance(m.origin, FromUser)
            for m in self.state.queue
        )
        if waiting >= self.state.limits.queue_messages:
            text = f"Canister {text_of(canister_id)} has too many messages waiting"
            raise RejectError.of(ErrorCode.CANISTER_QUEUE_FULL, text)
        if canister_id != MANAGEMENT:
            inspect(self.state, canister, method, arg, sender)
        canister.withdraw(self.state.costs.ingress(len(method.encode()) + len(arg)))
