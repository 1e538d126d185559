"""What people decide about swaps: disputes, approvals, consents; and what their requests were answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from swapd.errors import Rejected
from swapd.protocol.terms import Role
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.errors import NotHere
from swapd.store.reading import GOING, NEXT_INDEX, SwapReading
from swapd.store.records import DisputeRow, DisputeState
from swapd.store.rows import approval_digest, approval_place, to_dispute
from swapd.store.sealing import seal
from swapd.store.swaps import SwapWriting


@dataclass(frozen=True)
class FirstAnswer:
    """What a request with an idempotency key was answered. digest: of that request, hex."""

    digest: str
    status: int
    body: str


class PeopleReading(SwapReading):
    async def disputes(
        self,
        swap_id: str | None = None,
        *,
        state: DisputeState | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[DisputeRow]:
        """Newest first. before: the id of the last one of the page before."""
        query = select(m.Dispute.__table__).order_by(m.Dispute.id.desc()).limit(limit)
        if swap_id is not None:
            query = query.where(m.Dispute.swap_id == swap_id)
        if state is not None:
            query = query.where(m.Dispute.state == state)
        if before is not None:
            query = query.where(m.Dispute.id < before)
        return [to_dispute(row) for row in await self._all(query)]

    async def dispute(self, dispute_id: int) -> DisputeRow:
        """Raises Invalid for one that is not here."""
        row = await self._one(select(m.Dispute.__table__).where(m.Dispute.id == dispute_id))
        if row is None:
            raise NotHere("dispute", dispute_id, "the id of a dispute in this database")
        return to_dispute(row)

    async def stakes(self, parties: Iterable[str], since: int) -> dict[str, Counter[str]]:
        """What each of them gave in swaps made since then (Unix seconds), by party and asset symbol."""
        found = {party: Counter[str]() for party in parties}
        query = select(m.Stake.party, m.Stake.symbol, m.Stake.amount)
        query = query.where(m.Stake.party.in_(list(found)), m.Stake.created_at >= since)
        for row in await self._all(query):
            found[row["party"]][row["symbol"]] += row["amount"]
        return found

    async def open_stakes(self, parties: Iterable[str]) -> Counter[str]:
        """Of how many swaps that have not ended each of them is a party."""
        query = (
            select(m.Stake.party, func.count(m.Stake.swap_id.distinct()).label("open"))
            .join(m.Swap, m.Swap.id == m.Stake.swap_id)
            .where(m.Stake.party.in_(list(parties)), GOING)
            .group_by(m.Stake.party)
        )
        return Counter({row["party"]: row["open"] for row in await self._all(query)})

    async def first_answer(self, tenant: str, key: str) -> FirstAnswer | None:
        query = select(m.Answer.digest, m.Answer.status, m.Answer.body).where(
            m.Answer.tenant == tenant, m.Answer.key == key
        )
        row = await self._one(query)
        return None if row is None else FirstAnswer(**row)


class PeopleWriting(SwapWriting, PeopleReading):
    async def own(self, swap_id: str, owner: str, stakes: Mapping[str, Mapping[str, int]]) -> None:
        """Whose a swap is that was just added, and what each party gives in it, by party and asset symbol."""
        owned = update(m.Swap).where(m.Swap.id == swap_id).values(owner=owner, version=m.Swap.version + 1)
        await self._connection.execute(owned)
        made = select(m.Swap.created_at).where(m.Swap.id == swap_id).scalar_subquery()
        rows = [
            {"swap_id": swap_id, "party": party, "symbol": symbol, "amount": amount, "created_at": made}
            for party, gives in stakes.items()
            for symbol, amount in gives.items()
        ]
        if rows:
            await self._connection.execute(self._insert(m.Stake).values(rows))

    async def hold_entry(self) -> None:
        """Whoever else is about to add a swap waits until the end of this transaction."""
        await self._connection.execute(select(m.Meta.value).where(m.Meta.key == NEXT_INDEX).with_for_update())

    # -- disputes

    async def open_dispute(self, swap_id: str, reason: str) -> int:
        """Freeze a swap: from the commit on no worker shows its secret or locks anything for it. Returns the dispute's
        id. Rejected while another one is open, or when the swap has ended."""
        swap = await self._held(swap_id)
        if swap.frozen_at is not None:
            raise Rejected(f"a dispute over swap {swap_id} is open already")
        if swap.status.ended:
            raise Rejected(f"swap {swap_id} has ended ({swap.status.value}): there is nothing left to freeze")
        row = self._insert(m.Dispute).values(
            swap_id=swap_id,
            state=DisputeState.OPEN,
            opened_at=unix_now(),
            opened_by=self._actor,
            reason=reason,
            decided_by="",
            decision="",
        )
        dispute_id = int((await self._connection.execute(row.returning(m.Dispute.id))).scalar_one())
        await self._change(swap_id, frozen_at=unix_now())
        self.audit("dispute opened", swap_id, dispute=dispute_id, reason=reason)
        return dispute_id

    async def note_dispute(self, dispute_id: int, note: str) -> None:
        dispute = await self.dispute(dispute_id)
        self.audit("dispute note", dispute.swap_id, dispute=dispute_id, note=note)

    async def resume(self, dispute_id: int, why: str) -> None:
        """The swap goes on where it stood."""
        dispute = await self._open_dispute(dispute_id)
        await self._end_dispute(dispute, DisputeState.RESUMED, why)
        await self._change(dispute.swap_id, frozen_at=None)

    async def force_refund(self, dispute_id: int, why: str) -> None:
        """Whatever is locked goes back, and nothing of the swap goes forward any more. The caller has looked whether
        that may be (`may_force`), and this holds it: a secret that went out meanwhile is Rejected."""
        dispute = await self._open_dispute(dispute_id)
        swap = await self._held(dispute.swap_id)
        if swap.memory.reveal_sent or swap.memory.preimage is not None:
            raise Rejected(f"the secret of swap {swap.id} is out: both sides end it by their claims (S6)")
        await self._end_dispute(dispute, DisputeState.FORCED, why)
        await self._change(dispute.swap_id, frozen_at=None, forced_at=unix_now())

    async def consent(self, swap_id: str, role: Role, consent: bytes, by: str) -> None:
        """A leg's receiver gives it back, of a swap whose refund was forced. by: who that is. The caller has checked
        what it signed."""
        await self._held(swap_id)
        row = self._insert(m.Consent).values(swap_id=swap_id, role=role, consent=consent, given_at=unix_now())
        same = ["swap_id", "role"]
        await self._connection.execute(row.on_conflict_do_update(index_elements=same, set_={"consent": consent}))
        await self._change(swap_id)
        self.audit("consent given", swap_id, role=role, by=by)

    # -- approvals

    async def approve(self, swap_id: str, operator: str, seconds: int) -> None:
        """An operator's word, for so many seconds from now. Again renews it."""
        await self._held(swap_id)
        now = int((await self._connection.execute(select(unix_now()))).scalar_one())
        values = {
            "given_at": now,
            "expires_at": now + seconds,
            "withdrawn_at": None,
            "seal": seal(self._sealer, approval_place(swap_id, operator), approval_digest(now, now + seconds)),
        }
        row = self._insert(m.Approval).values(swap_id=swap_id, operator=operator, **values)
        await self._connection.execute(row.on_conflict_do_update(index_elements=["swap_id", "operator"], set_=values))
        await self._change(swap_id, approved=True)
        self.audit("approval given", swap_id, by=operator, expires_at=now + seconds)

    async def withdraw_approval(self, swap_id: str, operator: str) -> None:
        """Rejected when there is none that counts."""
        swap = await self._held(swap_id)
        if not any(each.operator == operator and each.withdrawn_at is None for each in swap.approvals):
            raise Rejected(f"{operator} has not approved swap {swap_id}")
        which = update(m.Approval).where(m.Approval.swap_id == swap_id, m.Approval.operator == operator)
        await self._connection.execute(which.values(withdrawn_at=unix_now()))
        await self._change(swap_id)
        self.audit("approval withdrawn", swap_id, by=operator)

    # -- answers

    async def remember_answer(self, tenant: str, key: str, answer: FirstAnswer) -> bool:
        """False if there is one already: then nothing of this transaction may be committed."""
        row = self._insert(m.Answer).values(
            tenant=tenant, key=key, digest=answer.digest, status=answer.status, body=answer.body, created_at=unix_now()
        )
        added = row.on_conflict_do_nothing(index_elements=["tenant", "key"]).returning(m.Answer.key)
        return (await self._connection.execute(added)).first() is not None

    async def forget_answers(self, seconds: int) -> None:
        """Those that are older."""
        await self._connection.execute(delete(m.Answer).where(m.Answer.created_at < unix_now() - seconds))

    # -- inside

    async def _change(self, swap_id: str, **values: object) -> None:
        """A decision that was made before this is refused (`Conflict`), and a new one is due."""
        changed = update(m.Swap).where(m.Swap.id == swap_id)
        await self._connection.execute(changed.values(version=m.Swap.version + 1, updated_at=unix_now(), **values))
        await self.touch([swap_id])

    async def _open_dispute(self, dispute_id: int) -> DisputeRow:
        dispute = await self.dispute(dispute_id)
        await self._held(dispute.swap_id)
        dispute = await self.dispute(dispute_id)
        if dispute.state is not DisputeState.OPEN:
            raise Rejected(f"dispute {dispute_id} was decided already: {dispute.state.value}")
        return dispute

    async def _end_dispute(self, dispute: DisputeRow, state: DisputeState, why: str) -> None:
        changed = update(m.Dispute).where(m.Dispute.id == dispute.id)
        await self._connection.execute(
            changed.values(state=state, decided_at=unix_now(), decided_by=self._actor, decision=why)
        )
        self.audit(f"dispute {state.value}", dispute.swap_id, dispute=dispute.id, why=why)
