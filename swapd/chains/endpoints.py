"""Several nodes of one chain: which of them to ask, and how to go on when one does not answer.

With a single node nothing of this plays a part: it is asked, and what it says is what there is.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from swapd.chains.alarm import Alarms
from swapd.chains.base import Health
from swapd.chains.quorum import reached, time_of
from swapd.chains.standing import FIRST_PAUSE, LONGEST_PAUSE, Endpoint, NoAnswer
from swapd.errors import Invalid, Rejected, SwapdError, Unavailable, Unknown

PATIENCE_SECONDS = 2.0
"""For a node that is slower than the others. Several times what an honest one takes, and next to nothing of any margin.
"""

SCAN_PATIENCE_SECONDS = 15.0
"""The same where a node reads many blocks, and one may have more of them to read than another."""

BELOW_QUORUM = 5
"""Times that patience for the others, once one has answered and not enough have: what they might say would let
something new begin, and nothing of that is as urgent as an exit, for which one answer is enough."""

AT_ALL = 60
"""Times that patience for the first answer. Each request has a bound of its own, and this is one on all of them: a node
that answers one after another slowly must not hold a look up for ever."""

PROBE_SECONDS = 5.0
"""Between two questions to a node that is passed over: a quarter of a minute after it is well, it is asked again."""

FORK_SECONDS = 30.0
"""Between two comparisons of the nodes' chains: a fork that is deep enough to matter lasts longer."""

_ALL_REFUSED = "every node is on another network"
_TOO_SLOW = "it did not answer in time"

_T = TypeVar("_T")
_R = TypeVar("_R")


