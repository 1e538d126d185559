"""The client of the Internet Computer: what it sends is stored first, and what it believes is certified.

ic-py's agent does neither. It checks no certificate, gives equal calls of one second the same id, takes the words of a
reject for the value, polls without end and blocks while it does. So of ic-py only the hash of a request is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from swapd.chains.calls import Observer
from swapd.chains.icp import bls, cbor, certificate, envelope, principal
from swapd.chains.icp.boundaries import Boundaries
from swapd.chains.icp.certificate import Certificate
from swapd.chains.icp.envelope import SignedCall, Signer
from swapd.chains.icp.errors import Refusal, Untrusted
from swapd.chains.icp.hashtree import Absent, Found, lookup
from swapd.chains.icp.transport import Answer, Transport, Unanswered
from swapd.chains.words import quoted
from swapd.errors import Invalid, Rejected, Unavailable, Unknown

SECOND = 10**9

LONGEST_EXPIRY = 300
"""Seconds: the network takes no request that expires later than that."""

READ_EXPIRY = 240
"""Seconds that a query or a read stays valid: within LONGEST_EXPIRY even if our clock is a minute ahead."""

CALL_EXPIRY = 120
"""Seconds that `Agent.call` tries, and its call stays valid."""

MOST_AHEAD = 240
"""Seconds that a certificate may come from our future. It is signed, so it is our clock that is late; but one that is
later than this reads every certificate as fresh that is not."""

MOST_LATE = 60
"""Seconds that our clock may be late and margins still hold. Beyond, what is locked is claimed and refunded all the
same, and nothing new begins."""

_TRANSIENT = 2  # reject code: the system could not, just now
_TOO_MANY_REQUESTS = 429

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks


@dataclass(frozen=True)
class NotSeen:
    """The network does not know the call, and may still take it."""


@dataclass(frozen=True)
class Pending:
    """It was taken and has not ended."""


@dataclass(frozen=True)
class Replied:
    """reply: Candid."""

    reply: bytes = field(repr=False)


@dataclass(frozen=True)
class RejectedCall:
    """See `errors.Refusal`. With code 4 and 5 the canister may have acted before: ask it."""

    code: int
    message: str
    error_code: str


@dataclass(frozen=True)
class Done:
    """It has ended, and the network has forgotten how: ask the canister."""


@dataclass(frozen=True)
class Expired:
    """The network does not know the call and will not take it any more.

    That does not mean that it never ran: what has ended is forgotten some minutes later. Ask the canister.
    """


CallStatus = NotSeen | Pending | Replied | RejectedCall | Done | Expired


class Agent:
    """Boundary nodes, and one identity that signs.

    timeout: seconds for a request. max_age: seconds that a certificate may be old. now_ns: the clock, which has to
    agree with the network's within minutes. more_urls: of nodes that are asked when the first one fails, and that get
    each call as well. Whatever is asked for raises Unavailable if there is no answer, and its
    kind Untrusted if an answer is not proven.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        root_key: bytes,
        timeout: float,
        max_age: float,
        now_ns: Callable[[], int] = time.time_ns,
        more_urls: Sequence[str] = (),
    ) -> None:
        if not bls.is_key(root_key):
            raise Invalid("root_key", f"{len(root_key)} bytes", "a BLS key in DER, 133 bytes")
        self._nodes = Boundaries([url, *more_urls], timeout)
        self._signer = signer
        self._root_key = root_key
        self._max_age_ns = int(max_age * SECOND)
        self._now_ns = now_ns
        self._latest_ns = 0

    async def close(self) -> None:
        await self._nodes.close()

    @property
    def root_key(self) -> bytes:
        """The root of trust, DER: what every certificate is checked with."""
        return self._root_key

    def observe(self, observer: Observer) -> None:
        """See `abilities.Observed`."""
        self._nodes.observe(observer)

    # -- calls -----------------------------------------------------------------------------------------------------

    def sign_call(self, canister: bytes, method: str, arg: bytes, *, now_ns: int, ttl_ns: int) -> SignedCall:
        """An update call that the network takes until `ttl_ns` from now, at most LONGEST_EXPIRY seconds."""
        if not 0 < ttl_ns <= LONGEST_EXPIRY * SECOND:
            raise Invalid("ttl_ns", ttl_ns, f"more than 0 and at most {LONGEST_EXPIRY} s")
        return envelope.sign_call(self._signer, canister, method, arg, ingress_expiry_ns=now_ns + ttl_ns)

    def parse_call(self, raw: bytes) -> SignedCall:
        """See `envelope.parse_call`."""
        return envelope.parse_call(raw, self._signer)

    async def submit(self, call: SignedCall, *, effective: bytes | None = None) -> None:
        """Hand a call in, to every node. It may be done again with the same call: it runs once. Store the call first
        (rule S4).

        Returns when the call was taken, with its fate still to be asked. Raises Unavailable if it surely was not sent,
        Rejected or Refusal if the other side says no, Unknown in all other cases. Nobody signs a no: only `status` can
        tell that a call is dead (rule S10). effective: the canister that a call to the management canister is about.
        """
        path = f"/api/v3/canister/{principal.text(effective or call.canister_id)}/call"
        await self._nodes.hand_in(lambda node: self._hand_in(node, path, call))

    async def _hand_in(self, node: Transport, path: str, call: SignedCall) -> None:
        try:
            answer = await node.post(path, call.raw)
        except Unanswered as error:
            if error.sent:
                raise Unknown(f"{call.method}: {error}: the call may have been taken") from None
            raise Unavailable(f"{call.method}: {error}") from None
        if answer.status == _TOO_MANY_REQUESTS:
            raise Unavailable(f"{call.method}: {answer.words}")
        if 400 <= answer.status < 500:
            raise Rejected(f"{call.method}: {answer.words}")
        if answer.status == 202:
            return
        if answer.status != 200:
            raise Unknown(f"{call.method}: {answer.words}: the call may have been taken")
        try:
            reply = cbor.decode(answer.content, f"the answer to {call.method}")
        except Untrusted as error:
            raise Unknown(f"{error}: the call may have been taken") from None
        if isinstance(reply, dict) and reply.get("status") == "non_replicated_rejection":
            raise _refusal(call.method, reply)
        # The certificate that comes with "replied" is left alone: `status` asks for one, for every call in one way.

    async def status(self, call: SignedCall, *, effective: bytes | None = None) -> CallStatus:
        """What has become of a call, by a certificate."""
        path = [b"request_status", call.request_id]
        seen = await self.read_state(effective or call.canister_id, [path])
        match lookup(seen.tree, path):
            case Absent():
                return Expired() if seen.time_ns > call.ingress_expiry_ns else NotSeen()
            case Found():
                return _status(seen, path)
        raise Untrusted(f"the certificate leaves out the status of {call.method}")

    async def call(self, canister: bytes, method: str, arg: bytes, *, effective: bytes | None = None) -> bytes:
        """Submit and wait for the reply: for tools and tests, because nothing is stored.

        Raises Refusal if the call was rejected, Unknown if it has no end that can be seen within CALL_EXPIRY seconds.
        """
        call = self.sign_call(canister, method, arg, now_ns=self.now_ns(), ttl_ns=CALL_EXPIRY * SECOND)
        try:
            async with asyncio.timeout(CALL_EXPIRY):
                with suppress(Unknown):  # what follows is how it gets known
                    await self.submit(call, effective=effective)
                return await self._end(call, effective)
        except TimeoutError:
            raise Unknown(f"{method}: no end within {CALL_EXPIRY} s") from None

    async def _end(self, call: SignedCall, effective: bytes | None) -> bytes:
        pause = _FIRST_PAUSE
        while True:
            try:
                status: CallStatus = await self.status(call, effective=effective)
            except Untrusted as error:
                raise Unknown(f"{call.method}: {error}") from error
            except Unavailable:
                status = Pending()  # as far as we know
            match status:
                case Replied(reply):
                    return reply
                case RejectedCall(code, message, error_code):
                    raise Refusal(call.method, code, message, error_code)
                case Done() | Expired():
                    raise Unknown(f"{call.method}: its end was forgotten, or it never began")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    # -- queries: hints ----------------------------------------------------------------------------------------------

    async def query(self, canister: bytes, method: str, arg: bytes) -> bytes:
        """What one node says a canister replies, in Candid. Not certified, so a hint and nothing more: decide by what
        the reply proves itself (a certificate in it, see `verify`) or not at all. Raises Refusal for a reject."""
        with self.doubting():
            return await self._query(canister, method, arg)

    async def _query(self, canister: bytes, method: str, arg: bytes) -> bytes:
        body = envelope.sign_query(self._signer, canister, method, arg, ingress_expiry_ns=self._read_expiry())
        reply = await self._read(canister, "query", body, method)
        match reply:
            case {"status": "replied", "reply": {"arg": bytes(content)}}:
                return content
            case {"status": "rejected"}:
                refusal = _refusal(method, reply)
                if refusal.code == _TRANSIENT:
                    raise Unavailable(str(refusal))
                raise refusal
        raise Unavailable(f"{method}: the answer is none of the interface specification")

    # -- certified state ---------------------------------------------------------------------------------------------

    def verify(self, raw: bytes, canister: bytes) -> Certificate:
        """A certificate that came in a reply. See `certificate.verify`."""
        verified = certificate.verify(
            raw,
            root_key=self._root_key,
            canister_id=canister,
            now_ns=self.now_ns(),
            max_age_ns=self._max_age_ns,
            max_ahead_ns=MOST_AHEAD * SECOND,
        )
        self._latest_ns = max(self._latest_ns, verified.time_ns)
        return verified

    def doubting(self) -> AbstractContextManager[None]:
        """See `Boundaries.doubting`."""
        return self._nodes.doubting()

    def now_ns(self) -> int:
        """This machine's time, or the network's where that is known to be later: what a call's expiry and a
        certificate's age are counted from, so that a clock that is late keeps no call from being taken, and lets no
        certificate pass that is old beside another."""
        return max(self._now_ns(), self._latest_ns)

    @property
    def is_late(self) -> bool:
        """Whether this machine's clock is so late that nothing new may rest on it."""
        return self._latest_ns - self._now_ns() > MOST_LATE * SECOND

    async def read_state(self, canister: bytes, paths: Sequence[Sequence[bytes]]) -> Certificate:
        """Parts of the network's state tree, verified."""
        body = envelope.sign_read_state(self._signer, paths, ingress_expiry_ns=self._read_expiry())
        with self.doubting():
            match await self._read(canister, "read_state", body, "read_state"):
                case {"certificate": bytes(raw)}:
                    return self.verify(raw, canister)
            raise Untrusted("the answer to read_state has no certificate")

    async def time(self, canister: bytes) -> int:
        """The network's clock, nanoseconds since 1970."""
        return (await self.read_state(canister, [[b"time"]])).time_ns

    async def module_hash(self, canister: bytes) -> bytes | None:
        """SHA-256 of the Wasm module as it was installed; None if the canister is empty or not there."""
        path = [b"canister", canister, b"module_hash"]
        return (await self.read_state(canister, [path])).value(path)

    async def controllers(self, canister: bytes) -> list[bytes]:
        """The principals that may replace the canister's code; none if it is not there."""
        path = [b"canister", canister, b"controllers"]
        raw = (await self.read_state(canister, [path])).value(path)
        if raw is None:
            return []
        found = cbor.decode(raw, "the list of controllers")
        if not isinstance(found, list) or not all(isinstance(each, bytes) for each in found):
            raise Untrusted("the list of controllers is none")
        return found

    # -- below -------------------------------------------------------------------------------------------------------

    def _read_expiry(self) -> int:
        return self.now_ns() + READ_EXPIRY * SECOND

    async def _read(self, canister: bytes, kind: str, body: bytes, method: str) -> Any:
        try:
            answer = await self._nodes.ask(f"/api/v2/canister/{principal.text(canister)}/{kind}", body)
        except Unanswered as error:
            raise Unavailable(f"{method}: {error}") from None
        return _decoded(answer, method)


