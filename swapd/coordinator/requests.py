"""Requests from a chain's board: taken, decided once, and answered until the answer stands there.

Four steps, each of which may be interrupted at any line and done again. What the board shows is written down, with the
cursor. Each request that waits becomes a swap or a refusal, in the transaction that adds the swap. The answer is signed
and stored, then sent. And it counts when the board, which is proven, shows it; before that nothing of the swap begins
(`Reconciler`), so of one request swapd never funds two swaps, whatever was lost or whoever else answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from swapd.chains.base import Asked, Given, RequestBoard, TxState
from swapd.coordinator import agree
from swapd.coordinator.execute import RETRY_SECONDS
from swapd.coordinator.funds import NotEnough
from swapd.coordinator.gate import Gate
from swapd.coordinator.house import House
from swapd.coordinator.limits import TooManyOpen
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected, SwapdError
from swapd.protocol.request import Accepted, Answer, Refused
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import Conflict, DamagedRow, Reading, RequestRow, RequestState, Transaction

log = structlog.get_logger()

OLDEST = 3_600
"""Seconds after which a request is refused instead of traded. Its amounts were fixed when it was asked, and in an hour
prices seldom move by more than the margin of those who fix them; most outages of a node are over sooner."""

GIVE_UP = 86_400
"""Seconds after the request for which its answer is still sent. Nobody holds an order open for longer, and a board that
takes nothing for a day has stopped."""

LONGEST_PAUSE = 300
"""Seconds between two attempts at an answer; they begin at RETRY_SECONDS and double."""

MOST_WORDS = 300
"""Characters of a reason: the board keeps it for ever, and a request's own words may come back in it."""


