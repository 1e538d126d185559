"""What the store hands out: frozen, and made of the protocol's own values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from swapd.chains.base import Fate, Sighting, SignedTx, TxState, WatchedLeg
from swapd.protocol.decide import Memory
from swapd.protocol.effects import Effect
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegView
from swapd.protocol.request import Refused, Request
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store.errors import DamagedRow


@dataclass(frozen=True)
class LegRow:
    """One leg as last seen. An answer of UNKNOWN says nothing, so it never overwrites what was seen before.

    birth: height of the chain when the swap was made. fingerprint: the chain's name for the HTLC before it is funded.
    lock_sent, locked_once, claim_final: as in `Memory`.
    """

    role: Role
    chain: str
    birth: int
    fingerprint: str
    view: LegView
    lock_sent: bool
    locked_once: bool
    claim_final: bool


class DisputeState(StrEnum):
    OPEN = "open"
    RESUMED = "resumed"
    """The swap goes on."""
    FORCED = "forced"
    """What is locked goes back."""


@dataclass(frozen=True)
class DisputeRow:
    """One dispute. Times are Unix seconds; decided_at: None while it is open. decision: why, in the handler's words."""

    id: int
    swap_id: str
    state: DisputeState
    opened_at: int
    opened_by: str
    reason: str
    decided_at: int | None
    decided_by: str
    decision: str


@dataclass(frozen=True)
class ApprovalRow:
    """One operator's word. It counts until it is withdrawn or has expired (Unix seconds)."""

    swap_id: str
    operator: str
    given_at: int
    expires_at: int
    withdrawn_at: int | None

    def counts(self, now: int) -> bool:
        return self.withdrawn_at is None and now < self.expires_at


@dataclass(frozen=True)
class SwapRow:
    """A swap as stored. Hand it back to `record_decision`: that is how the store knows on what a decision was based.

    note: what happens next. reason: why it went wrong, for people. next_due_at: Unix seconds; 0 is now, None never.
    owner: the tenant whose key made it, "" for the house itself. frozen_at, forced_at: see `Memory`. consents: of the
    legs' receivers, as the legs' chains read them.
    """

    terms: SwapTerms
    status: Status
    note: str
    reason: str
    version: int
    touches: int
    next_due_at: int | None
    watched: bool
    cancelled_at: int | None
    expired: bool
    reveal_sent: bool
    revealed_preimage: bytes | None = field(repr=False)
    created_at: int
    updated_at: int
    restored_at: int | None
    owner: str
    frozen_at: int | None
    forced_at: int | None
    legs: Mapping[Role, LegRow]
    sightings: tuple[Sighting, ...]
    approvals: tuple[ApprovalRow, ...] = ()
    consents: Mapping[Role, bytes] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        return self.terms.swap_id

    @property
    def memory(self) -> Memory:
        """What `decide` has to be told."""

        def legs(flag: str) -> frozenset[Role]:
            return frozenset(role for role, leg in self.legs.items() if getattr(leg, flag))

        return Memory(
            lock_sent=legs("lock_sent"),
            reveal_sent=self.reveal_sent,
            preimage=self.revealed_preimage or self._sighted_preimage(),
            locked_once=legs("locked_once"),
            claim_final=legs("claim_final"),
            cancelled=self.cancelled_at is not None,
            expired=self.expired,
            restored=self.restored_at is not None,
            frozen=self.frozen_at is not None,
            forced=self.forced_at is not None,
            consented=frozenset(self.consents),
        )

    def _sighted_preimage(self) -> bytes | None:
        """Seen in a mempool once is public, even if it was gone when somebody looked again (rule S6)."""
        shown = (sighting.preimage for sighting in self.sightings if sighting.preimage)
        return next((preimage for preimage in shown if opens(preimage, self.terms.hashlock)), None)

    def watched_leg(self, role: Role) -> WatchedLeg:
        """What the leg's chain has to be told to look at it."""
        return self.watched_legs[role]

    @cached_property
    def legs_by_chain(self) -> Mapping[str, tuple[WatchedLeg, ...]]:
        """Of each chain that a leg of it is on."""
        legs: defaultdict[str, tuple[WatchedLeg, ...]] = defaultdict(tuple)
        for leg in self.watched_legs.values():
            legs[leg.leg.terms.chain] += (leg,)
        return dict(legs)

    @cached_property
    def watched_legs(self) -> Mapping[Role, WatchedLeg]:
        return {
            role: WatchedLeg(
                swap_id=self.id,
                index=self.terms.index,
                leg=self.terms.leg(role),
                birth=self.legs[role].birth,
                sightings=tuple(s for s in self.sightings if s.role == role),
                consent=self.consents.get(role, b""),
            )
            for role in Role
        }


