"""Writing about swaps: making them, deciding about them, waking them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Text, case, cast, insert, literal, or_, select, update

from swapd.errors import Invalid, Rejected
from swapd.protocol.decide import Decision
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import Json, dumps
from swapd.store.errors import Conflict
from swapd.store.reading import NEXT_INDEX
from swapd.store.records import EffectState, LegRow, SwapRow
from swapd.store.rows import terms_digest, terms_place
from swapd.store.sealing import seal
from swapd.store.writing import Writing

_IN_BLOCK = (LegState.LOCKED, LegState.CLAIMED, LegState.REFUNDED)


class SwapWriting(Writing):
    async def next_index(self, floor: int = 0) -> int:
        """A derivation index for a new swap, at least `floor`. Commit before using it: one that is rolled back is given
        out again."""
        await self._skip_index(floor - 1)
        statement = (
            update(m.Meta)
            .where(m.Meta.key == NEXT_INDEX)
            .values(value=cast(cast(m.Meta.value, BigInteger) + 1, Text))
            .returning(m.Meta.value)
        )
        return int((await self._connection.execute(statement)).scalar_one()) - 1

    async def add_swap(
        self,
        terms: SwapTerms,
        births: Mapping[Role, int],
        fingerprints: Mapping[Role, str],
        status: Status,
        *,
        restored: bool = False,
    ) -> None:
        """A new swap, due at once. births: height of each chain now; nothing of the swap is older. restored: it is not
        new, and what was sent for it is not known (`Memory.restored`).

        Raises Invalid for a hashlock or an index that was used before (rule S13).
        """
        text = dumps(terms)
        statement = (
            self._insert(m.Swap)
            .values(
                id=terms.swap_id,
                index=terms.index,
                hashlock=terms.hashlock.hex(),
                terms=text,
                seal=seal(self._sealer, terms_place(terms.swap_id), terms_digest(text)),
                created_at=terms.created_at,
                updated_at=unix_now(),
                status=status,
                note="",
                reason="",
                version=1,
                touches=0,
                next_due_at=0,
                watched=True,
                owner="",
                approved=False,
                expired=False,
                reveal_sent=False,
                restored_at=unix_now() if restored else None,
                leased_until=0,
                fence=0,
            )
            .on_conflict_do_nothing()
            .returning(m.Swap.id)
        )
        if (await self._connection.execute(statement)).first() is None:
            raise await self._used_before(terms)
        unseen = {"state": LegState.UNKNOWN, "depth": 0, "strays": "[]"}
        marks = dict.fromkeys(("lock_sent", "locked_once", "claim_final"), False)
        rows = [
            {
                "swap_id": terms.swap_id,
                "role": leg.role,
                "chain": leg.terms.chain,
                "birth": births[leg.role],
                "fingerprint": fingerprints[leg.role],
                **unseen,
                **marks,
            }
            for leg in terms.legs
        ]
        await self._connection.execute(insert(m.Leg).values(rows))
        await self._skip_index(terms.index)
        self.audit("swap added", terms.swap_id, terms=terms_digest(text).hex(), status=status)

    async def record_decision(
        self,
        swap: SwapRow,
        fence: int,
        decision: Decision,
        views: Mapping[Role, LegView],
        *,
        note: str = "",
        reason: str = "",
        watched: bool = True,
    ) -> None:
        """What was seen of a swap and decided about it, at once. `swap` is the row the decision was made on.

        Raises `Conflict` if the swap changed since it was read, `LeaseLost` if another worker has it. A wake-up since
        then is kept: the swap stays due.
        """
        if decision.preimage is not None and not opens(decision.preimage, swap.terms.hashlock):
            raise Invalid("preimage", f"{len(decision.preimage)} bytes", "one that opens the swap's hashlock")
        await self._hold(swap.id, fence)
        status = decision.status or swap.status
        due = literal(decision.next_due_at, BigInteger)
        statement = (
            update(m.Swap)
            .where(m.Swap.id == swap.id, m.Swap.version == swap.version)
            .values(
                status=status,
                note=note,
                reason=reason,
                version=m.Swap.version + 1,
                next_due_at=case((m.Swap.touches == swap.touches, due), else_=literal(0, BigInteger)),
                watched=watched,
                expired=swap.expired or status is Status.EXPIRED,
                revealed_preimage=swap.revealed_preimage or decision.preimage,
                updated_at=unix_now(),
            )
        )
        if (await self._connection.execute(statement)).rowcount != 1:
            raise Conflict(f"swap {swap.id} changed since it was read (version {swap.version})")
        changed = {role.value: await self._record_view(swap, role, view) for role, view in views.items()}
        await self._want(swap.id, decision.effects)
        self._tell(swap, status, note, {role: said for role, said in changed.items() if said})

    async def touch(self, swap_ids: Iterable[str]) -> None:
        """Something happened to these: reconcile them now, whatever was planned."""
        # locked in one order, so that two chains that touch the same swaps at once cannot wait for each other
        ids = select(m.Swap.id).where(m.Swap.id.in_(set(swap_ids))).order_by(m.Swap.id).with_for_update().cte("touched")
        await self._connection.execute(
            update(m.Swap)
            .where(m.Swap.id.in_(select(ids.c.id)))
            .values(touches=m.Swap.touches + 1, next_due_at=0, watched=True)
        )

    async def postpone(self, swap_id: str, until: int) -> None:
        """Look at it again at this Unix time: for a swap that cannot be decided now (damaged, chain away)."""
        await self._connection.execute(update(m.Swap).where(m.Swap.id == swap_id).values(next_due_at=until))

    async def wake_by(self, swap_id: str, at: int) -> None:
        """Look at it again at this Unix time at the latest; an earlier plan or wake-up stands."""
        later = or_(m.Swap.next_due_at.is_(None), m.Swap.next_due_at > at)
        await self._connection.execute(update(m.Swap).where(m.Swap.id == swap_id, later).values(next_due_at=at))

    async def cancel(self, swap_id: str, why: str) -> None:
        """Call a swap off. Again is no error; after a lock was signed by swapd or seen in a block, it is Rejected."""
        swap = await self._held(swap_id)
        if swap.cancelled_at is not None:
            return
        locks = [row for row in await self.effects(swap_id) if row.effect.kind is EffectKind.LOCK]
        if any(row.live for row in locks) or any(leg.view.state in _IN_BLOCK for leg in swap.legs.values()):
            raise Rejected(f"swap {swap_id} can not be cancelled any more: a lock exists. What is locked is refunded")
        await self._connection.execute(
            update(m.Swap)
            .where(m.Swap.id == swap_id)
            .values(cancelled_at=unix_now(), reason=why, version=m.Swap.version + 1, watched=True)
        )
        await self.touch([swap_id])
        self.audit("swap cancelled", swap_id, why=why)

    # -- inside

    async def _held(self, swap_id: str) -> SwapRow:
        """The swap as it is, and stays until the end of the transaction."""
        await self._connection.execute(select(m.Swap.id).where(m.Swap.id == swap_id).with_for_update())
        return await self.swap(swap_id)

    async def _used_before(self, terms: SwapTerms) -> Invalid:
        same = select(m.Swap.id).where(or_(m.Swap.hashlock == terms.hashlock.hex(), m.Swap.id == terms.swap_id))
        if await self._one(same) is not None:
            return Invalid("hashlock", terms.hashlock.hex(), "one that was never used before")
        return Invalid("index", terms.index, "one that was never used before")

    async def _skip_index(self, used: int) -> None:
        """A swap that came with its index (recovered from the seed) takes it out of those still to be given out."""
        await self._connection.execute(
            update(m.Meta)
            .where(m.Meta.key == NEXT_INDEX, cast(m.Meta.value, BigInteger) <= used)
            .values(value=str(used + 1))
        )

    async def _record_view(self, swap: SwapRow, role: Role, view: LegView) -> Json:
        """Store a leg as seen; returns what to tell the audit chain, None if nothing but its depth changed."""
        if view.state is LegState.UNKNOWN:
            return None
        known = swap.legs[role]
        final = view.state is LegState.CLAIMED and view.depth >= swap.terms.leg(role).confirmations
        in_block = view.state in _IN_BLOCK and not view.doubt  # what can never be un-known needs to be known
        seen = {
            "state": view.state.value,
            "lock_ref": view.lock_ref,
            "lock_txid": view.lock_txid,
            "spend_txid": view.spend_txid,
            "strays": dumps(view.strays),
        }
        await self._connection.execute(
            update(m.Leg)
            .where(m.Leg.swap_id == swap.id, m.Leg.role == role)
            .values(
                depth=view.depth,
                locked_once=known.locked_once or in_block,
                claim_final=known.claim_final or final,
                **seen,
            )
        )
        return dict(seen) if _differs(known, view) or (final and not known.claim_final) else None

    async def _want(self, swap_id: str, effects: Iterable[Effect]) -> None:
        """Exactly these are wanted now: new ones are added, known ones brought up to date, all others not wanted."""
        effects = tuple(effects)
        keys = [effect.key for effect in effects]
        await self._connection.execute(
            update(m.Effect)
            .where(m.Effect.swap_id == swap_id, m.Effect.wanted, m.Effect.key.not_in(keys))
            .values(wanted=False, updated_at=unix_now())
        )
        again = case(
            (m.Effect.state == EffectState.DONE, EffectState.SENT.value),
            (m.Effect.state == EffectState.VOID, EffectState.WANTED.value),
            # damaged: taken for sent, because then everything is followed and nothing is thought to be new
            (m.Effect.state.not_in([state.value for state in EffectState]), EffectState.SENT.value),
            else_=m.Effect.state,
        )
        for effect in effects:
            current = {
                "kind": effect.kind,  # as the key says; written again because it may be damaged
                "role": effect.role,
                "stray": effect.stray,
                "deadline": effect.deadline,
                "reveals": effect.reveals,
                "wanted": True,
                "updated_at": unix_now(),
            }
            row = self._insert(m.Effect).values(
                swap_id=swap_id,
                key=effect.key,
                state=EffectState.WANTED,
                error="",
                created_at=unix_now(),
                **current,
            )
            same = ["swap_id", "key"]
            await self._connection.execute(
                row.on_conflict_do_update(index_elements=same, set_={**current, "state": again})
            )

    def _tell(self, swap: SwapRow, status: Status, note: str, legs: dict[str, Json]) -> None:
        if status is not swap.status:
            self.audit("status", swap.id, before=swap.status, after=status, note=note)
        if legs:
            self.audit("legs", swap.id, **legs)


def _differs(known: LegRow, view: LegView) -> bool:
    """Whether there is news: blocks on top of the same are none."""
    old = known.view
    return (old.state, old.lock_ref, old.lock_txid, old.spend_txid, old.strays) != (
        view.state,
        view.lock_ref,
        view.lock_txid,
        view.spend_txid,
        view.strays,
    )
