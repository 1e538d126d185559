"""What a replica answers when it does not reply: codes and words as the real one has them.

Reject codes: IC interface specification, section "Reject codes". Error codes (`IC0503`) are the real replica's own;
their first digit is the reject code. Both reach a client in the state tree, so a client may well look at them.
"""

from __future__ import annotations

from enum import IntEnum

from ic.principal import Principal

_HELP = "See documentation: https://internetcomputer.org/docs/current/references/execution-errors#"
_CATCH = "Consider gracefully handling failures from this canister or altering the canister to handle exceptions."


class RejectCode(IntEnum):
    SYS_FATAL = 1
    SYS_TRANSIENT = 2
    DESTINATION_INVALID = 3
    CANISTER_REJECT = 4
    CANISTER_ERROR = 5
    SYS_UNKNOWN = 6


class ErrorCode(IntEnum):
    """The real replica's error codes that this one has a use for; in text `IC0503`."""

    CANISTER_QUEUE_FULL = 201
    INGRESS_MESSAGE_TIMEOUT = 202
    CANISTER_OUT_OF_CYCLES = 207
    CANISTER_NOT_FOUND = 301
    INSUFFICIENT_CYCLES_FOR_CREATE_CANISTER = 403
    CANISTER_REJECTED_MESSAGE = 406
    UNKNOWN_MANAGEMENT_MESSAGE = 407
    INVALID_MANAGEMENT_PAYLOAD = 408
    CANISTER_TRAPPED = 502
    CANISTER_CALLED_TRAP = 503
    CANISTER_CONTRACT_VIOLATION = 504
    CANISTER_INVALID_WASM = 505
    CANISTER_DID_NOT_REPLY = 506
    CANISTER_OUT_OF_MEMORY = 507
    CANISTER_STOPPED = 508
    CANISTER_STOPPING = 509
    CANISTER_NOT_STOPPED = 510
    CANISTER_STOPPING_CANCELLED = 511
    CANISTER_INVALID_CONTROLLER = 512
    CANISTER_FUNCTION_NOT_FOUND = 513
    CANISTER_NON_EMPTY = 514
    CANISTER_INSTRUCTION_LIMIT_EXCEEDED = 522
    COMPOSITE_QUERY_CALLED_IN_REPLICATED_MODE = 527
    CANISTER_METHOD_NOT_FOUND = 536
    CANISTER_WASM_MODULE_NOT_FOUND = 537

    @property
    def reject_code(self) -> RejectCode:
        return RejectCode(self // 100)

    def __str__(self) -> str:
        return f"IC{int(self):04}"


class RejectError(Exception):
    """A call was rejected. `code` is the reject code (1 to 6), `error` the replica's own code where there is one."""

    def __init__(self, code: int, message: str, error: ErrorCode | None = None) -> None:
        self.code = RejectCode(code)
        self.message = message
        self.error = error
        super().__init__(f"reject code {int(code)}{f' ({error})' if error else ''}: {message}")

    @classmethod
    def of(cls, error: ErrorCode, message: str) -> RejectError:
        return cls(error.reject_code, message, error)


class CanisterTrap(Exception):
    """A canister's message ended in a trap. The text is what the real replica says after "Error from Canister X: "."""

    def __init__(self, message: str, error: ErrorCode = ErrorCode.CANISTER_TRAPPED, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.error = error
        self.help_text = help_text

    def rejection(self, canister_id: bytes) -> RejectError:
        """The rejection that the caller gets to see."""
        text = f"Error from Canister {text_of(canister_id)}: {self.message}"
        return RejectError.of(self.error, f"{text}.\n{self.help_text}" if self.help_text else text)


def text_of(principal: bytes) -> str:
    """A principal as people write it."""
    text: str = Principal(principal).to_str()
    return text


def trapped(what: str) -> CanisterTrap:
    """wasm itself trapped, or would have: `heap out of bounds`, `unreachable`, ..."""
    return CanisterTrap(f"Canister trapped: {what}", ErrorCode.CANISTER_TRAPPED, f"{_CATCH} {_HELP}trapped")


def called_trap(message: str) -> CanisterTrap:
    return CanisterTrap(
        f"Canister called `ic0.trap` with message: '{message}'",
        ErrorCode.CANISTER_CALLED_TRAP,
        f"{_CATCH} {_HELP}trapped-explicitly",
    )


def contract_violation(what: str) -> CanisterTrap:
    """The canister did something that the system API forbids."""
    return CanisterTrap(f"Canister violated contract: {what}", ErrorCode.CANISTER_CONTRACT_VIOLATION)


def no_method(kind: str, name: str) -> CanisterTrap:
    hint = f"Check that the method being called is exported by the target canister. {_HELP}method-not-found"
    return CanisterTrap(f"Canister has no {kind} method '{name}'.", ErrorCode.CANISTER_METHOD_NOT_FOUND, hint)


def no_module() -> CanisterTrap:
    return CanisterTrap(
        "Attempted to execute a message, but the canister contains no Wasm module.",
        ErrorCode.CANISTER_WASM_MODULE_NOT_FOUND,
        f"Please install code to this canister before calling it. {_HELP}wasm-module-not-found",
    )


def no_function(index: int) -> CanisterTrap:
    text = f"Canister requested to invoke a non-existent Wasm function {index} from table 0"
    return CanisterTrap(text, ErrorCode.CANISTER_FUNCTION_NOT_FOUND)


def too_many_instructions(limit: int) -> CanisterTrap:
    return CanisterTrap(
        f"Canister exceeded the limit of {limit} instructions for single message execution.",
        ErrorCode.CANISTER_INSTRUCTION_LIMIT_EXCEEDED,
        "Try optimizing this method to consume fewer instructions or split the work across multiple messages. "
        f"{_HELP}instruction-limit-exceeded",
    )


def invalid_wasm(why: str) -> CanisterTrap:
    return CanisterTrap(f"Canister's Wasm module is not valid: {why}", ErrorCode.CANISTER_INVALID_WASM)


def did_not_reply() -> CanisterTrap:
    return CanisterTrap("Canister did not reply to the call", ErrorCode.CANISTER_DID_NOT_REPLY)


def not_found(canister_id: bytes) -> RejectError:
    return RejectError.of(ErrorCode.CANISTER_NOT_FOUND, f"Canister {text_of(canister_id)} not found")


def out_of_cycles(canister_id: bytes, missing: int | None = None) -> RejectError:
    text = f"Canister {text_of(canister_id)} is out of cycles"
    if missing is not None:
        text += f": please top up the canister with at least {missing} additional cycles"
    return RejectError.of(ErrorCode.CANISTER_OUT_OF_CYCLES, text)


def frozen_for_queries(canister_id: bytes) -> RejectError:
    text = (
        f"Canister {text_of(canister_id)} is unable to process query calls because it's frozen. "
        "Please top up the canister with cycles and try again."
    )
    return RejectError.of(ErrorCode.CANISTER_OUT_OF_CYCLES, text)
