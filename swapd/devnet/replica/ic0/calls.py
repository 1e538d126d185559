"""System API: calls to other canisters."""

from __future__ import annotations

from swapd.devnet.replica.cycles import MAX_RESPONSE_BYTES
from swapd.devnet.replica.errors import CanisterTrap, ErrorCode, RejectCode, contract_violation, out_of_cycles
from swapd.devnet.replica.ic0.base import CALLBACK, TIMER, UPDATE, ApiBase, ic0
from swapd.devnet.replica.messages import OutgoingCall

_CALLING = (UPDATE, CALLBACK, TIMER)
_MAX_PRINCIPAL_BYTES = 29


class CallApi(ApiBase):
    @ic0(*_CALLING)
    def call_new(
        self,
        callee: int,
        callee_size: int,
        name: int,
        name_size: int,
        on_reply: int,
        reply_environment: int,
        on_reject: int,
        reject_environment: int,
    ) -> None:
        self._give_up_call()
        if callee_size > _MAX_PRINCIPAL_BYTES:
            raise contract_violation("Canister provided invalid principal id")
        self.execution.call = OutgoingCall(
            self._read(callee, callee_size),
            self._read_text(name, name_size),
            (on_reply, reply_environment),
            (on_reject, reject_environment),
        )

    @ic0(*_CALLING)
    def call_on_cleanup(self, function: int, environment: int) -> None:
        call = self._call("call_on_cleanup")
        if call.on_cleanup is not None:
            raise contract_violation("ic0.call_on_cleanup can be called at most once between ic0.call_new and perform")
        call.on_cleanup = (function, environment)

    @ic0(*_CALLING)
    def call_data_append(self, source: int, size: int) -> None:
        call = self._call("call_data_append")
        if len(call.argument) + size > self._owner.limits.argument_bytes:
            raise contract_violation(
                f"ic0.call_data_append: size of the argument ({len(call.argument) + size}) "
                f"cannot be larger than {self._owner.limits.argument_bytes}"
            )
        call.argument += self._read(source, size)

    @ic0(*_CALLING)
    def call_with_best_effort_response(self, timeout_seconds: int) -> None:
        self._call("call_with_best_effort_response")  # carried out like any other: an answer always comes

    @ic0(*_CALLING)
    def call_cycles_add(self, amount: int) -> None:
        self._add_cycles(amount)

    @ic0(*_CALLING)
    def call_cycles_add128(self, high: int, low: int) -> None:
        self._add_cycles(high << 64 | low)

    @ic0(*_CALLING)
    def call_perform(self) -> int:
        """0, or `SYS_TRANSIENT` where nothing was sent: too few cycles, or too many calls under way."""
        call, execution, costs = self._call("call_perform"), self.execution, self._owner.costs
        execution.call = None
        request = costs.request(len(call.argument) + len(call.method.encode()))
        call.prepaid = costs.response_bytes(MAX_RESPONSE_BYTES) + costs.execution(
            self._owner.limits.instructions_per_message, wasm64=self._owner.wasm64
        )
        under_way = sum(c.callee == call.callee for c in execution.calls) + self._owner.calls_under_way_to(call.callee)
        spare = execution.balance - self._owner.freezing_threshold_cycles
        if spare < request + call.prepaid or under_way >= self._owner.limits.queue_messages:
            execution.balance += call.cycles
            return RejectCode.SYS_TRANSIENT
        execution.balance -= request + call.prepaid
        execution.calls.append(call)
        return 0

    def _add_cycles(self, amount: int) -> None:
        call = self._call("call_cycles_add")
        threshold = self._owner.freezing_threshold_cycles
        if self.execution.balance - amount < threshold:
            missing = threshold + amount - self.execution.balance
            text = out_of_cycles(self._owner.id, missing).message
            raise CanisterTrap(text, ErrorCode.CANISTER_CONTRACT_VIOLATION)
        self.execution.balance -= amount
        call.cycles += amount

    def _call(self, function: str) -> OutgoingCall:
        if self.execution.call is None:
            raise contract_violation(f"ic0.{function} called when no call is under construction.")
        return self.execution.call

    def _give_up_call(self) -> None:
        """A second `call_new` forgets the first, which gets its cycles back."""
        if self.execution.call is not None:
            self.execution.balance += self.execution.call.cycles
            self.execution.call = None
