"""Sending what is due: by an account of the tower's own where anybody may, else what was signed ahead.

As in `coordinator/execute.py` a transaction is written down before it goes out, is looked up afterwards (rule S10), and
is replaced at its own nonce. Nothing here can lock money or show a secret that is not public.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from swapd.chains.abilities import ByHand, SignsAhead
from swapd.chains.base import HtlcChain, SignedTx, TxState, WatchedLeg
from swapd.errors import Invalid, Rejected, SwapdError
from swapd.protocol.effects import Effect, EffectKind
from swapd.watchtower.packet import Packet
from swapd.watchtower.state import Sent, States

log = structlog.get_logger()

_SETTLED = (TxState.MINED, TxState.FAILED, TxState.REPLACED)


@dataclass(frozen=True)
class Errand:
    """One effect of one swap that is due now. bid: the effect, with the deadline by which it pays. preimage: public."""

    packet: Packet
    effect: Effect
    bid: Effect
    leg: WatchedLeg
    preimage: bytes | None


@dataclass(frozen=True)
class Hand:
    """has_gas: whether the tower has an account of its own to pay from; without it says what a person may send."""

    states: States
    has_gas: bool

    async def run(self, chain: HtlcChain, errand: Errand, now: int) -> None:
        """One step. Raises what went wrong, with the way to do it by hand where there is one."""
        try:
            if isinstance(chain, SignsAhead):
                await self._send_prepared(chain, chain, errand, now)
            elif isinstance(chain, ByHand) and not self.has_gas:
                raise Rejected("no gas account is configured")
            else:
                await self._send_own(chain, errand, now)
        except Rejected as error:
            raise Rejected(f"{error}{_by_hand(chain, errand)}") from None

    async def _send_prepared(self, chain: HtlcChain, signs: SignsAhead, errand: Errand, now: int) -> None:
        prepared = errand.packet.leg(errand.effect.role).prepared
        tx = await signs.pick(errand.bid, errand.leg, prepared, errand.preimage, now)
        if tx is not None:
            await chain.broadcast(tx)
            self._told(errand, tx)

    async def _send_own(self, chain: HtlcChain, errand: Errand, now: int) -> None:
        key, swap_id = errand.effect.key, errand.packet.id
        sent, missing = await self._follow(chain, swap_id, key)
        if sent and sent[-1].voiding:
            return  # it was given up: until that is settled, nothing takes its place
        refusal = None
        if missing:
            try:
                await chain.broadcast(sent[-1].tx)
            except Rejected as error:  # perhaps only its fee: a better one follows
                refusal = error
        txs = [each.tx for each in sent]
        draft = await chain.draft(errand.bid, errand.leg, errand.preimage, txs, now)
        if draft is None:
            if refusal is not None:
                raise refusal
            return
        sequence = None
        if draft.account is not None:
            sequence = max(draft.floor, self.states.next_sequence(chain.name))
        tx = draft.sign(sequence)
        self._write(swap_id, Sent(key, chain.name, tx))
        await chain.broadcast(tx)
        self._told(errand, tx)

    async def let_go(self, chain: HtlcChain, swap_id: str, key: str, *, unseen: bool = False) -> None:
        """It is not wanted any more: its nonce must not stand in the way of others. unseen: nobody can tell, and others
        do wait behind it; then it stays, and keeps its place, as long as the network takes it."""
        sent, missing = await self._follow(chain, swap_id, key, unwanted=not unseen)
        if not sent:
            return
        if unseen and not sent[-1].voiding:
            try:
                if missing:
                    await chain.broadcast(sent[-1].tx)
            except Rejected as error:
                log.info("watchtower.given_up", swap=swap_id, effect=key, why=str(error))
            else:
                return
        draft = await chain.void([each.tx for each in sent])
        if draft is not None:
            tx = draft.sign(sent[-1].tx.sequence)
            self._write(swap_id, Sent(key, chain.name, tx, voiding=True))
            await chain.broadcast(tx)
        elif missing and sent[-1].voiding:
            await chain.broadcast(sent[-1].tx)

    async def _follow(
        self, chain: HtlcChain, swap_id: str, key: str, *, unwanted: bool = False
    ) -> tuple[tuple[Sent, ...], bool]:
        """What of it still counts, and whether the network does not know the last one. What failed counts as long as
        the effect is wanted: a payee that makes it fail again and again must not have all the gas."""
        gone: set[str] = set()
        states: dict[str, TxState] = {}
        for each in self.states[swap_id].of(key):
            try:
                states[each.tx.txid] = (await chain.fate(each.tx)).state
            except Invalid:  # signed by an account that is gone, so nothing can be asked about it or follow from it
                states[each.tx.txid] = TxState.REPLACED
        settled = states and all(state in _SETTLED for state in states.values())
        for each in self.states[swap_id].of(key):
            state = states[each.tx.txid]
            if state is TxState.REPLACED or (settled and (unwanted or each.voiding)):
                gone.add(each.tx.txid)
        if gone:
            self.states[swap_id] = self.states[swap_id].without(lambda each: each.tx.txid in gone)
        left = self.states[swap_id].of(key)
        return left, bool(left) and states[left[-1].tx.txid] is TxState.MISSING

    def _write(self, swap_id: str, sent: Sent) -> None:
        self.states[swap_id] = self.states[swap_id].with_sent(sent)

    def _told(self, errand: Errand, tx: SignedTx) -> None:
        log.info("watchtower.sent", swap=errand.packet.id, effect=errand.effect.key, txid=tx.txid, fee=tx.fee)


def _by_hand(chain: HtlcChain, errand: Errand) -> str:
    if not isinstance(chain, ByHand) or errand.effect.stray is not None:
        return ""
    try:
        return f"; anybody can send it from any account: {chain.by_hand(errand.effect, errand.leg, errand.preimage)}"
    except SwapdError:
        return ""


def sendable(effect: Effect, preimage: bytes | None) -> bool:
    """Whether a tower can think of it at all: no lock, and no claim before its secret is public (rule S2)."""
    if effect.kind is EffectKind.REFUND:
        return True
    return effect.kind is EffectKind.CLAIM and not effect.reveals and preimage is not None


def waits_until(effect: Effect, since: int, grace: int) -> int:
    """Unix seconds until which swapd itself has the first go: `grace` after it was wanted. A claim with its deadline
    before it waits for a quarter of the time that was left at most; a refund has no end, only a beginning."""
    if effect.kind is EffectKind.CLAIM:
        return since + min(grace, max(0, effect.deadline - since) // 4)
    return since + grace


def as_urgent_as(effect: Effect, deadline: int) -> Effect:
    return replace(effect, deadline=min(effect.deadline, deadline))
