"""Requests for swaps in the canister's log, and the answers to them: `requestSwap`, `acknowledgeSwap`.

A marketplace is a canister, and calls ours without anybody in between. What it asked is read from the log up to its
certified end, so a node can keep us from hearing of it, and nothing worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from swapd.chains.base import Asked, Cursor, Fate, Given, Posted, SignedTx
from swapd.chains.icp import candid, interface
from swapd.chains.icp.act import Actor, IcpDraft
from swapd.chains.icp.canister import LogTip
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import NANOSECONDS
from swapd.chains.icp.log import Block, Log
from swapd.chains.icp.principal import parse, text
from swapd.chains.icp.watch import Watcher
from swapd.errors import Invalid
from swapd.protocol.request import Accepted, Answer, OfferedLeg, Refused, Request, Side
from swapd.protocol.terms import Role, Wallet

REQUESTED, ACKNOWLEDGED = "swap_requested", "swap_acknowledged"

PATIENCE = 86_400
"""Seconds back from the log's end to where reading begins when nothing is remembered. What is older without an answer
is not waited for any more, and a log may be years long."""

_LONGEST = 256
"""Characters of a text in a request; the canister takes no longer ones."""

_UNREADABLE = Refused("request", "it is not in a form that is understood here")


class Board:
    """See `RequestBoard`. marketplaces: whose requests are taken, by their principals."""

    def __init__(
        self, canister: bytes, watcher: Watcher, log: Log, actor: Actor, marketplaces: Collection[bytes]
    ) -> None:
        self._canister = canister
        self._watcher = watcher
        self._log = log
        self._actor = actor
        self._marketplaces = frozenset(map(text, marketplaces))

    async def asked(self, cursor: Cursor | None) -> Asked:
        """One call when the log is quiet."""
        with self._log.canister.agent.doubting():
            return await self._asked(cursor)

    async def _asked(self, cursor: Cursor | None) -> Asked:
        tip = await self._watcher.tip()
        oldest = tip.time_ns - PATIENCE * NANOSECONDS
        known = self._known(cursor)
        start, before = known or (await self._first_since(oldest, tip), None)
        if start > tip.length:
            raise Untrusted(f"the log has {tip.length} blocks, and had {start} before")
        requests: dict[str, Posted] = {}
        answers: list[Given] = []
        async for block in self._log.read(start, before, tip):
            if known is None and block.index == start > 0 and block.time_ns > oldest:
                raise Untrusted(
                    f"the node that was asked for the log's blocks is wrong about the time of block {start}"
                )
            if block.kind == REQUESTED:
                posted = self._posted(block)
                if self.listens_to(posted.by):
                    requests[posted.ref] = posted
            elif block.kind == ACKNOWLEDGED:
                ref, _ = self._key(block)
                requests.pop(ref, None)
                answers.append(Given(ref, _answer(block.tx.get("answer"))))
        return Asked(self._cursor(tip), tip.time_ns // NANOSECONDS, tuple(requests.values()), tuple(answers))

    def listens_to(self, by: str) -> bool:
        return by in self._marketplaces

    def draft(self, ref: str, answer: Answer) -> IcpDraft:
        _, marketplace, request_id = ref.split("/")
        return self._actor.acknowledge(
            candid.encode(
                interface.AcknowledgeArgs,
                {
                    "marketplace": parse("marketplace", marketplace),
                    "request_id": bytes.fromhex(request_id),
                    "answer": _candid(answer),
                },
            )
        )

    async def broadcast(self, tx: SignedTx) -> None:
        await self._actor.broadcast(tx)

    async def outcome(self, tx: SignedTx) -> tuple[Fate, str]:
        return await self._actor.outcome(tx)

    # -- places in the log -----------------------------------------------------------------------------------------

    def _cursor(self, tip: LogTip) -> Cursor:
        """It names the canister: the log of another one begins anew."""
        return Cursor(tip.length, f"{tip.hash.hex()}@{text(self._canister)}")

    def _known(self, cursor: Cursor | None) -> tuple[int, bytes | None] | None:
        """From which block on to read, and the hash of the one before; None if nothing is known of this log."""
        if cursor is None:
            return None
        last, _, canister = cursor.hash.partition("@")
        return (cursor.height, bytes.fromhex(last) or None) if canister == text(self._canister) else None

    async def _first_since(self, oldest: int, tip: LogTip) -> int:
        """A block so old that all after `oldest` come after it, found by halves. Times are only proven when the log is
        read from there on, up to its end."""
        low, high = 0, tip.length
        while high - low > 1:
            middle = (low + high) // 2
            if await self._log.time_of(middle) > oldest:
                high = middle
            else:
                low = middle
        return low

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _posted(self, block: Block) -> Posted:
        ref, by = self._key(block)
        return Posted(ref, by, block.time_ns // NANOSECONDS, _read(_request, block.tx.get("request")) or _UNREADABLE)

    def _key(self, block: Block) -> tuple[str, str]:
        """The canister is in it: another one's requests may have the same ids."""
        marketplace, request_id = block.tx.get("marketplace"), block.tx.get("request_id")
        if not (isinstance(marketplace, bytes) and isinstance(request_id, bytes)):
            raise Untrusted(f"block {block.index} of the log does not say which request it is about")
        by = text(marketplace)
        return f"{text(self._canister)}/{by}/{request_id.hex()}", by


def _read(form: Callable[[Any], Any], value: Any) -> Any:
    """None for what is not of this form."""
    try:
        return form(value)
    except (LookupError, TypeError, ValueError, AttributeError, Invalid):
        return None


def _request(value: Any) -> Request:
    return Request(
        give=_words(value["give"]),
        give_amount=_whole(value["give_amount"]),
        get=_words(value["get"]),
        get_amount=_whole(value["get_amount"]),
        initiator=_side(value["initiator"]),
        participant=_side(value["participant"]),
    )


def _side(value: Any) -> Side:
    wallet = Wallet(value["kind"])
    if wallet is Wallet.HOT:
        return Side(wallet)
    claims_itself = (False, True)[_whole(value["claims_itself"])]
    return Side(wallet, _words(value["refund_to"]), _words(value["receive_at"]), claims_itself)


def _words(value: Any) -> str:
    """Printable: they are shown to people."""
    if not (isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()):
        raise Invalid("text", value, f"at most {_LONGEST} printable characters")
    return value


def _whole(value: Any) -> int:
    if not (isinstance(value, int) and 0 <= value < 2**128):
        raise Invalid("number", value, "a whole number below 2^128")
    return value


def _answer(value: Any) -> Answer | None:
    """None if swapd would say nothing of the kind."""
    answer: Answer | None = _read(_accepted, value) or _read(_refused, value)
    return answer


def _accepted(value: Any) -> Accepted:
    legs = tuple(OfferedLeg(**each | {"role": Role(each["role"])}) for each in value["legs"])
    return Accepted(value["swap_id"], value["hashlock"], legs)


def _refused(value: Any) -> Refused:
    return Refused(value["field"], value["reason"])


def _candid(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"Refused": {"field": answer.field, "reason": answer.reason}}
    legs = [vars(leg) | {"role": leg.role.value} for leg in answer.legs]
    return {"Accepted": {"swap_id": answer.swap_id, "hashlock": answer.hashlock, "legs": legs}}
