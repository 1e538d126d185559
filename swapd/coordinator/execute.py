"""Carrying out what was decided: ask the node, sign, store, say that it goes out, send, follow (rules S4, S10).

Every step may run again after a crash at any line, with the same result. Two lines are drawn in the database: first the
signed bytes, then that they are handed to the network. Before the second one nothing is out, and what is not wanted any
more is not sent; after it, the outcome is looked up and the same bytes are sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from swapd.chains.base import Fate, HtlcChain, SignedTx, TxState
from swapd.coordinator.funds import require_leg_funds
from swapd.coordinator.house import House
from swapd.coordinator.look import look
from swapd.errors import Rejected, SwapdError, Unavailable, Unknown
from swapd.protocol.decide import Decision
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.terms import SecretHolder
from swapd.store import Attempt, EffectRow, EffectState, Lease, SwapRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A swap under its lease, what was decided about it, and whether new money may go in.

    starting: the daemon is; what it had signed before it ended is wanted again in a moment, so nothing is let go.
    """

    row: SwapRow
    lease: Lease
    decision: Decision
    entry_open: bool
    starting: bool


@dataclass(frozen=True)
class Executor:
    house: House

    async def carry_out(self, job: Job) -> bool:
        """One pass over all effects of a swap. Trouble with one of them is written down and stops no other. Returns
        whether there was any, so that the swap is tried again soon."""
        wanted = {effect.key: effect for effect in job.decision.effects}
        troubled = False
        for stored in await self._effects(job):
            try:
                trouble = ""
                stored = await self._follow(job, stored)
                effect = wanted.get(stored.effect.key)
                if effect is not None:
                    await self._pursue(job, effect, stored)
                elif not stored.state.ended and not job.starting:
                    await self._let_go(job, stored)
            except (Unavailable, Rejected, Unknown) as error:
                trouble = str(error)
                log.warning("effect.trouble", swap=job.row.id, effect=stored.effect.key, error=trouble)
            await self._settle(job, stored.id, trouble)
            troubled = troubled or bool(trouble)
        return troubled

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
        async with self.house.store.write() as writing:
            for txid, fate in changed.items():
                await writing.record_fate(txid, fate)
        return await self._effect(stored.id)

    async def _pursue(self, job: Job, effect: Effect, stored: EffectRow) -> None:
        """It is wanted now: send what is signed, or sign what is better."""
        chain = self._chain(job, effect)
        last = stored.attempts[-1] if stored.attempts else None
        if last is not None and last.voiding and not _settled(last):
            return  # nothing is taking its place; when that is settled, a new one can be made
        if effect.kind is EffectKind.LOCK and _decided(chain, stored):
            return  # S4: one lock was mined, or can not be mined any more; there is never another
        if last is not None and not last.voiding and last.sent_at is None:
            await self._send(job, effect, last.tx)
            return
        if last is not None and not last.voiding and _missing(last):
            await chain.broadcast(last.tx)
        if effect.kind is EffectKind.LOCK and last is None:
            await require_leg_funds(self.house, job.row.terms.leg(effect.role))
        leg = job.row.watched_leg(effect.role)
        draft = await chain.draft(effect, leg, self._preimage(job, effect), stored.live, self.house.clock())
        if draft is None:
            return
        async with self.house.store.write() as writing:
            account = draft.account
            sequence = None
            if account is not None:
                sequence = await writing.next_sequence(chain.name, account, draft.floor)
            tx = draft.sign(sequence)
            await writing.add_attempt(stored.id, job.lease.fence, tx, account=account)
        await self._send(job, effect, tx)

    async def _send(self, job: Job, effect: Effect, tx: SignedTx) -> None:
        """Over the line: after `mark_sent` the transaction counts as public, whatever happens."""
        if (effect.kind is EffectKind.LOCK or effect.reveals) and not await self._still_wanted(job, effect):
            log.info("effect.withdrawn", swap=job.row.id, effect=effect.key)
            return
        async with self.house.store.write() as writing:
            await writing.mark_sent(tx.txid, job.lease.fence)
        await self._chain(job, effect).broadcast(tx)
        log.info("effect.sent", swap=job.row.id, effect=effect.key, txid=tx.txid, fee=tx.fee)

    async def _still_wanted(self, job: Job, effect: Effect) -> bool:
        """S1, S2, S3: what was true when it was decided must be true now, on the chains, before money or secret go."""
        async with self.house.store.read() as reading:
            row = await reading.swap(job.row.id)
        return effect in (await look(self.house, row)).decide(row, job.entry_open).effects

    async def _let_go(self, job: Job, stored: EffectRow) -> None:
        """It is not wanted any more. What it reserved (a nonce, inputs) must not block others."""
        if not stored.attempts:
            return
        last = stored.attempts[-1]
        if _settled(last) or _pending(last):
            return
        chain = self._chain(job, stored.effect)
        tx = last.tx
        if not last.voiding:
            draft = await chain.void(stored.live)
            if draft is None:
                return
            async with self.house.store.write() as writing:
                tx = draft.sign(last.tx.sequence)
                await writing.add_attempt(stored.id, job.lease.fence, tx, voiding=True)
        async with self.house.store.write() as writing:
            await writing.mark_sent(tx.txid, job.lease.fence)
        await chain.broadcast(tx)

    async def _settle(self, job: Job, effect_id: int, trouble: str) -> None:
        """Write down how far the effect is, when that changed."""
        stored = await self._effect(effect_id)
        state = self._state(job, stored)
        if (state, trouble) != (stored.state, stored.error):
            async with self.house.store.write() as writing:
                await writing.set_effect(effect_id, state, trouble)

    def _state(self, job: Job, stored: EffectRow) -> EffectState:
        chain = self._chain(job, stored.effect)
        confirmations = job.row.terms.leg(stored.effect.role).confirmations
        for attempt in stored.attempts:
            mined = attempt.fate is not None and attempt.fate.state is TxState.MINED
            if attempt.voiding and attempt is not stored.attempts[-1]:
                continue  # it was begun anew since
            if mined and _at_rest(attempt, confirmations) and not chain.prepares(attempt.tx):
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


def _decided(chain: HtlcChain, stored: EffectRow) -> bool:
    """Whether the fate of the one lock there may be is known. Signed bytes that were voided before anybody got them
    are no lock: another may take their place."""
    locks = [a for a in stored.attempts if not a.voiding and a.sent_at is not None and not chain.prepares(a.tx)]
    return any(map(_settled, locks)) or bool(locks and stored.attempts[-1].voiding)


def _settled(attempt: Attempt) -> bool:
    return attempt.fate is not None and attempt.fate.state in (TxState.MINED, TxState.FAILED, TxState.REPLACED)


def _at_rest(attempt: Attempt, confirmations: int) -> bool:
    """No block will change it any more."""
    return _settled(attempt) and attempt.fate is not None and attempt.fate.depth >= confirmations


def _pending(attempt: Attempt) -> bool:
    return attempt.sent_at is not None and attempt.fate is not None and attempt.fate.state is TxState.PENDING


def _missing(attempt: Attempt) -> bool:
    return attempt.fate is None or attempt.fate.state is TxState.MISSING
