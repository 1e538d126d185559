"""One message being executed: what it was given, and what it wants done if it does not trap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from swapd.devnet.replica.messages import OutgoingCall, Reply


class Entry(Enum):
    """Why a canister's code runs. Which system calls are allowed depends on it."""

    INIT = "init"
    PRE_UPGRADE = "pre upgrade"
    POST_UPGRADE = "post upgrade"
    UPDATE = "update"
    REPLICATED_QUERY = "replicated query"
    QUERY = "non replicated query"
    INSPECT = "inspect message"
    REPLY = "reply callback"
    REJECT = "reject callback"
    CLEANUP = "cleanup"
    TIMER = "system task"
    START = "start"


@dataclass(slots=True)
class Rejected:
    """The canister called `msg_reject`."""

    message: str


@dataclass(slots=True)
class Execution:
    """`balance` begins as the canister's and is what it may still spend; `accepted` came from `cycles_available`.

    Nothing in here has an effect before the message has ended without a trap.
    """

    entry: Entry
    now_ns: int
    argument: bytes = b""
    caller: bytes = b""
    method: str = ""
    reject_code: int = 0
    reject_message: bytes = b""
    cycles_available: int = 0
    refunded: int = 0
    answerable: bool = False
    context_instructions: int = 0
    certificate: Callable[[], bytes] | None = None  # made only when asked for
    balance: int = 0
    limit: int = 0

    accepted: int = 0
    reply_data: bytearray = field(default_factory=bytearray)
    answer: Reply | Rejected | None = None
    calls: list[OutgoingCall] = field(default_factory=list)
    call: OutgoingCall | None = None
    new_timer: int | None = None
    new_certified_data: bytes | None = None
    message_accepted: bool = False
    copied_bytes: int = 0
    instructions: int = 0
