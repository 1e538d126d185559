"""What users sent: each request once, with its status, as long as it may still be asked for.

A request id is remembered for longer than its message may arrive (its expiry), so that nothing runs twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from swapd.devnet.replica.clock import NS
from swapd.devnet.replica.errors import ErrorCode, RejectError
from swapd.devnet.replica.hash_tree import Tree
from swapd.devnet.replica.leb128 import encode_unsigned
from swapd.devnet.replica.messages import Answer, Reject, Reply

State = Literal["received", "processing", "replied", "rejected"]

_SHOWN_NS = 5 * 60 * NS  # after the expiry, or the answer if that comes later; as the real replica does
_MAX_REMEMBERED = 100_000


@dataclass(slots=True)
class Ingress:
    """One request. `expiry_ns` is None for those from within this process, which never time out."""

    sender: bytes
    canister_id: bytes
    expiry_ns: int | None
    received_ns: int
    state: State = "received"
    answer: Answer | None = None
    answered_ns: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: `reply` (Candid) or `rejection`, the other is None."""

    reply: bytes | None
    rejection: RejectError | None

    def unwrap(self) -> bytes:
        """The reply. Raises the rejection."""
        if self.rejection is not None:
            raise self.rejection
        return self.reply or b""


def rejection_of(answer: Reject) -> RejectError:
    return RejectError(answer.code, answer.message, ErrorCode(int(answer.error[2:])) if answer.error else None)


class IngressHistory:
    def __init__(self) -> None:
        self._requests: OrderedDict[bytes, Ingress] = OrderedDict()  # a dict is slow at giving up its first

    def __contains__(self, request_id: bytes) -> bool:
        return request_id in self._requests

    def __getitem__(self, request_id: bytes) -> Ingress:
        return self._requests[request_id]

    def items(self) -> Iterator[tuple[bytes, Ingress]]:
        return iter(self._requests.items())

    def add(self, request_id: bytes, ingress: Ingress) -> None:
        self._requests[request_id] = ingress
        while len(self._requests) > _MAX_REMEMBERED:
            self._requests.popitem(last=False)

    def answer(self, request_id: bytes, answer: Answer, now_ns: int) -> None:
        ingress = self._requests.get(request_id)
        if ingress is not None:
            ingress.state = "replied" if isinstance(answer, Reply) else "rejected"
            ingress.answered_ns = now_ns
            ingress.answer = answer  # last: whoever sees it may look at the rest, without the replica's lock

    def outcome(self, request_id: bytes) -> Outcome | None:
        """None while the request is under way, or if nobody sent it."""
        ingress = self._requests.get(request_id)
        if ingress is None or ingress.answer is None:
            return None
        if isinstance(ingress.answer, Reply):
            return Outcome(ingress.answer.data, None)
        return Outcome(None, rejection_of(ingress.answer))

    def tree(self, request_id: bytes, now_ns: int) -> Tree | None:
        """What the state tree has under `request_status`, None if it is not, or no longer, there."""
        ingress = self._requests.get(request_id)
        if ingress is None:
            return None
        if ingress.answer is not None and now_ns > max(ingress.expiry_ns or 0, ingress.answered_ns) + _SHOWN_NS:
            return None
        tree: dict[bytes, Tree] = {b"status": ingress.state.encode()}
        if isinstance(ingress.answer, Reply):
            tree[b"reply"] = ingress.answer.data
        elif ingress.answer is not None:
            tree[b"reject_code"] = encode_unsigned(ingress.answer.code)
            tree[b"reject_message"] = ingress.answer.message.encode()
            tree[b"error_code"] = ingress.answer.error.encode()
        return tree
