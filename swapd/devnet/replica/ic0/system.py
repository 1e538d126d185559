"""System API: who and when, timer, certified data, counters."""

from __future__ import annotations

from swapd.devnet.replica.errors import called_trap, contract_violation
from swapd.devnet.replica.execution import Entry
from swapd.devnet.replica.ic0.base import (
    ANY,
    CALLBACK,
    CLEANUP,
    INIT,
    NOT_START,
    TIMER,
    UPDATE,
    UPGRADE,
    ApiBase,
    ic0,
)

_MAX_CERTIFIED_DATA_BYTES = 32
_THIS_MESSAGE, _CALL_CONTEXT = 0, 1  # the two performance counters


class SystemStateApi(ApiBase):
    @ic0(ANY)
    def trap(self, source: int, size: int) -> None:
        raise called_trap(self._read_text(source, size))

    @ic0(ANY)
    def time(self) -> int:
        return self.execution.now_ns

    @ic0(NOT_START)
    def canister_self_size(self) -> int:
        return len(self._owner.id)

    @ic0(NOT_START)
    def canister_self_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self._owner.id, destination, offset, size)

    @ic0(NOT_START)
    def canister_status(self) -> int:
        return self._owner.status_number

    @ic0(NOT_START)
    def canister_version(self) -> int:
        return self._owner.version

    @ic0(NOT_START)
    def subnet_self_size(self) -> int:
        return len(self._owner.subnet_id)

    @ic0(NOT_START)
    def subnet_self_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self._owner.subnet_id, destination, offset, size)

    @ic0(NOT_START)
    def root_key_size(self) -> int:
        return len(self._owner.root_key)

    @ic0(NOT_START)
    def root_key_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self._owner.root_key, destination, offset, size)

    @ic0(ANY)
    def is_controller(self, source: int, size: int) -> int:
        return int(self._owner.is_controller(self._read(source, size)))

    @ic0(ANY)
    def in_replicated_execution(self) -> int:
        return int(self.execution.entry not in (Entry.QUERY, Entry.INSPECT))

    @ic0(ANY)
    def performance_counter(self, kind: int) -> int:
        done = self.execution.limit - self._owner.code.instructions_left + self.execution.copied_bytes
        if kind == _THIS_MESSAGE:
            return done
        if kind == _CALL_CONTEXT:
            return self.execution.context_instructions + done
        raise contract_violation(f"Error getting performance counter type {kind}")

    @ic0(INIT, UPGRADE, UPDATE, CALLBACK, CLEANUP, TIMER)
    def global_timer_set(self, deadline_ns: int) -> int:
        execution = self.execution
        before = execution.new_timer if execution.new_timer is not None else self._owner.timer_ns
        execution.new_timer = deadline_ns
        return before

    @ic0(INIT, UPGRADE, UPDATE, CALLBACK, TIMER)
    def certified_data_set(self, source: int, size: int) -> None:
        if size > _MAX_CERTIFIED_DATA_BYTES:
            raise contract_violation(
                "ic0_certified_data_set failed because the passed data must be no larger than 32 bytes. "
                f"Found {size} bytes"
            )
        self.execution.new_certified_data = self._read(source, size)

    @ic0(ANY)
    def data_certificate_present(self) -> int:
        return int(self.execution.certificate is not None)

    @ic0({Entry.QUERY})
    def data_certificate_size(self) -> int:
        return len(self._certificate())

    @ic0({Entry.QUERY})
    def data_certificate_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self._certificate(), destination, offset, size)

    def _certificate(self) -> bytes:
        if self.execution.certificate is None:
            raise contract_violation("ic0_data_certificate: there is no data certificate here")
        return self.execution.certificate()
