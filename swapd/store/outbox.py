"""Writing about transactions: nothing goes to a network before it stands here (rule S4)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import RowMapping, func, select, update

from swapd.chains.base import Fate, SignedTx
from swapd.errors import Invalid
from swapd.protocol.effects import EffectKind
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import dumps
from swapd.store.errors import Conflict
from swapd.store.records import EffectState
from swapd.store.rows import raw_place
from swapd.store.sealing import seal
from swapd.store.writing import Writing

_ENDED = tuple(state.value for state in EffectState if state.ended)
_STOPS = (m.Swap.cancelled_at, m.Swap.frozen_at, m.Swap.forced_at)


class OutboxWriting(Writing):
    async def next_sequence(self, chain: str, account: str, floor: int) -> int:
        """The account's next sequence (nonce), and the right to it until this transaction ends: sign and `add_attempt`
        in it. floor: what the chain says; the larger of both counts."""
        same = ["chain", "account"]
        row = self._insert(m.Account).values(chain=chain, account=account, next_sequence=floor)
        await self._connection.execute(row.on_conflict_do_nothing(index_elements=same))
        query = select(m.Account.next_sequence).where(m.Account.chain == chain, m.Account.account == account)
        stored = (await self._connection.execute(query.with_for_update())).scalar_one()
        return max(stored, floor)

    async def add_attempt(
        self, effect_id: int, fence: int, tx: SignedTx, *, account: str | None = None, voiding: bool = False
    ) -> None:
        """Store a signed transaction, sealed, and take its sequence with it. It may be sent after the commit.

        account: the draft's; None for a replacement, which has its sequence already. voiding: it only uses up what the
        effect's attempts reserved. Raises `Conflict` if the effect is not wanted any more, or the sequence is taken.
        """
        effect = await self._effect(effect_id)
        await self._hold(effect["swap_id"], fence)
        effect = await self._effect(effect_id)  # again, now that nobody else can change it
        if not voiding:
            _refuse_unwanted(effect)
        if account is not None:
            await self._take_sequence(effect["chain"], account, tx)
        attempts = select(func.coalesce(func.max(m.Transaction.attempt), 0)).where(m.Transaction.effect_id == effect_id)
        number = (await self._connection.execute(attempts)).scalar_one() + 1
        row = self._insert(m.Transaction).values(
            effect_id=effect_id,
            attempt=number,
            voiding=voiding,
            txid=tx.txid,
            raw=seal(self._sealer, raw_place(tx.txid), tx.raw),
            fee=tx.fee,
            rate=tx.rate,
            sequence=tx.sequence,
            spends=dumps(tx.spends),
            signed_at=unix_now(),
            depth=0,
        )
        added = row.on_conflict_do_nothing(index_elements=["effect_id", "txid"]).returning(m.Transaction.id)
        if (await self._connection.execute(added)).first() is None:
            raise Conflict(f"transaction {tx.txid} is stored already")
        if effect["state"] == EffectState.WANTED:
            await self._set_state(effect_id, EffectState.SIGNED)
        self.audit(
            "transaction signed",
            effect["swap_id"],
            effect=effect["key"],
            txid=tx.txid,
            fee=str(tx.fee),
            sequence=tx.sequence,
            voiding=voiding,
        )

    async def mark_revealed(self, swap_id: str, fence: int) -> None:
        """The secret is about to be shown to somebody outside, be it a node that simulates: commit this first (S2).
        Raises `Conflict` for a swap that was frozen or called off meanwhile."""
        await self._hold(swap_id, fence)
        row = await self._one(select(m.Swap.reveal_sent, *_STOPS).where(m.Swap.id == swap_id))
        if row is None or row["reveal_sent"]:
            return
        if _stopped(row):
            raise Conflict(f"the secret of swap {swap_id} is not to be shown any more: somebody stopped the swap")
        swap = update(m.Swap).where(m.Swap.id == swap_id)
        await self._connection.execute(swap.values(version=m.Swap.version + 1, reveal_sent=True))
        self.audit("secret revealed", swap_id)

    async def remember_shown(self, swap_ids: Iterable[str]) -> None:
        """Of these the secret was shown, as this process knows: for a copy that is older than that."""
        shown = update(m.Swap).where(m.Swap.id.in_(list(swap_ids)), m.Swap.reveal_sent.is_(False))
        await self._connection.execute(shown.values(version=m.Swap.version + 1, reveal_sent=True))

    async def mark_sent(self, txid: str, fence: int, *, preparing: bool = False, effect_id: int | None = None) -> None:
        """It goes to the network now: commit this first, then broadcast. From here on it counts as out (S2, S10).
        preparing: it does not do what its effect is about, but makes it possible. effect_id: for whose effect, needed
        where several share the transaction: each says so for itself, under its own lease.

        Raises `Conflict` for a transaction that was never sent and whose effect is not wanted any more. Again, for a
        transaction that was sent before, changes nothing.
        """
        tx = await self._transaction(txid, effect_id)
        await self._hold(tx["swap_id"], fence)
        tx = await self._transaction(txid, effect_id)
        if tx["sent_at"] is not None:
            return
        if not tx["voiding"]:
            _refuse_unwanted(tx)
            if not preparing:
                await self._remember_sent(tx)
            await self._set_state(tx["effect_id"], EffectState.SENT)
        await self._connection.execute(
            update(m.Transaction).where(m.Transaction.id == tx["id"]).values(sent_at=unix_now())
        )
        self.audit("transaction sent", tx["swap_id"], effect=tx["key"], txid=txid)

    async def record_fate(self, txid: str, fate: Fate, *, effect_id: int | None = None) -> None:
        """What the chain says became of a transaction. effect_id: as with `mark_sent`."""
        tx = await self._transaction(txid, effect_id)
        await self._connection.execute(
            update(m.Transaction)
            .where(m.Transaction.id == tx["id"])
            .values(fate=fate.state, depth=fate.depth, fee_paid=fate.fee)
        )
        if tx["fate"] != fate.state:
            self.audit(f"transaction {fate.state}", tx["swap_id"], effect=tx["key"], txid=txid)

    async def set_effect(self, effect_id: int, state: EffectState, error: str = "") -> None:
        """How far an effect is; DONE only when it is final. error: why it does not go on, in words without a secret."""
        effect = await self._effect(effect_id)
        await self._set_state(effect_id, state, error)
        if (effect["state"], effect["error"]) != (state, error):
            self.audit(f"effect {state}", effect["swap_id"], effect=effect["key"], error=error)

    # -- inside

    async def _take_sequence(self, chain: str, account: str, tx: SignedTx) -> None:
        if tx.sequence is None:
            raise Invalid("sequence", None, f"the sequence that was taken from account {account}")
        free = await self.next_sequence(chain, account, tx.sequence)
        if tx.sequence < free:
            raise Conflict(f"sequence {tx.sequence} of {account} on {chain} is taken; the next is {free}")
        await self._connection.execute(
            update(m.Account)
            .where(m.Account.chain == chain, m.Account.account == account)
            .values(next_sequence=tx.sequence + 1)
        )

    async def _remember_sent(self, tx: RowMapping) -> None:
        """What can not be taken back. The version goes up: a decision that did not know of it must not be written."""
        if tx["kind"] == EffectKind.LOCK:
            leg = update(m.Leg).where(m.Leg.swap_id == tx["swap_id"], m.Leg.role == tx["role"])
            await self._connection.execute(leg.values(lock_sent=True))
        swap = update(m.Swap).where(m.Swap.id == tx["swap_id"]).values(version=m.Swap.version + 1)
        if tx["kind"] == EffectKind.CLAIM:
            swap = swap.values(reveal_sent=True)  # any claim that is handed out shows the secret
        await self._connection.execute(swap)

    async def _set_state(self, effect_id: int, state: EffectState, error: str = "") -> None:
        await self._connection.execute(
            update(m.Effect).where(m.Effect.id == effect_id).values(state=state, error=error, updated_at=unix_now())
        )

    async def _effect(self, effect_id: int) -> RowMapping:
        row = await self._one(
            select(m.Effect.__table__, m.Leg.chain, *_STOPS)
            .join(m.Swap, m.Swap.id == m.Effect.swap_id)
            .join(m.Leg, (m.Leg.swap_id == m.Effect.swap_id) & (m.Leg.role == m.Effect.role))
            .where(m.Effect.id == effect_id)
        )
        if row is None:
            raise Invalid("effect", effect_id, "the id of an effect in this database")
        return row

    async def _transaction(self, txid: str, effect_id: int | None) -> RowMapping:
        effect = (m.Effect.swap_id, m.Effect.key, m.Effect.kind, m.Effect.role, m.Effect.wanted, m.Effect.state)
        query = (
            select(
                *effect,
                *_STOPS,
                m.Transaction.id,
                m.Transaction.effect_id,
                m.Transaction.voiding,
                m.Transaction.sent_at,
                m.Transaction.fate,
            )
            .join(m.Effect, m.Effect.id == m.Transaction.effect_id)
            .join(m.Swap, m.Swap.id == m.Effect.swap_id)
            .where(m.Transaction.txid == txid)
        )
        rows = await self._all(query if effect_id is None else query.where(m.Transaction.effect_id == effect_id))
        if len(rows) > 1:
            raise Invalid("effect", None, f"one of those that share transaction {txid}")
        if not rows:
            raise Invalid("txid", txid, "a transaction in this database")
        return rows[0]


def _stopped(swap: RowMapping) -> bool:
    """By a person: nothing of the swap goes forward."""
    return any(swap[column.key] is not None for column in _STOPS)


def _refuse_unwanted(effect: RowMapping) -> None:
    called_off = effect["kind"] == EffectKind.LOCK and _stopped(effect)
    if called_off or not effect["wanted"] or effect["state"] in _ENDED:
        raise Conflict(f"{effect['key']} of swap {effect['swap_id']} is not wanted any more ({effect['state']})")
