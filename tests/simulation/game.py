"""One swap from its first moment until long after its last timelock, from event to event."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NoReturn

from swapd.protocol.effects import EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.protocol.timelock import Arrival
from tests.simulation.absences import Absences
from tests.simulation.blocks import Blocks
from tests.simulation.honest import Honest
from tests.simulation.ledger import Ledger, Tx
from tests.simulation.other import NEVER, Other
from tests.simulation.setup import Place, draw_terms

AFTERMATH = 86_400
"""Seconds after the last timelock at which the books are closed: everything has had its time by then."""

SWEEP = 600
"""`daemon.sweep_seconds`."""

REORG_SHARE = 0.35
"""Of swaps, on a chain that has reorgs; each then sees one or two, as deep as finality allows."""

TARGETS = ("own lock", "our lock", "our claim", "our refund", "own claim", "own refund")


@dataclass
class Reorg:
    """Somebody with much hash power takes blocks back when `target` is `depth` deep; and what is gone for good then,
    double spent, is `lost`. steals: its own transaction goes into the new branch first, where one is valid."""

    role: Role
    target: str
    depth: int
    lost: bool
    steals: bool
    done: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of the honest side. leg states as on the ledger: "none", "locked", "claimed", "refunded"; margins in
    seconds, None where the moment never came."""

    pair: str
    honest: str
    status: Status
    own: str
    counter: str
    loss: bool
    both: bool
    reveal_margin: float | None
    claim_margin: float | None
    refund_latency: float | None
    plan: str


