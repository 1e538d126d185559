"""Carries out messages, one at a time, and whatever follows from them.

IC interface specification, section "Abstract behavior".
"""

from __future__ import annotations

from collections.abc import Callable

from swapd.devnet.replica.canister import Canister, refusal
from swapd.devnet.replica.cycles import MAX_RESPONSE_BYTES
from swapd.devnet.replica.errors import (
    CanisterTrap,
    ErrorCode,
    RejectCode,
    RejectError,
    did_not_reply,
    no_method,
    text_of,
)
from swapd.devnet.replica.execution import Entry, Execution, Rejected
from swapd.devnet.replica.installation import uninstall
from swapd.devnet.replica.messages import (
    Answer,
    Callback,
    CallContext,
    Closure,
    FromCanister,
    FromSystem,
    FromUser,
    Origin,
    OutgoingCall,
    Reject,
    Reply,
    Request,
    Response,
    TimerDue,
)
from swapd.devnet.replica.state import MANAGEMENT, ReplicaState

ManagementCall = Callable[[Request], tuple[Answer, int] | None]  # answer and refund; None: answered later
_TIMER_METHOD = "canister_global_timer"


class Scheduler:
    """First in, first out. `management` carries out calls to the management canister."""

    def __init__(self, state: ReplicaState, management: ManagementCall) -> None:
        self._state = state
        self._management = management

    # --- the queue -----------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Carry out the next message, if there is one. Timers that are due queue up first."""
        self._queue_due_timers()
        if not self._state.queue:
            return False
        message = self._state.queue.popleft()
        if isinstance(message, Request):
            self._request(message)
        elif isinstance(message, Response):
            self._response(message)
        else:
            self._timer(message)
        return True

    def pay_storage(self) -> None:
        """Let every canister pay for its memory up to now; one that can not is emptied, as on the real replica."""
        for canister in self._state.canisters.values():
            if not canister.pay_storage(self._state.clock.now_ns()) and canister.module is not None:
                self.uninstall(canister)

    def _queue_due_timers(self) -> None:
        now = self._state.clock.now_ns()
        for canister in self._state.canisters.values():
            due = 0 < canister.timer_ns <= now and not canister.timer_queued
            if due and canister.status == "running" and canister.module is not None and not canister.frozen:
                canister.timer_queued = True
                self._state.queue.append(TimerDue(canister.id))

    # --- the kinds of messages -----------------------------------------------------------------------------------

    def _request(self, request: Request) -> None:
        origin = request.origin
        if isinstance(origin, FromUser):
            ingress = self._state.history[origin.request_id]
            if ingress.expiry_ns is not None and self._state.clock.now_ns() > ingress.expiry_ns:
                text = f"Ingress message 0x{origin.request_id.hex()} timed out waiting to start executing."
                self.respond(origin, _reject(RejectError.of(ErrorCode.INGRESS_MESSAGE_TIMEOUT, text)), request.cycles)
                return
            ingress.state = "processing"
        try:
            if request.callee == MANAGEMENT:
                answer = self._management(request)
                if answer is not None:
                    self.respond(origin, *answer)
            else:
                self._call(self._state.canister(request.callee), request)
        except RejectError as e:
            self.respond(origin, _reject(e), request.cycles)

    def _call(self, canister: Canister, request: Request) -> None:
        refused = refusal(canister)
        if refused:
            raise refused
        try:
            kind = canister.code.module.methods.get(request.method)
        except CanisterTrap as e:
            raise e.rejection(canister.id) from None
        if kind is None:
            raise no_method("update", request.method).rejection(canister.id)
        if kind == "composite_query":
            raise RejectError.of(
                ErrorCode.COMPOSITE_QUERY_CALLED_IN_REPLICATED_MODE,
                "Composite query cannot be called in replicated mode",
            )
        limit = canister.limits.instructions_per_message
        prepaid = canister.prepay(limit)
        context = CallContext(request.origin, request.caller, request.cycles)
        execution = Execution(
            Entry.UPDATE if kind == "update" else Entry.REPLICATED_QUERY,
            self._state.clock.now_ns(),
            request.argument,
            request.caller,
            request.method,
            cycles_available=request.cycles,
            answerable=True,
            balance=canister.cycles,
            limit=limit,
        )
        trap = canister.execute(execution, f"canister_{kind} {request.method}", commit=kind == "update")
        if kind == "query" and trap is None:
            canister.cycles = execution.balance
        canister.settle_execution(prepaid, execution.instructions)
        context_id = canister.new_id()
        canister.contexts[context_id] = context
        self._after(canister, context_id, execution, trap)

    def _response(self, response: Response) -> None:
        canister = self._state.canisters.get(response.canister_id)
        callback = canister.callbacks.pop(response.callback_id, None) if canister else None
        if canister is None or callback is None:
            return
        canister.cycles += response.refund
        context = canister.contexts[callback.context_id]
        context.outstanding -= 1
        if canister.module is None:
            canister.cycles += callback.prepaid
            self._close(canister, callback.context_id)
            return
        replied = isinstance(response.answer, Reply)
        execution = self._callback_execution(canister, context, response)
        function, environment = callback.on_reply if replied else callback.on_reject
        trap = canister.execute(execution, function, (_signed(canister, environment),))
        if trap is not None and callback.on_cleanup is not None:
            self._clean_up(canister, context, execution, callback.on_cleanup)
        self._settle_callback(canister, callback, response.answer, execution.instructions)
        self._after(canister, callback.context_id, execution, trap)

    def _timer(self, due: TimerDue) -> None:
        canister = self._state.canisters.get(due.canister_id)
        if canister is None:
            return
        canister.timer_queued = False
        if canister.module is None or canister.status != "running" or not canister.timer_ns:
            return
        limit = canister.limits.instructions_per_message
        try:
            prepaid = canister.prepay(limit)
        except RejectError:
            canister.log(self._state.clock.now_ns(), "the timer waits for cycles")
            return
        canister.timer_ns = 0  # set again by the canister itself, or not at all
        context_id = canister.new_id()
        canister.contexts[context_id] = CallContext(FromSystem(), MANAGEMENT, responded=True)
        execution = Execution(
            Entry.TIMER, self._state.clock.now_ns(), caller=MANAGEMENT, balance=canister.cycles, limit=limit
        )
        trap = None
        if canister.code.exports(_TIMER_METHOD):
            trap = canister.execute(execution, _TIMER_METHOD)
        canister.settle_execution(prepaid, execution.instructions)
        self._after(canister, context_id, execution, trap)

    # --- callbacks -----------------------------------------------------------------------------------------------

    def _callback_execution(self, canister: Canister, context: CallContext, response: Response) -> Execution:
        answer = response.answer
        execution = Execution(
            Entry.REPLY if isinstance(answer, Reply) else Entry.REJECT,
            self._state.clock.now_ns(),
            caller=context.caller,
            refunded=response.refund,
            cycles_available=context.cycles,
            answerable=not context.responded,
            context_instructions=context.instructions,
            balance=canister.cycles,
            limit=canister.limits.instructions_per_message,
        )
        if isinstance(answer, Reply):
            execution.argument = answer.data
        else:
            execution.reject_code = answer.code
            execution.reject_message = answer.message.encode()
        return execution

    def _clean_up(self, canister: Canister, context: CallContext, failed: Execution, closure: Closure) -> None:
        """The callback trapped: all it did is undone, and this is the canister's chance to give up its locks."""
        execution = Execution(
            Entry.CLEANUP,
            failed.now_ns,
            caller=context.caller,
            reject_code=failed.reject_code,
            reject_message=failed.reject_message,
            balance=canister.cycles,
            limit=canister.limits.instructions_per_message,
        )
        function, environment = closure
        canister.execute(execution, function, (_signed(canister, environment),))
        failed.instructions += execution.instructions

    def _settle_callback(self, canister: Canister, callback: Callback, answer: Answer, instructions: int) -> None:
        """Give back what was set aside at the call and not needed."""
        size = len(answer.data) if isinstance(answer, Reply) else len(answer.message.encode())
        cost = canister.costs.response_bytes(min(size, MAX_RESPONSE_BYTES)) + canister.costs.execution(
            instructions, wasm64=canister.wasm64
        )
        canister.cycles += callback.prepaid - min(callback.prepaid, cost)

    # --- what follows from a message -----------------------------------------------------------------------------

    def _after(self, canister: Canister, context_id: int, execution: Execution, trap: CanisterTrap | None) -> None:
        context = canister.contexts[context_id]
        context.instructions += execution.instructions
        if trap is None:
            context.cycles -= execution.accepted
            for call in execution.calls:
                self._send(canister, context_id, call)
            self._answer(canister, context, execution)
        elif not context.responded and context.outstanding == 0:
            self._respond(context, _reject(trap.rejection(canister.id)))
        self._close(canister, context_id)

    def _answer(self, canister: Canister, context: CallContext, execution: Execution) -> None:
        if isinstance(execution.answer, Reply):
            self._respond(context, execution.answer)
        elif isinstance(execution.answer, Rejected):
            error = ErrorCode.CANISTER_REJECTED_MESSAGE
            self._respond(context, Reject(RejectCode.CANISTER_REJECT, execution.answer.message, str(error)))
        elif not context.responded and context.outstanding == 0:
            self._respond(context, _reject(did_not_reply().rejection(canister.id)))

    def _send(self, canister: Canister, context_id: int, call: OutgoingCall) -> None:
        callback_id = canister.new_id()
        canister.callbacks[callback_id] = Callback(
            context_id, call.callee, call.on_reply, call.on_reject, call.on_cleanup, call.prepaid
        )
        canister.contexts[context_id].outstanding += 1
        origin = FromCanister(canister.id, callback_id)
        argument = bytes(call.argument)
        self._state.queue.append(Request(call.callee, call.method, argument, canister.id, origin, call.cycles))

    def _respond(self, context: CallContext, answer: Answer) -> None:
        context.responded = True
        self.respond(context.origin, answer, context.cycles)
        context.cycles = 0

    def respond(self, origin: Origin, answer: Answer, refund: int) -> None:
        """Let whoever called know, with the cycles that were not accepted."""
        if isinstance(origin, FromUser):
            self._state.history.answer(origin.request_id, answer, self._state.clock.now_ns())
        elif isinstance(origin, FromCanister):
            if isinstance(answer, Reject) and answer.code != RejectCode.CANISTER_REJECT and answer.error:
                answer = Reject(answer.code, f"{answer.error}: {answer.message}", answer.error)
            self._state.queue.append(Response(origin.canister_id, origin.callback_id, answer, refund))

    def respond_error(self, origin: Origin, error: RejectError) -> None:
        self.respond(origin, _reject(error), 0)

    def _close(self, canister: Canister, context_id: int) -> None:
        """Forget a call that is answered and has nothing under way; the last one lets a stopping canister stop."""
        context = canister.contexts[context_id]
        if context.responded and context.outstanding == 0:
            del canister.contexts[context_id]
        self.stop_if_idle(canister)

    # --- what the management canister sets off -------------------------------------------------------------------

    def stop_if_idle(self, canister: Canister) -> None:
        if canister.status == "stopping" and not canister.contexts:
            canister.status = "stopped"
            for origin in canister.waiting_for_stop:
                self.respond(origin, Reply(_EMPTY_CANDID), 0)
            canister.waiting_for_stop.clear()

    def uninstall(self, canister: Canister) -> None:
        """Remove code and state; whoever waits for the canister is told."""
        uninstall(canister)
        gone = Reject(
            RejectCode.CANISTER_REJECT,
            f"Canister {text_of(canister.id)} has been uninstalled.",
            str(ErrorCode.CANISTER_REJECTED_MESSAGE),
        )
        for context_id, context in list(canister.contexts.items()):
            if not context.responded:
                self._respond(context, gone)
            self._close(canister, context_id)


_EMPTY_CANDID = b"DIDL\0\0"


def _reject(error: RejectError) -> Reject:
    return Reject(error.code, error.message, str(error.error) if error.error else "")


def _signed(canister: Canister, environment: int) -> int:
    """An environment as wasmtime wants a parameter of the callback's type."""
    bits = 64 if canister.wasm64 else 32
    return environment - (1 << bits) if environment >= 1 << (bits - 1) else environment