@dataclass
class Intake:
    """The requests of one chain. trouble: why the last look failed, "" if it did not."""

    house: House
    name: str
    board: RequestBoard
    gate: Gate
    trouble: str = "not looked at yet"
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> bool:
        """One pass, and no two at once. True if some swap has to be reconciled now. Whatever goes wrong here is of no
        concern to the swaps that there are."""
        try:
            async with self._one_at_a_time:
                woken = await self._pass()
        except SwapdError as error:
            if str(error) != self.trouble:
                log.warning("board.unhealthy", chain=self.name, reason=str(error))
            self.trouble = str(error)
            return False
        except Exception as error:  # a mistake of ours about new swaps must not end the daemon of the others
            log.exception("board.mistake", chain=self.name)
            self.trouble = f"{type(error).__name__}, a mistake of swapd's own"
            return False
        self.trouble = ""
        return woken

    async def _pass(self) -> bool:
        async with self.house.store.read() as reading:
            try:
                cursor = await reading.cursor(self._cursor)
            except DamagedRow as error:
                log.error("cursor.damaged", chain=self.name, error=str(error))
                cursor = None
        asked = await self.board.asked(cursor)
        woken = False
        if asked.cursor != cursor:
            woken = await self._take(asked)
        for state in (RequestState.WAITING, RequestState.DECIDED):
            for row in await self._due(state):
                woken |= await self._go_on(row, asked.now)
        return woken

    async def _due(self, state: RequestState) -> list[RequestRow]:
        async with self.house.store.read() as reading:
            found = await reading.open_requests(self.name, state)
        for damaged in found.damaged:
            log.error("request.damaged", error=str(damaged))
        return [row for row in found.requests if row.next_try_at <= self.house.clock()]

    @property
    def _cursor(self) -> str:
        """Under which the board's cursor is kept, beside that of the chain's own scans."""
        return f"{self.name} requests"

    # -- taking ----------------------------------------------------------------------------------------------------

    async def _take(self, asked: Asked) -> bool:
        """Everything that the board shows, and the cursor with it. True if an answer of ours stands there now."""
        crashpoint("requests.take.before")
        async with self.house.store.write() as writing:
            await writing.add_requests(self.name, asked.requests)
            woken = [await self._note(writing, each) for each in asked.answers]
            await writing.set_cursor(self._cursor, asked.cursor)
        crashpoint("requests.take.after")
        return any(woken)

    async def _note(self, writing: Transaction, given: Given) -> bool:
        try:
            row = await writing.request(self.name, given.ref)
            if row is None or row.state in (RequestState.ANSWERED, RequestState.OVERRULED):
                return False
            ours = await _answer(writing, row)
        except DamagedRow as error:
            log.error("request.damaged", error=str(error))
            return False
        if given.answer is not None and given.answer == ours:
            await writing.end_request(row, RequestState.ANSWERED)
            if row.swap_id is not None:
                await writing.touch([row.swap_id])
            return True
        await writing.end_request(row, RequestState.OVERRULED, "another answer than ours stands on the chain")
        if row.swap_id is not None:
            try:
                await writing.cancel(row.swap_id, "its request was answered otherwise, by another coordinator")
            except Rejected as error:  # somebody funded it all the same: it goes on to its end
                log.error("request.overruled", chain=self.name, ref=row.ref, error=str(error))
        return True

    # -- deciding --------------------------------------------------------------------------------------------------

    async def _go_on(self, row: RequestRow, now: int) -> bool:
        """One request, one step. Trouble with it is written down and stops no other. now: the chain's own time."""
        pause = RETRY_SECONDS
        try:
            if row.state is RequestState.WAITING:
                return await self._decide(row, now)
            await self._deliver(row, now)
            return False
        except Conflict:
            return False  # another worker was faster: its doing is read in the next pass
        except SwapdError as error:
            pause, why = _pause(row), str(error)
        except Exception as error:  # a mistake of ours in one request must not keep the others waiting
            log.exception("request.mistake", chain=self.name, ref=row.ref)
            pause, why = LONGEST_PAUSE, f"{type(error).__name__}, a mistake of swapd's own"
        log.warning("request.trouble", chain=self.name, ref=row.ref, error=why)
        async with self.house.store.write() as writing:
            await writing.delay_request(row, why, self.house.clock() + pause)
        return False

    async def _decide(self, row: RequestRow, now: int) -> bool:
        """True if there is a swap now."""
        refusal = self._refusal(row, now)
        if refusal is None and self.gate.closed:
            return False  # rule S8: it waits, until it is too old
        if refusal is None:
            refusal = await self._create(row)
        if refusal is None:
            return True
        crashpoint("requests.refuse.before")
        async with self.house.store.write() as writing:
            await writing.refuse_request(row, refusal)
        crashpoint("requests.refuse.after")
        log.info("request.refused", chain=self.name, ref=row.ref, field=refusal.field, reason=refusal.reason)
        return False

    def _refusal(self, row: RequestRow, now: int) -> Refused | None:
        """What needs no look at any chain."""
        if not self.board.listens_to(row.by):
            return _refused("marketplace", "it is not among those from which requests are taken here")
        if row.asked_at + OLDEST < now:
            return _refused("requested_at", f"older than {OLDEST // 60} minutes, and prices move: ask again")
        return None

    async def _create(self, row: RequestRow) -> Refused | None:
        """Make its swap; a refusal if there can be none."""

        async def decided(writing: Transaction, terms: SwapTerms) -> None:
            await writing.accept_request(row, terms.swap_id)

        if row.request is None:
            raise SwapdError(f"request {row.ref} counts as waiting, and does not say for what")
        try:
            terms = await agree.create(self.house, row.request, f"marketplace {row.by}", decided)
        except Invalid as error:
            return _refused(error.field, f"got {error.value!r}, expected {error.expected}")
        except NotEnough as error:
            return _refused("funds", f"not enough {error.symbol} for this now")
        except TooManyOpen:
            return _refused("open_swaps", "as many swaps are open as swapd takes at a time: ask again later")
        except (Conflict, DamagedRow):
            raise  # about our own tables, and not about what was asked
        except Rejected as error:
            # a node's words, or what only the operator may know: the board is for everybody to see
            log.warning("request.rejected", chain=self.name, ref=row.ref, error=str(error))
            return _refused("swapd", "it can not take this now, and its operator can see why")
        log.info("request.accepted", chain=self.name, ref=row.ref, swap=terms.swap_id)
        return None

    # -- answering -------------------------------------------------------------------------------------------------

    async def _deliver(self, row: RequestRow, now: int) -> None:
        """Bring the answer to the board: the very bytes that are stored, for as long as they may be taken."""
        if row.asked_at + GIVE_UP < now:
            async with self.house.store.write() as writing:
                await writing.end_request(row, RequestState.GIVEN_UP, row.error or "it never got to the chain")
            return
        why = ""
        if row.answer is not None:
            fate, why = await self.board.outcome(row.answer)
            if fate.state in (TxState.PENDING, TxState.MINED):
                return  # the board will show it
            if fate.state is TxState.MISSING:
                crashpoint("requests.answer.again")
                await self.board.broadcast(row.answer)
                return
        async with self.house.store.write() as writing:
            answer = await _answer(writing, row)
            if answer is None:
                raise SwapdError(f"request {row.ref} counts as decided, without a decision")
            tx = self.board.draft(row.ref, answer).sign(None)
            await writing.add_answer(row, tx, self.house.clock() + _pause(row), why)
        crashpoint("requests.answer.signed")
        await self.board.broadcast(tx)
        crashpoint("requests.answer.sent")


async def _answer(reading: Reading, row: RequestRow) -> Answer | None:
    """What we say to it; None while nothing is decided."""
    if row.swap_id is None:
        return row.refusal
    swap = await reading.swap(row.swap_id)
    return Accepted.of(swap.terms, {role: swap.legs[role].fingerprint for role in Role})


def _refused(field_name: str, reason: str) -> Refused:
    return Refused(field_name[:MOST_WORDS], reason[:MOST_WORDS])


def _pause(row: RequestRow) -> int:
    return min(RETRY_SECONDS << min(row.attempts, 16), LONGEST_PAUSE)


def intakes(house: House, gate: Gate) -> dict[str, Intake]:
    """By the name of each chain that has a board."""
    boards = {name: market.chain.board for name, market in house.markets.items()}
    return {name: Intake(house, name, board, gate) for name, board in boards.items() if board is not None}