class Game:
    """honest: the role of the leg that swapd funds. Times are true Unix seconds."""

    def __init__(self, give: Place, get: Place, blocks: dict[Role, Blocks], now: int, rng: Random) -> None:
        self.rng = rng
        self.places = {Role.INITIATOR: give, Role.PARTICIPANT: get}
        role = rng.choice(list(Role))
        self.swap = draw_terms(give, get, role, now, rng)
        self.end = self.swap.initiator.terms.timelock + AFTERMATH
        self._heap: list[tuple[float, int, str, object]] = []
        self._count = count()
        self._names = count(1)
        self._next_block: dict[Role, int | None] = dict.fromkeys(Role)
        self._sweeping: set[Role] = set()
        self._wake_at = NEVER
        self.secret_shown = False
        self.favoured = rng.choice(("other", "other", "swapd"))
        seconds = self.end - now
        self.markets = {r: p.market(blocks[r], rng, now, seconds) for r, p in self.places.items()}
        self.ledgers = {
            r: Ledger(p.rules, blocks[r], self.markets[r].takes, _skew(p, rng)) for r, p in self.places.items()
        }
        self.absences = Absences.draw(self.swap, min(p.profile.outage for p in self.places.values()), rng)
        self.reorgs = [reorg for r in Role for reorg in self._draw_reorgs(r)]
        self.honest = Honest(self, role, rng.randint(-30, 30))
        self.wake_at(now)
        for each in Role:
            due = self._due_at(each, self.swap.leg(each).terms.timelock)
            self.wake_at(due + self._latency(each))
        for _, over, _ in self.absences.spans:
            self.wake_at(over + 5)
        self.other = Other.draw(self, role.other, self.swap, rng)

    def _draw_reorgs(self, role: Role) -> list[Reorg]:
        rng, deepest = self.rng, self.swap.leg(role).confirmations - 1
        if deepest < 1 or not self.places[role].rules.reorgs or rng.random() >= REORG_SHARE:
            return []
        drawn = []
        for _ in range(rng.randint(1, 2)):
            depth = deepest if rng.random() < 0.5 else rng.randint(1, deepest)
            drawn.append(Reorg(role, rng.choice(TARGETS), depth, rng.random() < 0.5, rng.random() < 0.7))
        return drawn

    # -- what others ask -------------------------------------------------------------------------------------------

    def name(self) -> str:
        return f"tx{next(self._names)}"

    def fail(self, why: str) -> NoReturn:
        raise AssertionError(why)

    def tip(self, role: Role, now: float) -> int:
        return self.ledgers[role].blocks.height(now)

    def leg_lock(self, role: Role) -> Tx | None:
        """The lock of a leg with exactly its terms, in a block."""
        terms = self.swap.leg(role).terms
        for _, tx in self.ledgers[role].mined:
            if tx.lock is not None and tx.lock == terms:
                return tx
        return None

    def lock_named(self, role: Role, name: str | None) -> Tx | None:
        if name is None:
            return self.leg_lock(role)
        return next((tx for _, tx in self.ledgers[role].mined if tx.name == name), None)

    def final(self, role: Role, now: float) -> bool:
        lock = self.leg_lock(role)
        height = None if lock is None else self.ledgers[role].where(lock)
        return height is not None and self.tip(role, now) - height + 1 >= self.swap.leg(role).confirmations

    # -- events ----------------------------------------------------------------------------------------------------

    def _push(self, at: float, what: str, data: object = None) -> None:
        if at < self.end:
            heappush(self._heap, (at, next(self._count), what, data))

    def wake_at(self, at: float) -> None:
        self._push(at, "wake")

    def rouse(self, at: float) -> None:
        """Let the other side act at this moment."""
        if at != NEVER:
            self._push(max(at, self.swap.created_at), "other")

    def rouse_when_due(self, role: Role, timelock: int) -> None:
        """When the next block may hold a refund of a lock with this timelock, and when the adapter would say so."""
        ledger = self.ledgers[role]
        height = ledger.blocks.first_at(timelock - ledger.skew)
        self.rouse(self._time(role, height - 1) + 0.5)
        self.rouse(self._time(role, height) + 0.5)

    def _time(self, role: Role, height: int) -> float:
        try:
            return self.ledgers[role].blocks.time(max(0, height))
        except IndexError:
            return NEVER  # beyond all that is played

    def _due_at(self, role: Role, timelock: int) -> float:
        ledger = self.ledgers[role]
        return self._time(role, ledger.blocks.first_at(timelock - ledger.skew))

    def _latency(self, role: Role) -> float:
        """Seconds from a block until swapd has seen it and acted."""
        place = self.places[role]
        stale = self.rng.random() < 0.05 and place.profile.arrival is Arrival.FIXED
        return self.rng.uniform(0.5, place.poll + 3) + (self.rng.uniform(0, 90) if stale else 0)

    def offer(self, role: Role, tx: Tx, now: float) -> bool:
        """Send it. False if the node refuses it."""
        ledger = self.ledgers[role]
        if not ledger.offer(tx, self.tip(role, now)):
            return False
        self.expect_block(role, now)
        if tx.by == "swapd":
            if tx.kind is EffectKind.CLAIM:
                self.secret_shown = True
            self.rouse(now + 1)
            self._sweep(role, now)
        elif not tx.hidden and self.places[role].rules.reorgs:
            self.wake_at(now + self._latency(role))
        return True

    def expect_block(self, role: Role, now: float) -> None:
        """Look at the next block that may matter: one that takes something, or before which something else happens.
        Those in between are empty and change nothing."""
        ledger = self.ledgers[role]
        tip = ledger.blocks.height(now)
        hopeful = ledger.hopeful(tip)
        if self._next_block[role] is not None or not hopeful:
            return
        until = self._heap[0][0] if self._heap else self.end
        if any(tx.by == "swapd" for tx in hopeful):
            until = min(until, now + self.honest.patience(role, now))
        height = self.markets[role].first_that_takes(hopeful, tip + 1, until)
        self._next_block[role] = height
        self._push(self._time(role, height), "block", role)

    def _sweep(self, role: Role, now: float) -> None:
        if role not in self._sweeping and self.places[role].profile.arrival is Arrival.POISSON:
            self._sweeping.add(role)
            self._push(now + SWEEP, "sweep", role)

    def play(self) -> None:
        heap = self._heap
        while heap:
            now, _, what, data = heappop(heap)
            if what == "wake":
                self._wake(now)
            elif what == "other":
                self.other.act(now)
            elif what == "block":
                assert isinstance(data, Role)
                self._block(data, now)
            elif what == "sweep":
                assert isinstance(data, Role)
                self._sweeping.discard(data)
                if self.honest.pending(data):
                    self.honest.rebid(data, now)
                    self._sweep(data, now)
            else:
                assert isinstance(data, tuple)
                self._reorganise(data[0], data[1], now)

    def _wake(self, now: float) -> None:
        if self.absences.gone(now):
            self._push(self.absences.back_at(now) + 5, "wake")
            return
        before = len(self.absences.spans)
        self.honest.wake(now)
        for _, over, _ in self.absences.spans[before:]:
            self.wake_at(over + 5)

    def _block(self, role: Role, now: float) -> None:
        ledger, height = self.ledgers[role], self._next_block[role]
        assert height is not None
        self._next_block[role] = None
        took = ledger.mine(height, self.favoured)
        if took:
            self._mined(role, took, height, now)
        if self.honest.pending(role):
            self.honest.rebid(role, now)
        self.expect_block(role, now)

    def _mined(self, role: Role, took: list[Tx], height: int, now: float) -> None:
        confirmations = self.swap.leg(role).confirmations
        final = self._time(role, height + confirmations - 1)
        self.wake_at(now + self._latency(role))
        self.rouse(now + 1)
        if confirmations > 1:
            self.wake_at(final + self._latency(role))
            self.rouse(final + 1)
        for tx in took:
            if tx.kind is EffectKind.CLAIM and tx.by == "other" and self.absences.strikes("secret seen", now):
                self.wake_at(self.absences.back_at(now) + 5)
            for reorg in self.reorgs:
                if reorg.role is role and not reorg.done and reorg.target == self._as_target(tx):
                    self._push(self._time(role, height + reorg.depth - 1) + 2, "reorg", (reorg, height))

    def _as_target(self, tx: Tx) -> str:
        kind = tx.kind.value if tx.kind else ""
        return f"{'our' if tx.by == 'swapd' else 'own'} {kind}"

    def _reorganise(self, reorg: Reorg, height: int, now: float) -> None:
        if reorg.done:
            return
        reorg.done = True
        role = reorg.role
        ledger, tip = self.ledgers[role], self.tip(role, now)
        depth = tip - height + 1
        if not 1 <= depth < self.swap.leg(role).confirmations:
            return
        gone = ledger.reorg(depth, tip, lambda tx: reorg.lost and tx.by == "other")
        if self.rng.random() < 0.5:
            # nodes forget some of what was taken back: whoever wants it sends it again
            for tx in gone:
                ledger.drop(tx)
        if reorg.steals:
            self._steal(role, tip, now)
        if self.rng.random() < 0.5:
            took = ledger.mine(tip, self.favoured)
            if took:
                self._mined(role, took, tip, now)
        self.wake_at(now + self._latency(role))
        self.rouse(now + 1)
        self.expect_block(role, now)

    def _steal(self, role: Role, tip: int, now: float) -> None:
        """The new branch holds what serves the other side, if it is valid there: its refund instead of our claim, its
        claim instead of our refund."""
        ledger = self.ledgers[role]
        lock = self.leg_lock(role)
        if lock is None or ledger.spend_of(lock) is not None:
            return
        for tx in self.other.dearest(role, lock, now):
            if ledger.valid(tx, tip):
                ledger.mined.append((tip, tx))
                ledger.drop(tx)
                return

    # -- the books -------------------------------------------------------------------------------------------------

    def outcome(self, pair: str) -> Outcome:
        """Both legs as the ledgers show them at the end."""
        mine, theirs = self.honest.role, self.honest.role.other
        own, counter = self._ending(mine), self._ending(theirs)
        got = counter == "claimed"
        loss = own in ("claimed", "locked") and not got
        both = got and own in ("refunded", "none")
        other = self.other
        return Outcome(
            pair,
            mine.value,
            self.honest.status,
            own,
            counter,
            loss,
            both,
            self._reveal_margin(),
            self._claim_margin(theirs) if got else None,
            self._refund_latency(mine) if own == "refunded" else None,
            f"lock {other.lock}; claim {other.claim} {other.claim_style}; refund {other.refund}",
        )

    def _ending(self, role: Role) -> str:
        lock = self.leg_lock(role)
        if lock is None:
            return "none"
        spend = self.ledgers[role].spend_of(lock)
        if spend is None:
            return "locked"
        return "claimed" if spend[1].kind is EffectKind.CLAIM else "refunded"

    def _reveal_margin(self) -> float | None:
        at = self.honest.revealed_at
        return None if at is None else self.swap.participant.terms.timelock - at

    def _claim_margin(self, role: Role) -> float | None:
        """From our claim's being final until a refund of that leg could first be in a block."""
        lock = self.leg_lock(role)
        assert lock is not None
        spend = self.ledgers[role].spend_of(lock)
        assert spend is not None
        final = self._time(role, spend[0] + self.swap.leg(role).confirmations - 1)
        possible = self._due_at(role, self.swap.leg(role).terms.timelock)
        return possible - final

    def _refund_latency(self, role: Role) -> float | None:
        lock = self.leg_lock(role)
        assert lock is not None
        spend = self.ledgers[role].spend_of(lock)
        assert spend is not None
        return self._time(role, spend[0]) - self._due_at(role, self.swap.leg(role).terms.timelock)


def _skew(place: Place, rng: Random) -> int:
    """How far the chain's clock is off, within the profile. Bitcoin's lag is in its median already; ahead of true time
    it can be only as a whole."""
    profile = place.profile
    if profile.arrival is Arrival.POISSON:
        # honest miners are one hour behind; half of the time some of them push, at most to `clock_ahead` past honest
        return rng.choice((0, 0, rng.randint(0, profile.clock_ahead)))
    slot = int(profile.block_seconds)
    return rng.randint(-profile.clock_behind + slot, profile.clock_ahead - slot)
