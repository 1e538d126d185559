"""System API: the message a canister was sent, and its answer."""

from __future__ import annotations

from swapd.devnet.replica.cycles import MAX_RESPONSE_BYTES
from swapd.devnet.replica.errors import contract_violation
from swapd.devnet.replica.execution import Rejected
from swapd.devnet.replica.ic0.base import (
    ANY,
    CALLBACK,
    CLEANUP,
    INIT,
    INSPECT,
    NOT_START,
    QUERY,
    UPDATE,
    UPGRADE,
    ApiBase,
    ic0,
)
from swapd.devnet.replica.messages import Reply

_ANSWERING = (UPDATE, QUERY, CALLBACK)
_WITH_ARGUMENT = (INIT, UPGRADE, UPDATE, QUERY, CALLBACK, INSPECT)


class MessageApi(ApiBase):
    @ic0(*_WITH_ARGUMENT)
    def msg_arg_data_size(self) -> int:
        return len(self.execution.argument)

    @ic0(*_WITH_ARGUMENT)
    def msg_arg_data_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self.execution.argument, destination, offset, size)

    @ic0(NOT_START)
    def msg_caller_size(self) -> int:
        return len(self.execution.caller)

    @ic0(NOT_START)
    def msg_caller_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self.execution.caller, destination, offset, size)

    @ic0(INSPECT)
    def msg_method_name_size(self) -> int:
        return len(self.execution.method.encode())

    @ic0(INSPECT)
    def msg_method_name_copy(self, destination: int, offset: int, size: int) -> None:
        self._copy(self.execution.method.encode(), destination, offset, size)

    @ic0(INSPECT)
    def accept_message(self) -> None:
        if self.execution.message_accepted:
            raise contract_violation("ic0.accept_message: the function was already called")
        self.execution.message_accepted = True

    @ic0(CALLBACK, CLEANUP)
    def msg_reject_code(self) -> int:
        return self.execution.reject_code

    @ic0(CALLBACK, CLEANUP)
    def msg_reject_msg_size(self) -> int:
        self._must_be_rejected()
        return len(self.execution.reject_message)

    @ic0(CALLBACK, CLEANUP)
    def msg_reject_msg_copy(self, destination: int, offset: int, size: int) -> None:
        self._must_be_rejected()
        self._copy(self.execution.reject_message, destination, offset, size)

    @ic0(UPDATE, QUERY, CALLBACK)
    def msg_deadline(self) -> int:
        return 0  # no call here has one: best-effort calls are carried out like guaranteed ones

    @ic0(*_ANSWERING)
    def msg_reply_data_append(self, source: int, size: int) -> None:
        self._must_be_unanswered("msg_reply_data_append")
        if len(self.execution.reply_data) + size > MAX_RESPONSE_BYTES:
            raise contract_violation(
                f"ic0.msg_reply_data_append: application payload size ({len(self.execution.reply_data) + size}) "
                f"cannot be larger than {MAX_RESPONSE_BYTES}"
            )
        self.execution.reply_data += self._read(source, size)

    @ic0(*_ANSWERING)
    def msg_reply(self) -> None:
        self._must_be_unanswered("msg_reply")
        self.execution.answer = Reply(bytes(self.execution.reply_data))

    @ic0(*_ANSWERING)
    def msg_reject(self, source: int, size: int) -> None:
        self._must_be_unanswered("msg_reject")
        self.execution.answer = Rejected(self._read_text(source, size))

    @ic0(ANY)
    def debug_print(self, source: int, size: int) -> None:
        self._owner.log(self.execution.now_ns, self._read_text(source, size))

    def _must_be_unanswered(self, function: str) -> None:
        if self.execution.answer is not None or not self.execution.answerable:
            raise contract_violation(f"ic0.{function}: the call is already replied")

    def _must_be_rejected(self) -> None:
        if not self.execution.reject_code:
            raise contract_violation("ic0.msg_reject_msg: the call was not rejected")
