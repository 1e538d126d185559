"""Carrying out what was decided: ask the node, sign, store, say that it goes out, send, follow (rules S4, S10).

Every step may run again after a crash at any line, with the same result. Two lines are drawn in the database: first the
signed bytes, then that they are handed to the network. Before the second one nothing is out, and what is not wanted any
more is not sent; after it, the outcome is looked up and the same bytes are sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import structlog

from swapd.chains.base import Fate, HtlcChain, SignedTx, TxState
from swapd.coordinator.approvals import missing
from swapd.coordinator.funds import require_leg_funds
from swapd.coordinator.house import House
from swapd.coordinator.look import look
from swapd.coordinator.notes import note_of
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected, SwapdError, Unavailable, Unknown
from swapd.protocol.decide import Decision
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.terms import SecretHolder
from swapd.store import Attempt, Conflict, EffectRow, EffectState, Lease, LeaseLost, SwapRow

log = structlog.get_logger()

RETRY_SECONDS = 3
"""After which something in trouble (a node away, an outcome unknown) is tried again in any case."""

REFUSED_SECONDS = 30
"""The same for what was refused: only time or a block will change the answer, and blocks wake a swap by themselves."""

STRAYS_AT_ONCE = 5
"""Strays sent back in one pass. Anybody can pay dust to an address; the leg's own exits must not wait behind it."""


@dataclass(frozen=True)
class Job:
    """A swap under its lease, what was decided about it, and whether new money may go in.

    starting: the daemon is; what it had signed before it ended is wanted again in a moment, so nothing is let go.
    now: Unix seconds by the furthest of all clocks: ours may be late, and what is due must be paid for as such.
    """

    row: SwapRow
    lease: Lease
    decision: Decision
    entry_open: bool
    starting: bool
    now: int


