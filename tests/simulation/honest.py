"""The honest side: swapd's own `decide`, and what its executor does with the answer, as a model.

What the model keeps of the executor: memory is written before anything goes out; what is wanted is sent, sent again
when it fell out, and outbid by the chain's own schedule; what is not wanted any more is let go.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from swapd.protocol.decide import Clocks, Decision, Memory, decide
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import UNKNOWN_VIEW, LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from tests.simulation.ledger import Tx
from tests.simulation.setup import PREIMAGE

if TYPE_CHECKING:
    from tests.simulation.game import Game


@dataclass
class Honest:
    """clock_error: seconds by which this machine's clock is ahead."""

    game: Game
    role: Role
    clock_error: int
    memory: Memory = field(default_factory=Memory)
    status: Status = Status.PROPOSED
    wanted: tuple[Effect, ...] = ()
    sent: dict[str, list[Tx]] = field(default_factory=lambda: defaultdict(list))
    revealed_at: float | None = None
    next_due: float = 0.0

    def wake(self, now: float) -> None:
        """Look at both chains, decide, remember, act."""
        game, swap = self.game, self.game.swap
        views, clocks = {}, {}
        for role in Role:
            if game.absences.node_down(role, now):
                views[role], clocks[role] = UNKNOWN_VIEW, None
            else:
                tip = game.tip(role, now)
                views[role] = game.ledgers[role].view(swap.leg(role).terms, tip)
                clocks[role] = game.ledgers[role].clock(tip)
        local = Clocks(int(now) + self.clock_error, clocks[Role.INITIATOR], clocks[Role.PARTICIPANT])
        open_ = None not in clocks.values()
        first, second = views[Role.INITIATOR], views[Role.PARTICIPANT]
        decision = decide(swap, first, second, self.memory, local, open_)
        self.remember(views, decision)
        effects = decision.effects
        self.wanted = effects
        for effect in sorted(effects, key=_urgency) if len(effects) > 1 else effects:
            if game.absences.gone(now):
                return  # it died between two of them
            if clocks[effect.role] is not None:
                self.pursue(effect, decision, local.latest, now)
        if self.sent and decision.status is not None:
            self.let_go(now, local.latest)
        due = decision.next_due_at
        if due is not None and due != self.next_due:
            self.next_due = due
            game.wake_at(due - self.clock_error + 1)

    def remember(self, views: dict[Role, LegView], decision: Decision) -> None:
        memory = self.memory
        in_block = memory.locked_once | {r for r, v in views.items() if v.depth > 0}
        final = memory.claim_final | {
            role
            for role, view in views.items()
            if view.state is LegState.CLAIMED and view.depth >= self.game.swap.leg(role).confirmations
        }
        if decision.status is not None:
            self.status = decision.status
        expired = memory.expired or decision.status is Status.EXPIRED
        preimage = decision.preimage or memory.preimage
        if (in_block, final, expired, preimage) != (
            memory.locked_once,
            memory.claim_final,
            memory.expired,
            memory.preimage,
        ):
            self.memory = replace(memory, preimage=preimage, locked_once=in_block, claim_final=final, expired=expired)

    # -- acting ----------------------------------------------------------------------------------------------------

    def pursue(self, effect: Effect, decision: Decision | None, latest: int, now: float) -> None:
        role, game = effect.role, self.game
        ledger, attempts = game.ledgers[role], self.sent[effect.key]
        last = attempts[-1] if attempts else None
        if last is not None:
            if ledger.where(last) is not None:
                return
            if last not in ledger.pool:
                game.offer(role, last, now)  # it fell out: the same bytes again
        if effect.kind is EffectKind.LOCK:
            if last is None:
                self.memory = replace(self.memory, lock_sent=self.memory.lock_sent | {role})
                terms = game.swap.leg(role).terms
                bid = game.markets[role].ours(effect.kind, terms.amount, (), None, effect.deadline, latest)
                self.send(role, effect, Tx("swapd", EffectKind.LOCK, terms, bid=bid), now)
            return
        lock = game.lock_named(role, effect.stray)
        if lock is None or ledger.spend_of(lock) is not None:
            return
        rival = next(
            (tx for tx in ledger.pool if tx.spends is lock and tx.by == "other" and tx.bid and not tx.hidden), None
        )
        if rival is not None and last is not None and last.bid is not None and not _beats(rival, last):
            rival = None
        assert lock.lock is not None
        bid = game.markets[role].ours(
            effect.kind, lock.lock.amount, attempts, rival, effect.deadline, _asked(latest, now)
        )
        if bid is None:
            return
        preimage = None
        if effect.kind is EffectKind.CLAIM:
            preimage = PREIMAGE if self.role is Role.INITIATOR else (self.memory.preimage or game.fail("no secret"))
        if effect.reveals:
            self.memory = replace(self.memory, reveal_sent=True)
            self.revealed_at = now
            if game.absences.strikes("before the reveal goes out", now):
                return
        if last is not None:
            ledger.drop(last)
        self.send(role, effect, Tx("swapd", effect.kind, spends=lock, preimage=preimage, bid=bid), now)
        if effect.reveals:
            game.absences.strikes("after the reveal", now)

    def send(self, role: Role, effect: Effect, tx: Tx, now: float) -> None:
        tx = replace(tx, not_before=self.game.markets[role].arrives("swapd", now), name=self.game.name())
        if self.game.offer(role, tx, now) or effect.kind is EffectKind.LOCK:
            self.sent[effect.key].append(tx)
        if effect.kind is EffectKind.LOCK:
            self.game.absences.strikes("after the lock", now)

    def rebid(self, role: Role, now: float) -> None:
        """A block came without it, or a sweep: is what is out still good enough?"""
        if self.game.absences.gone(now) or self.game.absences.node_down(role, now):
            return
        clock = self.game.ledgers[role].clock(self.game.tip(role, now))
        for effect in self.wanted:
            if effect.role is role and effect.kind is not EffectKind.LOCK:
                self.pursue(effect, None, max(int(now) + self.clock_error, clock), now)

    def patience(self, role: Role, now: float) -> int:
        """Seconds until it looks at its own bids again. swapd does at each block; to do so less often here is to its
        disadvantage, and saves most of the time."""
        soon = any(effect.role is role and effect.deadline - now < 1800 for effect in self.wanted)
        return 60 if soon else 300

    def pending(self, role: Role) -> bool:
        return any(tx.by == "swapd" and tx.kind is not EffectKind.LOCK for tx in self.game.ledgers[role].pool)

    def let_go(self, now: float, latest: int) -> None:
        """What is pending and not wanted any more: an account's nonce is used up by something else. A payment that came
        too late is spent elsewhere."""
        wanted = {effect.key for effect in self.wanted}
        for key, attempts in self.sent.items():
            if key in wanted or not attempts:
                continue
            tx = attempts[-1]
            role = Role.INITIATOR if Role.INITIATOR.value in key else Role.PARTICIPANT
            ledger = self.game.ledgers[role]
            if tx not in ledger.pool or self.game.absences.node_down(role, now):
                continue
            lock = tx.kind is EffectKind.LOCK
            if lock and latest <= self.game.swap.leg(role).terms.fund_by:
                continue
            # the void outbids it, unless a miner was faster
            if (lock or ledger.rules.once) and self.game.rng.random() < 0.8:
                ledger.drop(tx)
                if lock:
                    ledger.pool.append(replace(tx, kind=None, voids=tx, lock=None, name=self.game.name()))
                    self.game.expect_block(role, now)


def _asked(latest: int, now: float) -> float:
    return max(latest, now)


def _urgency(effect: Effect) -> tuple[bool, bool, int]:
    return (effect.stray is not None, effect.kind is EffectKind.LOCK, effect.deadline)


def _beats(rival: Tx, last: Tx) -> bool:
    return getattr(rival.bid, "rate", 0) >= getattr(last.bid, "rate", 0)
