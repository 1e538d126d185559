"""Writing about requests from chains: what was asked, what was decided, the answer as signed, and that it stands.

A request is decided once: whoever decides must find it waiting, in the very transaction that adds its swap.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Update, update

from swapd.chains.base import Posted, SignedTx
from swapd.protocol.request import Refused
from swapd.store import models as m
from swapd.store.clock import unix_now
from swapd.store.codec import dumps, encode
from swapd.store.errors import Conflict
from swapd.store.records import RequestRow, RequestState
from swapd.store.rows import answer_place, request_digest, request_place
from swapd.store.sealing import seal
from swapd.store.writing import Writing


class RequestWriting(Writing):
    async def add_requests(self, chain: str, posted: Iterable[Posted]) -> None:
        """Write down what a board showed; what is known already stays as it is."""
        for each in posted:
            refused = isinstance(each.request, Refused)
            request, refusal = (None, dumps(each.request)) if refused else (dumps(each.request), None)
            digest = request_digest(each.by, each.at, request, None, refusal)
            row = self._insert(m.Request).values(
                chain=chain,
                ref=each.ref,
                asker=each.by,
                asked_at=each.at,
                request=request,
                refusal=refusal,
                seal=self._sealed_request(chain, each.ref, digest),
                state=RequestState.DECIDED if refused else RequestState.WAITING,
                error="",
                attempts=0,
                next_try_at=0,
                taken_at=unix_now(),
                updated_at=unix_now(),
            )
            added = row.on_conflict_do_nothing(index_elements=["chain", "ref"]).returning(m.Request.ref)
            if (await self._connection.execute(added)).first() is not None:
                self.audit("request taken", chain=chain, ref=each.ref, by=each.by, request=encode(each.request))

    async def accept_request(self, row: RequestRow, swap_id: str) -> None:
        """A swap was made for it: call this in the transaction that adds the swap. Raises `Conflict` if the request was
        decided meanwhile."""
        await self._decide(row, swap_id=swap_id)
        self.audit("request accepted", swap_id, chain=row.chain, ref=row.ref)

    async def refuse_request(self, row: RequestRow, refusal: Refused) -> None:
        """Raises `Conflict` if the request was decided meanwhile."""
        await self._decide(row, refusal=dumps(refusal))
        self.audit(
            "request refused", chain=row.chain, ref=row.ref, by=row.by, field=refusal.field, reason=refusal.reason
        )

    async def add_answer(self, row: RequestRow, tx: SignedTx, next_try_at: int, why: str = "") -> None:
        """Store the answer as signed, sealed; it may be sent after the commit. next_try_at: Unix seconds. why: there
        had to be another one after the last, in words.

        Raises `Conflict` if it stands on the chain meanwhile, or somebody else signed another attempt.
        """
        changed = await self._connection.execute(
            self._of(row, RequestState.DECIDED)
            .where(m.Request.attempts == row.attempts)
            .values(
                answer=seal(self._sealer, answer_place(row.chain, row.ref), dumps(tx).encode()),
                attempts=m.Request.attempts + 1,
                next_try_at=next_try_at,
                error=why,
                updated_at=unix_now(),
            )
        )
        if changed.rowcount != 1:
            raise Conflict(f"the answer to request {row.ref} was signed or given by somebody else")
        self.audit("answer signed", row.swap_id, chain=row.chain, ref=row.ref, txid=tx.txid)

    async def end_request(self, row: RequestRow, state: RequestState, why: str = "") -> None:
        """Its answer stands on the chain, or it never will. why: in words, where it is not as it should be.

        Raises `Conflict` if it changed since it was read.
        """
        changed = await self._connection.execute(
            self._of(row, row.state).values(state=state, error=why, updated_at=unix_now())
        )
        if changed.rowcount != 1:
            raise Conflict(f"request {row.ref} changed since it was read")
        self.audit(f"request {state}", row.swap_id, chain=row.chain, ref=row.ref, why=why)

    async def delay_request(self, row: RequestRow, why: str, until: int) -> None:
        """It can not go on now; try again at this Unix time. why: in words without a secret, "" for no trouble."""
        await self._connection.execute(
            self._of(row, row.state).values(error=why, next_try_at=until, updated_at=unix_now())
        )

    # -- inside

    async def _decide(self, row: RequestRow, swap_id: str | None = None, refusal: str | None = None) -> None:
        request = None if row.request is None else dumps(row.request)
        digest = request_digest(row.by, row.asked_at, request, swap_id, refusal)
        changed = await self._connection.execute(
            self._of(row, RequestState.WAITING).values(
                swap_id=swap_id,
                refusal=refusal,
                seal=self._sealed_request(row.chain, row.ref, digest),
                state=RequestState.DECIDED,
                error="",
                next_try_at=0,
                updated_at=unix_now(),
            )
        )
        if changed.rowcount != 1:
            raise Conflict(f"request {row.ref} was decided already")

    def _of(self, row: RequestRow, state: RequestState) -> Update:
        return update(m.Request).where(m.Request.chain == row.chain, m.Request.ref == row.ref, m.Request.state == state)

    def _sealed_request(self, chain: str, ref: str, digest: bytes) -> bytes:
        return seal(self._sealer, request_place(chain, ref), digest)