@dataclass(frozen=True)
class Executor:
    house: House

    async def carry_out(self, job: Job) -> int:
        """One pass over all effects of a swap, exits first. Trouble with one of them is written down and stops no
        other. Returns in how many seconds to try again, 0 if there was no trouble."""
        pause = 0
        effects = sorted(await self._effects(job), key=_urgency)
        strays = [stored for stored in effects if stored.effect.stray is not None and not stored.state.ended]
        for stored in effects:
            if stored in strays[STRAYS_AT_ONCE:]:
                pause = pause or RETRY_SECONDS
                continue
            kind = stored.effect.kind.value
            with self.house.telemetry.effect(stored.effect.key, kind):
                troubles = [each async for each in self._attend(job, stored)]
            for error in troubles:
                self.house.telemetry.outcome(kind, _outcome(error))
                log.warning("effect.trouble", swap=job.row.id, effect=stored.effect.key, error=str(error))
                again = REFUSED_SECONDS if isinstance(error, Rejected) else RETRY_SECONDS
                pause = min(pause, again) if pause else again
            await self._settle(job, stored.id, "; ".join(map(str, troubles)))
        return pause

    async def _attend(self, job: Job, stored: EffectRow) -> AsyncIterator[Exception]:
        """Follow what is out and do what is wanted. That the first fails keeps nobody from the second."""
        for damaged in stored.damaged:
            yield damaged
        try:
            stored = await self._follow(job, stored)
        except SwapdError as error:
            yield error
        try:
            effect = next((each for each in job.decision.effects if each.key == stored.effect.key), None)
            if effect is not None:
                await self._pursue(job, effect, stored)
            elif not stored.state.ended:
                await self._let_go(job, stored)
        except (Conflict, LeaseLost):
            raise  # the swap is somebody else's now, or is not what it was: begin anew
        except SwapdError as error:
            yield error
        except Exception as error:  # a mistake of ours in one effect must not keep another one from its deadline
            log.exception("effect.mistake", swap=job.row.id, effect=stored.effect.key)
            # its text was not written for people, and may hold anything: the database gets its type alone (S9)
            yield SwapdError(f"{type(error).__name__}, a mistake of swapd's own")

    async def _follow(self, job: Job, stored: EffectRow) -> EffectRow:
        """Look up what became of everything that may be out, and write it down."""
        chain = self._chain(job, stored.effect)
        confirmations = job.row.terms.leg(stored.effect.role).confirmations
        changed: dict[str, Fate] = {}
        for attempt in stored.attempts:
            if attempt.sent_at is not None and not _at_rest(attempt, confirmations):
                fate = await chain.fate(attempt.tx)
                if fate != attempt.fate:
                    changed[attempt.tx.txid] = fate
        if not changed:
            return stored
        crashpoint("execute.fate.before")
        async with self.house.store.write() as writing:
            for txid, fate in changed.items():
                await writing.record_fate(txid, fate, effect_id=stored.id)
        crashpoint("execute.fate.after")
        return await self._effect(stored.id)

    async def _pursue(self, job: Job, effect: Effect, stored: EffectRow) -> None:
        """It is wanted now: send what is signed, or sign what is better."""
        chain = self._chain(job, effect)
        _require_whole(job, stored)
        last = stored.attempts[-1] if stored.attempts else None
        if last is not None and last.voiding and not _settled(last):
            # nothing is taking its place; when that is settled, a new one can be made
            if not _pending(last):
                await self._hand_over(job, stored, last.tx)
            return
        if effect.kind is EffectKind.LOCK and _decided(chain, stored):
            return  # S4: one lock was mined, or can not be mined any more; there is never another
        if last is not None and not last.voiding and last.sent_at is None and not _settled(last):
            await self._send(job, effect, stored, last.tx)
            return
        refusal = await self._again(chain, last) if last is not None and not last.voiding and _missing(last) else None
        if effect.kind is EffectKind.LOCK and not _tried(stored):
            await require_leg_funds(self.house, job.row.terms.leg(effect.role))
        if effect.reveals and not await self._cross(job, effect):
            return
        leg = job.row.watched_leg(effect.role)
        if effect.kind is EffectKind.LOCK:
            leg = replace(leg, note=note_of(self.house, job.row.terms, effect.role))
        bid = await self._bid(chain, effect, stored)
        draft = await chain.draft(bid, leg, self._preimage(job, effect), _tried(stored), job.now)
        if draft is None:
            if refusal is not None:
                raise refusal
            return
        crashpoint("execute.drafted")
        async with self.house.store.write() as writing:
            account = draft.account
            sequence = None
            if account is not None:
                sequence = await writing.next_sequence(chain.name, account, draft.floor)
            tx = draft.sign(sequence)
            await writing.add_attempt(stored.id, job.lease.fence, tx, account=account)
        self.house.telemetry.outcome(effect.kind.value, "signed")
        crashpoint("execute.signed")
        await self._send(job, effect, stored, tx)

    async def _again(self, chain: HtlcChain, last: Attempt) -> Rejected | None:
        """Send the same bytes again. A refusal may be about the fee alone, and then a better one follows."""
        crashpoint("execute.resend.before")
        try:
            await chain.broadcast(last.tx)
        except Rejected as error:
            return error
        crashpoint("execute.resend.after")
        return None

    async def _bid(self, chain: HtlcChain, effect: Effect, stored: EffectRow) -> Effect:
        """Where transactions wait for each other, each pays as if it were the most urgent one behind it."""
        most_urgent = await self._behind(chain, stored)
        return replace(effect, deadline=min(effect.deadline, most_urgent or effect.deadline))

    async def _behind(self, chain: HtlcChain, stored: EffectRow) -> int | None:
        """The nearest deadline of those that can not be mined before this one is, None if there are none."""
        places = [a.tx.sequence for a in stored.attempts if a.tx.sequence is not None and not _settled(a)]
        if not chain.in_order or not places:
            return None
        async with self.house.store.read() as reading:
            return await reading.earliest_deadline(chain.name, min(places))

    async def _cross(self, job: Job, effect: Effect) -> bool:
        """The point of no return (S2), written down before anybody outside is shown the secret: a node that is asked to
        simulate a claim has seen it."""
        if self.house.store.spare:
            raise Unavailable("a secret is shown only when that can be written down")
        if not await self._still_wanted(job, effect):
            return False
        crashpoint("execute.reveal.before")
        async with self.house.store.write() as writing:
            await writing.mark_revealed(job.row.id, job.lease.fence)
        self.house.shown.add(job.row.id)
        crashpoint("execute.reveal.after")
        return True

    async def _send(self, job: Job, effect: Effect, stored: EffectRow, tx: SignedTx) -> None:
        """Over the line: after `mark_sent` the transaction counts as public, whatever happens."""
        if effect.kind is EffectKind.LOCK and not await self._still_wanted(job, effect):
            return
        await self._hand_over(job, stored, tx)
        log.info("effect.sent", swap=job.row.id, effect=effect.key, txid=tx.txid, fee=tx.fee)

    async def _still_wanted(self, job: Job, effect: Effect) -> bool:
        """S1, S2, S3: what was true when it was decided must be true now, on the chains, before money or secret go."""
        async with self.house.store.read() as reading:
            row = await reading.swap(job.row.id)
        seen = await look(self.house, row)
        if seen.trouble:
            raise Unavailable("; ".join(seen.trouble))
        if effect in seen.decide(row, job.entry_open and not missing(self.house, row)).effects:
            return True
        log.info("effect.withdrawn", swap=job.row.id, effect=effect.key)
        return False

    async def _hand_over(self, job: Job, stored: EffectRow, tx: SignedTx) -> None:
        chain = self._chain(job, stored.effect)
        async with self.house.store.write() as writing:
            await writing.mark_sent(tx.txid, job.lease.fence, preparing=chain.prepares(tx), effect_id=stored.id)
        self.house.telemetry.outcome(stored.effect.kind.value, "sent")
        crashpoint("execute.sent")
        await chain.broadcast(tx)
        crashpoint("execute.broadcast")

    async def _let_go(self, job: Job, stored: EffectRow) -> None:
        """It is not wanted any more. What it reserved (a nonce, inputs) must not block others."""
        if not stored.attempts:
            return
        last, chain = stored.attempts[-1], self._chain(job, stored.effect)
        is_lock = stored.effect.kind is EffectKind.LOCK
        if _settled(last) or (_pending(last) and last.tx.sequence is None and not is_lock):
            return
        out = any(attempt.sent_at is not None for attempt in stored.attempts if not attempt.voiding)
        in_the_way = await self._behind(chain, stored) is not None
        in_time = job.now <= job.row.terms.leg(stored.effect.role).terms.fund_by
        # it may be wanted again in a moment, or still come in time: to take it back is for the sake of others alone
        if not in_the_way and (job.starting or job.decision.status is None or (is_lock and out and in_time)):
            return
        if job.starting and not self.house.store.spare:
            return  # on board of the lifeboat (`lifeboat.py`) the start never ends
        unsettled = [attempt.tx for attempt in stored.attempts if not _settled(attempt)]
        if not out and not chain.in_order:
            await self._forget(job, stored)  # first: what is free again may be another lock's in a moment
            await chain.void(unsettled, out=False)
            return
        # not to see a leg takes no exit back: it stays, and keeps its place, as long as the network takes it
        unseen = job.decision.status is None and out and not is_lock and not last.voiding
        if unseen and (not _missing(last) or await self._again(chain, last) is None):
            return
        refusal = await self._again(chain, last) if last.voiding and last.sent_at and _missing(last) else None
        draft = await chain.void(unsettled, out=out)
        if draft is None:
            if refusal is not None:
                raise refusal
            if last.voiding and last.sent_at is None:
                await self._hand_over(job, stored, last.tx)
            elif not last.voiding and not out:
                await self._forget(job, stored)  # somebody else's transaction took its place
            return
        crashpoint("execute.void.drafted")
        async with self.house.store.write() as writing:
            tx = draft.sign(last.tx.sequence)
            await writing.add_attempt(stored.id, job.lease.fence, tx, voiding=True)
        crashpoint("execute.void.signed")
        await self._hand_over(job, stored, tx)

    async def _forget(self, job: Job, stored: EffectRow) -> None:
        """Nobody got any of it, and from here on nobody will: wanted again, it is made anew."""
        gone = Fate(TxState.REPLACED, depth=job.row.terms.leg(stored.effect.role).confirmations)
        async with self.house.store.write() as writing:
            for attempt in stored.attempts:
                if not _settled(attempt):
                    await writing.record_fate(attempt.tx.txid, gone, effect_id=stored.id)

    async def _settle(self, job: Job, effect_id: int, trouble: str) -> None:
        """Write down how far the effect is, when that changed."""
        stored = await self._effect(effect_id)
        state = self._state(job, stored)
        if (state, trouble) != (stored.state, stored.error):
            crashpoint("execute.settle.before")
            async with self.house.store.write() as writing:
                await writing.set_effect(effect_id, state, trouble)
            crashpoint("execute.settle.after")
            if state.ended and state is not stored.state:
                self.house.telemetry.outcome(stored.effect.kind.value, state.value)

    def _state(self, job: Job, stored: EffectRow) -> EffectState:
        chain = self._chain(job, stored.effect)
        confirmations = job.row.terms.leg(stored.effect.role).confirmations
        for attempt in stored.attempts:
            if attempt.voiding and attempt is not stored.attempts[-1]:
                continue  # it was begun anew since
            if _mined(attempt) and _at_rest(attempt, confirmations) and not chain.prepares(attempt.tx):
                return EffectState.VOID if attempt.voiding else EffectState.DONE
        beaten = all(map(_settled, stored.attempts)) and any(_at_rest(a, confirmations) for a in stored.attempts)
        # somebody else's transaction did it first, and ours can not be mined any more
        return EffectState.VOID if beaten and not stored.wanted else stored.state

    async def _effects(self, job: Job) -> tuple[EffectRow, ...]:
        async with self.house.store.read() as reading:
            return await reading.effects(job.row.id)

    async def _effect(self, effect_id: int) -> EffectRow:
        async with self.house.store.read() as reading:
            return await reading.effect(effect_id)

    def _chain(self, job: Job, effect: Effect) -> HtlcChain:
        return self.house.chain(job.row.terms.leg(effect.role).terms.chain)

    def _preimage(self, job: Job, effect: Effect) -> bytes | None:
        if effect.kind is not EffectKind.CLAIM:
            return None
        if job.decision.preimage is not None:
            return job.decision.preimage
        if job.row.terms.secret is SecretHolder.SELF:
            return self.house.secrets.preimage(job.row.terms.index)
        raise SwapdError(f"a claim of swap {job.row.id} was wanted before its secret was known")


