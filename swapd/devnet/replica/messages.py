"""What canisters send each other, and what is remembered until it is answered.

Everything here refers to other things by number, never by reference, so that it can be written to disk as it is.
Terms as in the IC interface specification, section "Abstract behavior".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from swapd.devnet.replica.errors import RejectCode


@dataclass(frozen=True, slots=True)
class FromUser:
    """The call came from outside, as the ingress message of this request id."""

    request_id: bytes


@dataclass(frozen=True, slots=True)
class FromCanister:
    """The call came from a canister that awaits the answer with this callback."""

    canister_id: bytes
    callback_id: int


@dataclass(frozen=True, slots=True)
class FromSystem:
    """Nobody waits: a timer."""


Origin: TypeAlias = FromUser | FromCanister | FromSystem


@dataclass(slots=True)
class CallContext:
    """One incoming call of a canister, from its start until it is answered and all its own calls have returned.

    `cycles` came with the call and were not accepted so far; they go back with the answer. `outstanding` counts the
    calls made on its behalf that have not returned.
    """

    origin: Origin
    caller: bytes
    cycles: int = 0
    responded: bool = False
    outstanding: int = 0
    instructions: int = 0


Closure: TypeAlias = tuple[int, int]  # index in table 0, environment


@dataclass(slots=True)
class Callback:
    """What a canister does when a call it made returns. `prepaid` is what was set aside for that."""

    context_id: int
    callee: bytes
    on_reply: Closure
    on_reject: Closure
    on_cleanup: Closure | None = None
    prepaid: int = 0


@dataclass(slots=True)
class OutgoingCall:
    """A call under construction, or made by a message that has not ended yet."""

    callee: bytes
    method: str
    on_reply: Closure
    on_reject: Closure
    on_cleanup: Closure | None = None
    argument: bytearray = field(default_factory=bytearray)
    cycles: int = 0
    prepaid: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    data: bytes


@dataclass(frozen=True, slots=True)
class Reject:
    """`error` is the real replica's code, as `IC0503`."""

    code: RejectCode
    message: str
    error: str


Answer: TypeAlias = Reply | Reject


@dataclass(frozen=True, slots=True)
class Request:
    """A call on its way to a canister (or, `callee` empty, to the management canister)."""

    callee: bytes
    method: str
    argument: bytes
    caller: bytes
    origin: Origin
    cycles: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer on its way back. `refund` are the cycles that were not accepted."""

    canister_id: bytes
    callback_id: int
    answer: Answer
    refund: int = 0


@dataclass(frozen=True, slots=True)
class TimerDue:
    """A canister's global timer has expired."""

    canister_id: bytes


Message: TypeAlias = Request | Response | TimerDue