async def fetch_insecure_root_key(url: str, timeout_seconds: float) -> bytes:
    """The root key that a node says is its network's (`/api/v2/status`), 133 bytes.

    Whoever answers here can certify anything: only for a development network, which has a key of its own.
    """
    transport = Transport(url, timeout_seconds)
    try:
        answer = await transport.get("/api/v2/status")
    except Unanswered as error:
        raise Unavailable(f"status: {error}") from None
    finally:
        await transport.close()
    match _decoded(answer, "status"):
        case {"root_key": bytes(key)} if bls.is_key(key):
            return key
    raise Unavailable("status: the answer has no root key")


def _decoded(answer: Answer, method: str) -> Any:
    if answer.status != 200:
        raise Unavailable(f"{method}: {answer.words}")
    return cbor.decode(answer.content, f"the answer to {method}")


def _status(seen: Certificate, path: list[bytes]) -> CallStatus:
    """Of a call that the network knows."""

    def part(name: bytes) -> bytes:
        value = seen.value([*path, name])
        if value is None:
            raise Untrusted(f"the status of a call lacks its {name.decode()}")
        return value

    match part(b"status"):
        case b"received" | b"processing":
            return Pending()
        case b"replied":
            return Replied(part(b"reply"))
        case b"rejected":
            error_code = seen.value([*path, b"error_code"]) or b""
            return RejectedCall(
                certificate.natural(part(b"reject_code")),
                quoted(part(b"reject_message").decode(errors="replace")),
                quoted(error_code.decode(errors="replace"), most=20),
            )
        case b"done":
            return Done()
    raise Untrusted("the status of a call is none of the interface specification")


def _refusal(method: str, reply: dict[str, Any]) -> Refusal:
    code, message, error_code = (reply.get(name) for name in ("reject_code", "reject_message", "error_code"))
    return Refusal(
        method,
        code if isinstance(code, int) else 0,
        quoted(message) if isinstance(message, str) else "no reason given",
        quoted(error_code, most=20) if isinstance(error_code, str) else "",
    )