def _outcome(error: Exception) -> str:
    """As a figure: see `Telemetry.outcome`."""
    kinds = {Rejected: "refused", Invalid: "refused", Unavailable: "unavailable", Unknown: "unknown"}
    return next((word for kind, word in kinds.items() if isinstance(error, kind)), "mistake")


def _require_whole(job: Job, stored: EffectRow) -> None:
    """S4, if the database has lost something: a lock of which not all is known is never made. A claim or a refund that
    is made once more does no harm."""
    if stored.effect.kind is not EffectKind.LOCK:
        return
    if stored.damaged:
        raise stored.damaged[0]
    if not stored.attempts and stored.effect.role in job.row.memory.lock_sent:
        raise Rejected(f"the lock of the {stored.effect.role.value} leg was sent, and is not in the database any more")


def _urgency(stored: EffectRow) -> tuple[bool, bool, int, int]:
    """Claims and refunds before locks, the leg before strays, the nearest deadline first."""
    effect = stored.effect
    return (effect.stray is not None, effect.kind is EffectKind.LOCK, effect.deadline, stored.id)


def _decided(chain: HtlcChain, stored: EffectRow) -> bool:
    """Whether the fate of the one lock there may be is known. Signed bytes that were voided before anybody got them
    are no lock: another may take their place."""
    locks = [a for a in stored.attempts if not a.voiding and a.sent_at is not None and not chain.prepares(a.tx)]
    over = _mined if chain.takes_locks_once else _settled
    return any(map(over, locks)) or bool(locks and stored.attempts[-1].voiding)


def _tried(stored: EffectRow) -> list[SignedTx]:
    """Attempts at the effect itself, but for those that something else has taken the place of."""
    replaced = (a.tx for a in stored.attempts if a.fate is not None and a.fate.state is TxState.REPLACED)
    gone = {tx.txid for tx in replaced}
    return [a.tx for a in stored.attempts if not a.voiding and a.tx.txid not in gone]


def _settled(attempt: Attempt) -> bool:
    return attempt.fate is not None and attempt.fate.state in (TxState.MINED, TxState.FAILED, TxState.REPLACED)


def _mined(attempt: Attempt) -> bool:
    return attempt.fate is not None and attempt.fate.state is TxState.MINED


def _at_rest(attempt: Attempt, confirmations: int) -> bool:
    """No block will change it any more."""
    return _settled(attempt) and attempt.fate is not None and attempt.fate.depth >= confirmations


def _pending(attempt: Attempt) -> bool:
    return attempt.sent_at is not None and attempt.fate is not None and attempt.fate.state is TxState.PENDING


def _missing(attempt: Attempt) -> bool:
    return attempt.fate is None or attempt.fate.state is TxState.MISSING
