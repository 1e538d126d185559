"""The other side, which may do anything that the chains let it do. Its plan is drawn before the swap begins.

It knows both chains at once, every price, swapd's pending transactions the moment they are sent, and has miners who
prefer its transactions where two exclude each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import LegTerms, Role, SwapTerms
from tests.simulation.ledger import Tx
from tests.simulation.setup import PREIMAGE

if TYPE_CHECKING:
    from tests.simulation.game import Game

NEVER = float("inf")
LOCKS = ("in time",) * 8 + ("aimed at the reveal", "late", "early", "never", "amount", "hash", "receiver", "timelock")
CLAIMS = ("at once",) * 4 + ("at any time", "at the last moment", "after the timelock", "against the refund", "never")
REFUNDS = ("when due",) * 4 + ("early, again and again", "never")
STYLES = ("market", "market", "high", "low", "never")


@dataclass
class Other:
    """role: the leg that it funds. lock, claim, refund: when and how, as listed above. hidden: its claim goes to a
    miner and nobody sees it pending. undo: it double spends its own lock while that is pending. replaces: it outbids
    its own claim. strays: how many payments that are not the leg come with it. knows: the secret. lock_at, claim_at:
    moments from which on."""

    game: Game
    role: Role
    rng: Random
    lock: str
    claim: str
    refund: str
    claim_style: str
    refund_style: str
    hidden: bool
    undo: bool
    replaces: bool
    strays: int
    lock_at: float = 0.0
    claim_at: float = 0.0
    locks: list[Tx] = field(default_factory=list)
    claims: list[Tx] = field(default_factory=list)
    refunds: set[Tx] = field(default_factory=set)
    knows: bool = False

    @classmethod
    def draw(cls, game: Game, role: Role, swap: SwapTerms, rng: Random) -> Other:
        other = cls(
            game,
            role,
            rng,
            lock=rng.choice(LOCKS),
            claim=rng.choice(CLAIMS),
            refund=rng.choice(REFUNDS),
            claim_style=rng.choice(STYLES),
            refund_style=rng.choice(("market", "high")),
            hidden=rng.random() < 0.2,
            undo=rng.random() < 0.06,
            replaces=rng.random() < 0.1,
            strays=rng.randint(1, 3) if rng.random() < 0.06 else 0,
            knows=role is Role.INITIATOR,
        )
        other._plan_times(swap)
        return other

    def _plan_times(self, swap: SwapTerms) -> None:
        rng, now = self.rng, swap.created_at
        mine, theirs = swap.leg(self.role), swap.leg(self.role.other)
        fund_by, timelock = mine.terms.fund_by, mine.terms.timelock
        place = self.game.places[self.role]
        # in time: any moment of its window, if it started to pay then
        self.lock_at = now + rng.random() ** 2 * max(0, fund_by - place.profile.inclusion - now)
        if self.lock == "late":
            self.lock_at = rng.uniform(fund_by, timelock)
        elif self.lock == "aimed at the reveal":
            typical = mine.confirmations * place.profile.block_seconds
            self.lock_at = swap.reveal_by - typical * rng.uniform(0.2, 1.5)
        elif self.lock == "never":
            self.lock_at = NEVER
        # what it claims is the leg that we fund
        end, lag = theirs.terms.timelock, 3 * 3600
        shortly = rng.expovariate(1 / 900)
        self.claim_at = {
            "at once": 0.0,
            "at any time": rng.uniform(now, end + lag),
            "at the last moment": end - shortly,
            "after the timelock": end + rng.random() * lag,
            "against the refund": NEVER,  # see `act`
            "never": NEVER,
        }[self.claim]
        for moment in (self.lock_at, self.claim_at, end - shortly):
            self.game.rouse(moment)

    # -- acting ----------------------------------------------------------------------------------------------------

    def act(self, now: float) -> None:
        """Whatever its plan allows at this moment. May be called at any time."""
        if not self.knows and self.game.secret_shown:
            self.knows = True
        if not self.locks and now >= self.lock_at:
            self._lock(now)
        if self.locks:
            self._refund(now)
        if self.knows and self.claim != "never":
            self._claim(now)

    def _lock(self, now: float) -> None:
        game = self.game
        if self.role is Role.PARTICIPANT and self.lock != "early":
            opposite = game.leg_lock(Role.INITIATOR)
            if opposite is None or (self.rng.random() < 0.5 and not game.final(Role.INITIATOR, now)):
                return
        terms = game.swap.leg(self.role).terms
        wrong = self._wrong(terms)
        style = "low" if self.rng.random() < 0.05 else "market"
        market = game.markets[self.role]
        first = Tx(
            "other",
            EffectKind.LOCK,
            wrong,
            bid=market.theirs(style, now),
            not_before=market.arrives("other", now),
            name=game.name(),
        )
        self.locks.append(first)
        game.offer(self.role, first, now)
        for _ in range(self.strays):
            odd = replace(terms, amount=self.rng.choice((1, terms.amount, 2 * terms.amount)))
            stray = Tx("other", EffectKind.LOCK, odd, bid=first.bid, not_before=first.not_before, name=game.name())
            self.locks.append(stray)
            game.offer(self.role, stray, now)
        if wrong != terms and self.rng.random() < 0.3:
            # and the right one after the wrong one
            right = Tx("other", EffectKind.LOCK, terms, bid=first.bid, not_before=first.not_before, name=game.name())
            self.locks.append(right)
            game.offer(self.role, right, now)
        if self.undo and first in game.ledgers[self.role].pool:
            void = Tx("other", None, voids=first, bid=market.theirs("high", now), name=game.name())
            game.ledgers[self.role].pool.append(void)

    def _wrong(self, terms: LegTerms) -> LegTerms:
        if self.lock == "amount":
            return replace(terms, amount=self.rng.choice((terms.amount - 1, terms.amount + 1, 2 * terms.amount)) or 2)
        if self.lock == "hash":
            return replace(terms, hashlock=bytes(32))
        if self.lock == "receiver":
            return replace(terms, receiver="other")
        if self.lock == "timelock":
            return replace(terms, timelock=max(terms.fund_by + 1, terms.timelock - self.rng.randint(1, 36_000)))
        return terms

    def _refund(self, now: float) -> None:
        if self.refund == "never":
            return
        game = self.game
        ledger = game.ledgers[self.role]
        tip = game.tip(self.role, now)
        for lock in self.locks:
            if lock.lock is None or ledger.where(lock) is None or ledger.spend_of(lock) is not None:
                continue
            if lock in self.refunds and any(tx.spends is lock and tx.kind is EffectKind.REFUND for tx in ledger.pool):
                continue
            if lock not in self.refunds:
                # from the first moment at which a block may hold it
                self.refunds.add(lock)
                game.rouse_when_due(self.role, lock.lock.timelock)
                if self.refund.startswith("early"):
                    for _ in range(3):
                        game.rouse(now + self.rng.random() * max(1.0, lock.lock.timelock - now))
            market = game.markets[self.role]
            bid = market.theirs(self.refund_style, now)
            tx = Tx(
                "other",
                EffectKind.REFUND,
                spends=lock,
                bid=bid,
                not_before=market.arrives("other", now),
                name=game.name(),
            )
            if ledger.valid(tx, tip + 1):
                game.offer(self.role, tx, now)

    def _claim(self, now: float) -> None:
        game, role = self.game, self.role.other
        ledger = game.ledgers[role]
        lock = game.leg_lock(role)
        if lock is None or ledger.spend_of(lock) is not None:
            return
        if self.claim == "against the refund":
            if not any(tx.spends is lock and tx.kind is EffectKind.REFUND and tx.by == "swapd" for tx in ledger.pool):
                return
        elif now < self.claim_at:
            return
        out = [tx for tx in self.claims if tx in ledger.pool]
        if out and not (self.replaces and len(self.claims) < 4):
            return
        style = self.claim_style
        if style == "never" and role is Role.INITIATOR:
            style = "market"  # it is the one that wants this
        market = game.markets[role]
        for tx in out:
            ledger.drop(tx)
            style = "high"
        # a secret of the wrong length or of another hash opens nothing: not worth drawing
        claim = Tx(
            "other",
            EffectKind.CLAIM,
            spends=lock,
            preimage=PREIMAGE,
            bid=market.theirs(style, now),
            hidden=self.hidden,
            not_before=market.arrives("other", now),
            name=game.name(),
        )
        if game.offer(role, claim, now):
            self.claims.append(claim)
            if self.replaces:
                game.rouse(now + self.rng.random() * 3600)

    def dearest(self, role: Role, lock: Tx, now: float) -> list[Tx]:
        """What it would put into a block of its own: its refund of its own leg, or its claim of ours."""
        kind = EffectKind.REFUND if role is self.role else EffectKind.CLAIM
        if kind is EffectKind.CLAIM and not self.knows:
            return []
        preimage = PREIMAGE if kind is EffectKind.CLAIM else None
        bid = self.game.markets[role].theirs("high", now)
        return [Tx("other", kind, spends=lock, preimage=preimage, bid=bid, name=self.game.name())]
