"""System API: cycles."""

from __future__ import annotations

from swapd.devnet.replica.cycles import MAX_RESPONSE_BYTES
from swapd.devnet.replica.errors import contract_violation
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

_PAID = (UPDATE, CALLBACK, {Entry.REPLICATED_QUERY})


class CyclesApi(ApiBase):
    @ic0(NOT_START)
    def canister_cycle_balance(self) -> int:
        return self._fits_u64(self.execution.balance)

    @ic0(NOT_START)
    def canister_cycle_balance128(self, destination: int) -> None:
        self._write_u128(destination, self.execution.balance)

    @ic0(NOT_START)
    def canister_liquid_cycle_balance128(self, destination: int) -> None:
        self._write_u128(destination, self._liquid())

    @ic0(*_PAID)
    def msg_cycles_available(self) -> int:
        return self._fits_u64(self._available())

    @ic0(*_PAID)
    def msg_cycles_available128(self, destination: int) -> None:
        self._write_u128(destination, self._available())

    @ic0(CALLBACK)
    def msg_cycles_refunded(self) -> int:
        return self._fits_u64(self.execution.refunded)

    @ic0(CALLBACK)
    def msg_cycles_refunded128(self, destination: int) -> None:
        self._write_u128(destination, self.execution.refunded)

    @ic0(*_PAID)
    def msg_cycles_accept(self, at_most: int) -> int:
        return self._accept(at_most)

    @ic0(*_PAID)
    def msg_cycles_accept128(self, high: int, low: int, destination: int) -> None:
        self._write_u128(destination, self._accept(high << 64 | low))

    @ic0(INIT, UPGRADE, UPDATE, CALLBACK, CLEANUP, TIMER)
    def cycles_burn128(self, high: int, low: int, destination: int) -> None:
        burned = min(high << 64 | low, self._liquid())
        self.execution.balance -= burned
        self._write_u128(destination, burned)

    @ic0(ANY)
    def mint_cycles128(self, high: int, low: int, destination: int) -> None:
        raise contract_violation("ic0.mint_cycles cannot be executed on non Cycles Minting Canister")

    @ic0(ANY)
    def cost_call(self, name_size: int, payload_size: int, destination: int) -> None:
        """What a call must leave its caller able to pay: the request, and the answer's handling in the worst case."""
        costs, limit = self._owner.costs, self._owner.limits.instructions_per_message
        answer = costs.response_bytes(MAX_RESPONSE_BYTES) + costs.execution(limit, wasm64=self._owner.wasm64)
        self._write_u128(destination, costs.request(name_size + payload_size) + answer)

    @ic0(ANY)
    def cost_create_canister(self, destination: int) -> None:
        self._write_u128(destination, self._owner.costs.create_canister)

    def _available(self) -> int:
        return self.execution.cycles_available - self.execution.accepted

    def _accept(self, at_most: int) -> int:
        accepted = min(at_most, self._available())
        self.execution.accepted += accepted
        self.execution.balance += accepted
        return accepted

    def _liquid(self) -> int:
        return max(0, self.execution.balance - self._owner.freezing_threshold_cycles)