class Endpoints(Generic[_T]):
    """nodes: by the names of their settings, the preferred one first. quorum: how many have to agree. lag: blocks that
    a node may be behind. check: raises Invalid for a node of another network; asked before the first use of each, since
    one that is away at the start may come back as anything, and again after it was passed over (a single one: after
    each time that it was away)."""

    def __init__(
        self,
        chain: str,
        nodes: Sequence[tuple[str, _T]],
        quorum: int,
        lag: int,
        check: Callable[[_T], Awaitable[None]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quorum = quorum
        self._lag = lag
        self._check = check
        self._now = now
        self._alone = len(nodes) == 1
        self._all = [Endpoint(name, node, admitted=self._alone, since=now()) for name, node in nodes]
        self._alarms = Alarms(chain=chain)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._height: int | None = None
        self._compared = -FORK_SECONDS
        self._split = False

    @property
    def nodes(self) -> list[_T]:
        return [each.node for each in self._all]

    @property
    def holding(self) -> Counter[str]:
        """See `Alarms.holding`."""
        return self._alarms.holding

    @property
    def alone(self) -> bool:
        """There is one node, and nothing to compare it with."""
        return self._alone

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self) -> None:
        """Look at the network of every node. Raises Invalid if the only one, the preferred one or most of those that
        answer are on another, Unavailable or Rejected if none is of use. Any other one on another network is never
        asked, and people are told: exits need no more than one node, and must not wait for somebody's witness."""
        if self._alone:
            (each,) = self._all
            each.admitted = False
            with self._sorted(each):
                await self._check(each.node)
            each.admitted = True
            return
        try:
            well = len(await self.every(_nothing))
        except (Unavailable, Rejected):
            well = 0
            if not any(each.refused for each in self._all):
                raise
        wrong = [(each, each.wrong) for each in self._all if each.wrong is not None]
        for each, error in wrong:
            if each is self._all[0] or len(wrong) > well:
                raise _named(each.name, error)

    # -- asking ----------------------------------------------------------------------------------------------------

    async def first(self, question: Callable[[_T], Awaitable[_R]], patience: float | None = None) -> _R:
        """The answer of the first node that has one: the healthy ones in their order, then the others. For what nothing
        rests on that can not be taken back. A node that says no is not the last word: an exit that one of them lets
        through goes on.

        patience: seconds after which the next one is asked too, if there is none; None to wait for each in turn.
        Raises what the nodes say: Rejected if one says no, Unavailable if none answers.
        """
        if self._alone:
            return await self._ask(self._all[0], question)
        waiting = deque(self._in_order())
        running: dict[asyncio.Task[_R], Endpoint[_T]] = {}
        errors: list[str] = []
        refusals: list[Rejected] = []
        done: set[asyncio.Task[_R]] = set()
        try:
            while waiting or running:
                if waiting and (not running or not done):
                    each = waiting.popleft()
                    running[asyncio.create_task(_coroutine(self._ask(each, question)))] = each
                done, _ = await asyncio.wait(
                    running, timeout=patience if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    each = running.pop(task)
                    try:
                        answer = task.result()
                    except Unavailable as error:
                        errors.append(f"{each.name}: {error}")
                        continue
                    except Rejected as error:
                        refusals.append(error)
                        continue
                    self._outrun(running.values())
                    return answer
        finally:
            await _cancel(running)
        if refusals:
            raise refusals[0]
        raise Unavailable("; ".join(errors) or _ALL_REFUSED)

    async def every(
        self, question: Callable[[_T], Awaitable[_R]], patience: float = PATIENCE_SECONDS
    ) -> list[tuple[Endpoint[_T], _R]]:
        """The answers of all nodes that have one, asked at once: at least one, for what needs a quorum. When `quorum`
        have answered, the others have `patience` seconds left, and longer below it; but nobody is waited for without
        end. Raises Unavailable, or Rejected if nobody says else."""
        if self._alone:
            return [(self._all[0], await self._ask(self._all[0], question))]
        running = {asyncio.create_task(_coroutine(self._ask(each, question))): each for each in self._to_ask()}
        answers: list[tuple[Endpoint[_T], _R]] = []
        errors: list[tuple[str, SwapdError]] = []
        until = self._now() + AT_ALL * patience
        try:
            while running:
                left = max(0.0, until - self._now())
                done, _ = await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._outrun(running.values())
                    errors += [(each.name, Unavailable(_TOO_SLOW)) for each in running.values()]
                    break
                for task in done:
                    each = running.pop(task)
                    try:
                        answers.append((each, task.result()))
                    except (Unavailable, Rejected) as error:
                        errors.append((each.name, error))
                if answers:
                    until = min(until, self._now() + patience * (1 if len(answers) >= self.quorum else BELOW_QUORUM))
        finally:
            await _cancel(running)
        if not answers:
            names = [each.name for each in self._all]
            errors.sort(key=lambda error: names.index(error[0]))
            words = "; ".join(f"{name}: {error}" for name, error in errors)
            refused = bool(errors) and all(isinstance(error, Rejected) for _, error in errors)
            raise Rejected(words) if refused else Unavailable(words or _ALL_REFUSED)
        return sorted(answers, key=lambda answer: self._all.index(answer[0]))

    async def hand_in(self, deed: Callable[[_T], Awaitable[None]]) -> None:
        """Have all nodes do something, the unhealthy ones too; returns as soon as one has, and goes on with the others.
        If none has, raises what says the least of what became of it: Unknown, else Rejected, else Unavailable."""
        if self._alone:
            return await self._ask(self._all[0], deed, is_deed=True)
        tasks = [
            asyncio.create_task(_coroutine(self._ask(each, deed, is_deed=True)))
            for each in self._all
            if not each.refused
        ]
        self._keep(tasks)
        errors: list[SwapdError] = []
        for done in asyncio.as_completed(tasks):
            try:
                return await done
            except (Unavailable, Rejected, Unknown) as error:
                errors.append(error)
        for kind in (Unknown, Rejected, Unavailable):
            for trouble in errors:
                if isinstance(trouble, kind):
                    raise trouble
        raise Unavailable(_ALL_REFUSED)

    async def _ask(self, each: Endpoint[_T], question: Callable[[_T], Awaitable[_R]], *, is_deed: bool = False) -> _R:
        """is_deed: it is done also while the node wants to be left alone, and may have been done where it fails."""
        left = each.pause - self._now()
        if not is_deed and left > 0:
            raise Unavailable(f"the node says that it is asked too much: asked again in {left:.0f} s")
        if not each.admitted:
            await self._admit(each)
        with self._sorted(each, is_deed=is_deed):
            answer = await question(each.node)
        self._answered(each)
        return answer

    @contextmanager
    def _sorted(self, each: Endpoint[_T], *, is_deed: bool = False) -> Iterator[None]:
        """Whatever goes wrong in here is noted. What a node says that can not be understood is no answer of its, and
        must not keep the answers of others from being heard."""
        try:
            yield
        except NoAnswer as error:
            self._failed(each, error)
            raise
        except Unknown as error:
            self._failed(each, NoAnswer(str(error)))
            raise
        except Rejected:
            self._answered(each)
            raise
        except SwapdError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a node makes our code stumble over
            # its text may hold anything that the node said (S9): the type, and where it was
            at = traceback.extract_tb(error.__traceback__)[-1]
            words = f"its answer makes no sense ({type(error).__name__}, {Path(at.filename).name}:{at.lineno})"
            self._failed(each, NoAnswer(words))
            raise (Unknown if is_deed else NoAnswer)(words) from None

    async def _admit(self, each: Endpoint[_T]) -> None:
        """Raises Unavailable for a node of another network, or one that says no to the question which one it is on."""
        try:
            with self._sorted(each):
                await self._check(each.node)
        except Rejected as error:
            self._failed(each, NoAnswer(str(error)))
            raise Unavailable(str(error)) from None
        except Invalid as error:
            refused = f"it is never asked, being no node of this network: expected {error.expected}"
            if self._alone:  # there is no other: it is looked at again whenever it is needed
                raise Unavailable(refused) from None
            each.refused, each.wrong = refused, error
            self._tell(each)
            raise Unavailable(refused) from None
        each.admitted = True

    @property
    def refused_first(self) -> str:
        """Why the preferred node is never asked, "" if it may be: for what is asked of it past all this (a wallet)."""
        return self._all[0].refused

    # -- whom to ask -----------------------------------------------------------------------------------------------

    def _in_order(self) -> list[Endpoint[_T]]:
        asked = [each for each in self._all if not each.refused]
        return sorted(asked, key=lambda each: (each.pause > self._now(), not each.answers.good, not each.tips.good))

    def _to_ask(self) -> list[Endpoint[_T]]:
        """Whoever answers, be it behind: what it says is weighed. If nobody does, everybody."""
        asked = [each for each in self._all if not each.refused]
        return [each for each in asked if each.answers.good and each.pause <= self._now()] or asked

    # -- how they behave -------------------------------------------------------------------------------------------

    def _answered(self, each: Endpoint[_T]) -> None:
        each.overloads = 0
        was = each.healthy
        each.answers.note(True)
        self._changed(each, was)

    def _failed(self, each: Endpoint[_T], error: NoAnswer) -> None:
        if error.overloaded:
            each.overloads += 1
            usual = FIRST_PAUSE * 2 ** (each.overloads - 2) if each.overloads > 1 else 0.0
            each.pause = self._now() + min(LONGEST_PAUSE, usual if error.pause is None else error.pause)
        was = each.healthy
        each.trouble = str(error)
        each.answers.note(False)
        if not error.overloaded and (self._alone or not each.answers.good):
            each.admitted = False  # whatever comes back in its place is looked at first
        self._changed(each, was)

    def _outrun(self, slow: Any) -> None:
        for each in slow:
            self._failed(each, NoAnswer("it is much slower than the others"))

    def _changed(self, each: Endpoint[_T], was: bool) -> None:
        if each.healthy != was:
            each.since = self._now()
            self._tell(each)

    def _tell(self, each: Endpoint[_T]) -> None:
        if not self._alone:
            why = {} if each.healthy else {"why": each.why}
            self._alarms.ring("node.passed_over", not each.healthy, of=each.name, node=each.name, **why)

    # -- where they are --------------------------------------------------------------------------------------------

    async def tips(
        self,
        tip_of: Callable[[_T], Awaitable[_R]],
        height_of: Callable[[_R], int],
        hash_at: Callable[[_T, int], Awaitable[str | None]],
    ) -> list[_R]:
        """The tips of the nodes that are where most are, and a look at those that are not. At least one.

        Whoever is far behind what `quorum` of them have reached is left out at once: a swap would be born too early.
        """
        answers = await self.every(tip_of)
        if not self._alone:

            async def height_at(node: _T) -> int:
                return height_of(await tip_of(node))

            self.compare_heights([(each, height_of(tip)) for each, tip in answers])
            await self._compare_forks(hash_at)
            self._probe_bad_ones(height_at)
        least = reached([height_of(tip) for _, tip in answers], self.quorum) - self._lag
        there = [(each, tip) for each, tip in answers if height_of(tip) >= least]
        return [tip for each, tip in there if each.tips.good] or [tip for _, tip in there]

    async def _compare_forks(self, hash_at: Callable[[_T, int], Awaitable[str | None]]) -> None:
        if self._height is None or self._now() < self._compared + FORK_SECONDS:
            return
        self._compared = self._now()
        height = max(0, self._height - self._lag)
        with suppress(Unavailable, Rejected):  # asked again in a moment, and nothing waits for it
            self.compare_hashes(await self.every(lambda node: hash_at(node, height)))

    def compare_heights(self, heights: Sequence[tuple[Endpoint[_T], int]]) -> None:
        """Each node's best block. Who is far behind, or was found on another fork, is not healthy."""
        if self._alone:
            return
        self._height = time_of([height for _, height in heights], self.quorum)
        for each, height in heights:
            self._placed(each, height)

    def _placed(self, each: Endpoint[_T], height: int) -> None:
        was = each.healthy
        each.behind = max(0, (height if self._height is None else self._height) - height)
        each.tips.note(each.behind <= self._lag and not each.forked)
        self._changed(each, was)

    def compare_hashes(self, hashes: Sequence[tuple[Endpoint[_T], str | None]]) -> None:
        """Each node's block at one height, deep enough for all. Who has another one than most is on another fork; where
        none is in the majority, nobody can tell who is."""
        often = Counter(block_hash for _, block_hash in hashes if block_hash is not None).most_common(1)
        if often and 2 * often[0][1] > len(hashes):
            for each, block_hash in hashes:
                each.forked = block_hash not in (None, often[0][0])
        self._split = bool(often) and not 2 * often[0][1] > sum(block_hash is not None for _, block_hash in hashes)

    def _probe_bad_ones(self, height_of: Callable[[_T], Awaitable[int]]) -> None:
        """Ask those that are passed over, now and then and without waiting for them."""
        for each in self._all:
            due = max(each.pause, each.probed + PROBE_SECONDS)
            if not self._alone and not each.refused and not each.answers.good and due <= self._now():
                each.probed = self._now()
                self._keep([asyncio.create_task(self._probe(each, height_of))])

    async def _probe(self, each: Endpoint[_T], height_of: Callable[[_T], Awaitable[int]]) -> None:
        with suppress(SwapdError):  # noted already, and asked again
            self._placed(each, await self._ask(each, height_of))

    def _keep(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Until they end: what nobody waits for is still looked at."""
        self._tasks |= {*tasks}
        for task in tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    # -- for people ------------------------------------------------------------------------------------------------

    @property
    def doubt(self) -> str:
        """Why nothing new may rest on these nodes, "" if it may."""
        if self._split:
            return "the nodes are on different forks, and none of these has most of them"
        well = [each for each in self._all if self._is_there(each)]
        if self._alone or len(well) >= self.quorum:
            return ""
        bad = "; ".join(f"{each.name}: {each.why}" for each in self._all if each not in well)
        return f"{self.quorum} nodes have to agree before anything new rests on them, and {len(well)} are well ({bad})"

    def _is_there(self, each: Endpoint[_T]) -> bool:
        """At this moment: for what is new one look is enough to wait for the next."""
        return each.healthy and each.behind <= self._lag

    def lines(self, settings: str) -> list[Health]:
        """One for each node, and one for the quorum. settings: the table that names them."""
        if self._alone:
            return []
        doubt, well = self.doubt, sum(self._is_there(each) for each in self._all)
        says = f"{well} of {len(self._all)} nodes are well, {self.quorum} have to agree"
        mend = "" if not doubt else "mend the nodes below: until then nothing new begins, and exits go on"
        return [Health("quorum", not doubt, says, mend), *(self._line(each, settings) for each in self._all)]

    def _line(self, each: Endpoint[_T], settings: str) -> Health:
        name = f"node {each.name}"
        age = f"for {self._now() - each.since:.0f} s"
        if each.healthy:
            at = f"{each.behind} blocks behind the best" if each.behind else "at the tip"
            last = f"; last trouble: {each.trouble}" if each.trouble else ""
            return Health(name, True, f"well {age}, {at}{last}")
        return Health(name, False, f"passed over {age}: {each.why}", f"mend the node, or take it out of {settings}")


def _named(name: str, error: Invalid) -> Invalid:
    """Which of several nodes it is about."""
    return Invalid(error.field, error.value, f"{error.expected} (the node at {name})")


async def _nothing(_: object) -> None:
    """Asked of a node, to have its network looked at."""


async def _coroutine(asked: Awaitable[_R]) -> _R:
    return await asked


async def _cancel(running: dict[asyncio.Task[_R], Any]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