@dataclass(frozen=True)
class Found:
    """The answer to a question for several swaps: those that could be read, and those that could not."""

    swaps: tuple[SwapRow, ...]
    damaged: tuple[DamagedRow, ...] = ()

    def whole(self) -> tuple[SwapRow, ...]:
        """For whom it must be all of them: raises the first `DamagedRow`."""
        if self.damaged:
            raise self.damaged[0]
        return self.swaps


@dataclass(frozen=True)
class Lease:
    """The right to work on a swap for a while. fence: to be shown with every write."""

    swap_id: str
    fence: int


class EffectState(StrEnum):
    WANTED = "wanted"
    """Nothing is signed yet."""
    SIGNED = "signed"
    SENT = "sent"
    """An attempt was handed to the network, or is about to be."""
    DONE = "done"
    """It is on chain, finally. Asked for again (a reorg deeper than finality), it goes back to SENT."""
    VOID = "void"
    """What it had reserved is used up by another transaction. Asked for again, it begins anew as WANTED."""

    @property
    def ended(self) -> bool:
        return self in (EffectState.DONE, EffectState.VOID)


@dataclass(frozen=True)
class Attempt:
    """One signed transaction for an effect. voiding: it is there to use up what the others reserved.

    sent_at: Unix seconds at which it was given to the network, written before the first broadcast; None: never was.
    """

    number: int
    tx: SignedTx
    voiding: bool
    signed_at: int
    sent_at: int | None
    fate: Fate | None

    @property
    def dead(self) -> bool:
        """What it reserved is used up: by itself without effect, or by another transaction."""
        return self.fate is not None and self.fate.state in (TxState.FAILED, TxState.REPLACED)


@dataclass(frozen=True)
class EffectRow:
    """An effect with its attempts, oldest first. wanted: the swap's last decision asks for it. damaged: attempts that
    can not be read any more."""

    id: int
    swap_id: str
    effect: Effect
    wanted: bool
    state: EffectState
    error: str
    created_at: int
    updated_at: int
    attempts: tuple[Attempt, ...]
    damaged: tuple[DamagedRow, ...] = ()

    @property
    def live(self) -> tuple[SignedTx, ...]:
        """The attempts at the effect itself that may still be mined, as `HtlcChain.draft` and `void` ask for them."""
        return tuple(attempt.tx for attempt in self.attempts if not attempt.voiding and not attempt.dead)


class RequestState(StrEnum):
    WAITING = "waiting"
    """Nothing is decided yet."""
    DECIDED = "decided"
    """There is a swap or a refusal, and the answer is on its way."""
    ANSWERED = "answered"
    """Our answer stands on the chain."""
    OVERRULED = "overruled"
    """Another answer than ours stands there."""
    GIVEN_UP = "given_up"
    """Our answer could not be brought there for so long that nobody waits for it any more."""


@dataclass(frozen=True)
class RequestRow:
    """A request from a chain's board. by: who asked. asked_at: Unix seconds by the chain's clock.

    request: None if it could not be read. swap_id, refusal: what was decided, one of them. error: why it does not go
    on, in words. answer: as it was signed last, after so many attempts. next_try_at: Unix seconds.
    """

    chain: str
    ref: str
    by: str
    asked_at: int
    request: Request | None
    swap_id: str | None
    refusal: Refused | None
    state: RequestState
    error: str
    answer: SignedTx | None
    attempts: int
    next_try_at: int
    taken_at: int
    updated_at: int


@dataclass(frozen=True)
class FoundRequests:
    """As `Found`, for requests."""

    requests: tuple[RequestRow, ...]
    damaged: tuple[DamagedRow, ...] = ()


@dataclass(frozen=True)
class AuditEntry:
    """data: canonical JSON text."""

    seq: int
    at: int
    actor: str
    swap_id: str | None
    event: str
    data: str
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class AuditHead:
    """The end of the audit chain. Kept outside the database, it proves later that nothing before it was changed."""

    seq: int
    hash: str
