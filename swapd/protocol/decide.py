"""The heart: what a swap's status is and what swapd should do, from what both chains show.

Pure and level-triggered: it looks at what is, so losing an observation or seeing one twice changes nothing. Rules by
their numbers are those of `docs/safety.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from swapd.errors import Invalid
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, Role, SecretHolder, SwapTerms, Wallet


@dataclass(frozen=True)
class Memory:
    """What swapd has committed to, or can never un-know. Everything else is read from the chains.

    lock_sent: legs whose signed lock was handed to a network at least once. reveal_sent: likewise the first claim with
    our secret. preimage: seen in public at some time. locked_once: legs that were in a block once. claim_final: legs
    whose claim was final once. cancelled: by a person, before anything was locked. expired: told to people as such, so
    money that comes later is sent back and never traded (rule S12). restored: this memory came out of a backup, and
    everything in it that says "not sent" may be wrong. frozen: a dispute is open. forced: a dispute was decided, and
    what is locked goes back. consented: legs whose receiver agreed to that, in the form that their chain takes.
    """

    lock_sent: frozenset[Role] = frozenset()
    reveal_sent: bool = False
    preimage: bytes | None = None
    locked_once: frozenset[Role] = frozenset()
    claim_final: frozenset[Role] = frozenset()
    cancelled: bool = False
    expired: bool = False
    restored: bool = False
    frozen: bool = False
    forced: bool = False
    consented: frozenset[Role] = frozenset()

    @property
    def called_off(self) -> bool:
        return self.cancelled or self.expired or self.forced


@dataclass(frozen=True)
class Clocks:
    """now: swapd's own clock. initiator, participant: the latest timelock that each chain's next block would refund;
    None when the chain can not be asked. All in Unix seconds."""

    now: int
    initiator: int | None
    participant: int | None

    @property
    def latest(self) -> int:
        """The most careful answer to "is there still time": whichever clock is furthest."""
        return max(self.now, self.initiator or 0, self.participant or 0)

    @property
    def likely(self) -> int:
        """The answer to "is it over", which can not be taken back: what two clocks at least have reached, so that no
        single one that is wrong by hours, be it our own, calls a swap off."""
        known = sorted(each for each in (self.now, self.initiator, self.participant) if each is not None)
        return known[-2] if len(known) > 1 else self.now

    def of(self, role: Role) -> int | None:
        return self.initiator if role is Role.INITIATOR else self.participant


@dataclass(frozen=True)
class Decision:
    """status: None when a chain could not be asked, so the stored one stays. effects: what is wanted now; what is not
    listed must not be sent. preimage: the secret, once it is public. next_due_at: Unix seconds; look again by then even
    if nothing happens."""

    status: Status | None
    effects: tuple[Effect, ...]
    preimage: bytes | None
    next_due_at: int | None


def decide(
    swap: SwapTerms, initiator: LegView, participant: LegView, memory: Memory, clocks: Clocks, entry_open: bool
) -> Decision:
    """What to do now. `entry_open` False (halt, low funds, limits) stops new locks and nothing else (rule S8)."""
    case = _Case(swap, {Role.INITIATOR: initiator, Role.PARTICIPANT: participant}, memory, clocks, entry_open)
    effects = case.effects()
    return Decision(case.status(), effects, case.public, case.next_due_at())


def may_force(swap: SwapTerms, views: dict[Role, LegView], memory: Memory, clocks: Clocks) -> None:
    """Refuse (Invalid) to force a refund of a swap whose secret is out (S6): both sides then end it by their claims."""
    case = _Case(swap, views, memory, clocks, entry_open=False)
    if case.revealed or any(map(case.claim_final, Role)):
        raise Invalid(
            "refund", swap.swap_id, "a swap whose secret nobody has shown: this one goes to its end by claims (S6)"
        )


def may_consent(swap: SwapTerms, role: Role, views: dict[Role, LegView], memory: Memory, clocks: Clocks) -> None:
    """Refuse (Invalid) to give an incoming leg back that may still be what our own is paid with (S6): our own goes back
    first, unless nobody else can know the secret."""
    case = _Case(swap, views, memory, clocks, entry_open=False)
    leg = swap.leg(role)
    if leg.claimed_by is not Wallet.HOT:
        raise Invalid(
            "consent", role.value, "a leg whose receiver is swapd itself: another's is not swapd's to give back"
        )
    if not memory.forced:
        raise Invalid("consent", role.value, "a swap whose refund was decided")
    if case.revealed or case.pays_for_own(role):
        raise Invalid("consent", role.value, f"the {role.other.value} leg to be back first, finally (S6)")


def refund_possible_at(swap: SwapTerms, role: Role, clocks: Clocks) -> None:
    """Refuse (Invalid) a refund on demand before its timelock, saying when it becomes possible (rule S5)."""
    clock, timelock = clocks.of(role), swap.leg(role).terms.timelock
    if clock is None or clock < timelock:
        raise Invalid(
            "refund", role.value, f"the {role.value} leg's chain to reach the timelock {timelock} (it is at {clock})"
        )


@dataclass(frozen=True)
class _Case:
    swap: SwapTerms
    views: dict[Role, LegView]
    memory: Memory
    clocks: Clocks
    entry_open: bool

    # -- what is known

    @property
    def public(self) -> bytes | None:
        """The preimage, if anybody showed it: on a chain, in a mempool, or in a block since reorged out (S6, S7)."""
        seen = [view.preimage for view in self.views.values()] + [self.memory.preimage]
        return next((p for p in seen if p is not None and opens(p, self.swap.hashlock)), None)

    @property
    def revealed(self) -> bool:
        """The secret must be taken as known to everybody, even if no claim can be seen at the moment."""
        return self.public is not None or self.memory.reveal_sent

    @property
    def maybe_revealed(self) -> bool:
        """Somebody else may know the secret. Ours is shown only when both legs are final: after a backup was restored,
        legs that are both in blocks, or can not be seen, may have come that far before."""
        forgotten = self.memory.restored and not any(self.is_(role, LegState.ABSENT, LegState.SEEN) for role in Role)
        return self.revealed or self.swap.secret is SecretHolder.REMOTE or forgotten

    def never_locks(self, role: Role) -> bool:
        """S4: a lock of which a restored backup knows nothing may have been sent all the same, and may still come: so
        there is never another."""
        hot = self.swap.leg(role).funded_by is Wallet.HOT
        return hot and self.memory.restored and role not in self.memory.lock_sent

    @property
    def blind(self) -> bool:
        return any(view.state is LegState.UNKNOWN or view.doubt for view in self.views.values())

    def is_(self, role: Role, *states: LegState) -> bool:
        return self.views[role].state in states

    def unspent(self, role: Role) -> bool:
        """Locked in a block, and not spent in any: a claim or refund that is only pending may still be replaced, and
        has to be kept up, or raced, until it is in a block."""
        pending = self.views[role].depth == 0 and self.is_(role, LegState.CLAIMED, LegState.REFUNDED)
        return pending or self.is_(role, LegState.LOCKED)

    def final(self, role: Role, state: LegState) -> bool:
        view = self.views[role]
        return view.state is state and view.depth >= self.swap.leg(role).confirmations

    def claim_final(self, role: Role) -> bool:
        return role in self.memory.claim_final or self.final(role, LegState.CLAIMED)

    def due(self, role: Role) -> bool:
        clock = self.clocks.of(role)
        return clock is not None and clock >= self.swap.leg(role).terms.timelock

    # -- effects

    def effects(self) -> tuple[Effect, ...]:
        wanted: list[Effect] = []
        for role in Role:
            if self.wants_claim(role):
                wanted.append(Effect(EffectKind.CLAIM, role, self.claim_deadline(role)))
            elif self.wants_refund(role):
                wanted.append(Effect(EffectKind.REFUND, role, self.refund_deadline(role)))
            if self.due(role):
                wanted += [
                    Effect(EffectKind.REFUND, role, self.refund_deadline(role), stray=stray.ref)
                    for stray in self.views[role].strays
                    if stray.refundable
                ]
            if self.wants_lock(role):
                wanted.append(Effect(EffectKind.LOCK, role, self.swap.leg(role).terms.fund_by))
        if self.may_reveal():
            deadline = self.claim_deadline(Role.PARTICIPANT)
            wanted.append(Effect(EffectKind.CLAIM, Role.PARTICIPANT, deadline, reveals=True))
        return tuple(wanted)

    def claim_deadline(self, role: Role) -> int:
        """When the plan begins to count on the claim's being in a block. What it leaves from there to the timelock is
        for being away, for blocks that come late and for reorgs, and is not spent on waiting for a better price."""
        return self.swap.reveal_by if role is Role.PARTICIPANT else self.swap.participant.terms.timelock

    def wants_claim(self, role: Role) -> bool:
        """S6: a secret that is out is used, past the timelock too, for as long as the leg is unspent."""
        leg = self.swap.leg(role)
        if not leg.claim_by_swapd or not self.unspent(role):
            return False
        if leg.own:
            # our own money for somebody else: help them only when nothing can take back what we got for it, and only
            # as long as they do not do it themselves
            helpful = self.swap.secret is SecretHolder.SELF and self.is_(role, LegState.LOCKED)
            return helpful and self.public is not None and self.claim_final(role.other)
        if role in self.memory.consented and self.final(role.other, LegState.REFUNDED):
            return False  # ours is back, and this one was given back: it is not ours to take any more
        # our own reveal, once sent, is kept up; the other leg waits until the secret really can be seen (S2)
        return self.revealed if role is Role.PARTICIPANT else self.public is not None

    def wants_refund(self, role: Role) -> bool:
        """S5: what is due, or given back by its receiver, goes back, unless the swap's value has changed hands for good
        (S6, never both sides)."""
        return (
            self.unspent(role)
            and not self.pays_for_own(role)
            and self.swap.leg(role).refund_by_swapd
            and (self.due(role) or self.given_back(role))
            and not self.claim_final(role.other)
        )

    def given_back(self, role: Role) -> bool:
        """Its receiver agrees, and a dispute was decided that way. Not while its secret is out: then the swap goes to
        its end by claims."""
        return self.memory.forced and role in self.memory.consented and not self.revealed

    def pays_for_own(self, role: Role) -> bool:
        """Our only compensation, if somebody who may know the secret can still take our own leg: not ours to give back
        until our own leg is back, or can not be there (S6, both exits stay alive)."""
        leg, own = self.swap.leg(role), role.other
        if leg.claimed_by is not Wallet.HOT or leg.funded_by is Wallet.HOT or not self.swap.leg(own).own:
            return False
        never_there = (
            self.is_(own, LegState.ABSENT)
            and own not in self.memory.lock_sent | self.memory.locked_once
            and not self.memory.restored
        )
        return self.maybe_revealed and not (self.final(own, LegState.REFUNDED) or never_there)

    def refund_deadline(self, role: Role) -> int:
        """At once if somebody else may still claim the leg; with patience if nobody can know the secret."""
        timelock = self.swap.leg(role).terms.timelock
        if self.maybe_revealed:
            return timelock
        return timelock + (self.swap.initiator.terms.timelock - self.swap.participant.terms.timelock)

    def wants_lock(self, role: Role) -> bool:
        leg = self.swap.leg(role)
        kept_up = self.is_(role, LegState.SEEN) and role in self.memory.lock_sent
        if leg.funded_by is not Wallet.HOT or not (self.is_(role, LegState.ABSENT) or kept_up):
            return False
        if self.never_locks(role):
            return False
        if not self.entry_open or self.memory.frozen or self.memory.called_off or self.revealed or self.blind:
            return False
        # S3: what is out already may be pushed until it would come too late; after that it is taken back
        if self.clocks.latest > (leg.terms.fund_by if kept_up else leg.lock_by):
            return False
        if role is Role.PARTICIPANT:
            return self.final(Role.INITIATOR, LegState.LOCKED)  # S1
        return self.is_(Role.PARTICIPANT, LegState.ABSENT, LegState.SEEN, LegState.LOCKED)

    def may_reveal(self) -> bool:
        """S2: the point of no return."""
        initiator = self.swap.initiator
        return (
            self.swap.secret is SecretHolder.SELF
            and not self.revealed
            and not self.memory.frozen
            and not self.memory.called_off
            and self.final(Role.PARTICIPANT, LegState.LOCKED)
            and self.final(Role.INITIATOR, LegState.LOCKED)
            and self.clocks.latest <= self.swap.reveal_by
            and (initiator.claim_by_swapd or initiator.claim_waived)
        )

    # -- status

    def status(self) -> Status | None:
        if self.blind:
            return None
        ended = self.ended()
        if ended is not None:
            return ended
        nothing = all(self.is_(role, LegState.ABSENT) for role in Role)
        if self.revealed and not (nothing and self.due(Role.INITIATOR)):
            return Status.REDEEMING  # shown for nothing it is in the end; what comes back is claimed all the same (S6)
        if any(self.is_(role, LegState.REFUNDED) for role in Role):
            return Status.REFUNDING
        if nothing:
            return self.unlocked_status()
        if self.hopeless():
            return Status.REFUNDING
        if not self.is_(Role.INITIATOR, LegState.LOCKED):
            return Status.ACCEPTED
        both = self.is_(Role.PARTICIPANT, LegState.LOCKED)
        return Status.PARTICIPANT_LOCKED if both else Status.INITIATOR_LOCKED

    def ended(self) -> Status | None:
        claimed = [role for role in Role if self.final(role, LegState.CLAIMED)]
        if len(claimed) == 2:
            return Status.COMPLETED
        for role in claimed:
            lost = self.is_(role.other, LegState.ABSENT) and self.due(role.other)
            if lost or self.final(role.other, LegState.REFUNDED):
                return Status.FAILED
        back = [role for role in Role if self.final(role, LegState.REFUNDED)]
        if back and all(role in back or self.is_(role, LegState.ABSENT) for role in Role):
            return Status.REFUNDED
        return None

    def unlocked_status(self) -> Status:
        if self.memory.cancelled:
            return Status.CANCELLED
        if self.memory.locked_once:
            # reorged out: it may come back until its refund could have been sent
            return Status.EXPIRED if self.due(Role.INITIATOR) else Status.ACCEPTED
        if self.memory.expired or self.clocks.likely > self.swap.initiator.terms.fund_by:
            return Status.EXPIRED
        if self.memory.forced:
            return Status.CANCELLED
        taken_up = self.entry_open and not any(map(self.never_locks, Role))
        return Status.ACCEPTED if taken_up or self.memory.lock_sent else Status.PROPOSED

    def hopeless(self) -> bool:
        """It can not complete any more, as far as can be seen now."""
        if self.memory.called_off or any(self.is_(role, LegState.ABSENT) and self.never_locks(role) for role in Role):
            return True
        participant = self.swap.participant
        if self.is_(Role.PARTICIPANT, LegState.ABSENT):
            hot = participant.funded_by is Wallet.HOT and Role.PARTICIPANT not in self.memory.lock_sent
            return self.clocks.likely > (participant.lock_by if hot else participant.terms.fund_by)
        if self.swap.secret is SecretHolder.SELF:
            return self.clocks.likely > self.swap.reveal_by
        return self.due(Role.PARTICIPANT)

    def next_due_at(self) -> int | None:
        """The next moment at which the passing of time alone may change the decision."""
        moments = [self.swap.reveal_by + 1]
        for leg in self.swap.legs:
            moments += [leg.lock_by + 1, leg.terms.fund_by + 1, leg.terms.timelock]
        return min((m for m in moments if m > self.clocks.now), default=None)


def legs_in_flight(swap: SwapTerms, views: dict[Role, LegView]) -> list[Leg]:
    """Legs that a new block on their chain may change: something of them is not final yet."""
    resting = (LegState.UNKNOWN, LegState.ABSENT)
    return [leg for leg in swap.legs if (v := views[leg.role]).state not in resting and v.depth < leg.confirmations]
