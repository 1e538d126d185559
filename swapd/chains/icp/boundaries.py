"""Several boundary nodes: one that is silent, or lies, keeps nobody from the network.

Questions go to one node at a time, to the next when it fails. Calls go to all of them at once: what one of them keeps
to itself, another hands on, and the network takes the same request once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from swapd.chains.calls import Observer
from swapd.chains.icp.transport import OVERLOADED, Answer, Transport, Unanswered
from swapd.errors import Rejected, SwapdError, Unavailable, Unknown


class Boundaries:
    """urls: of the API, without the path; the first one is asked first. timeout: seconds for one request."""

    def __init__(self, urls: Sequence[str], timeout: float) -> None:
        self._nodes = [Transport(url, timeout) for url in urls]
        self._handing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._handing:
            task.cancel()
        await asyncio.gather(*self._handing, return_exceptions=True)
        for node in self._nodes:
            await node.close()

    def observe(self, observer: Observer) -> None:
        for node in self._nodes:
            node.observer = observer

    async def ask(self, path: str, body: bytes) -> Answer:
        """The first answer that is one. Raises Unanswered if no node gives any."""
        answer: Answer | None = None
        trouble: Unanswered | None = None
        for node in tuple(self._nodes):
            try:
                answer = await node.post(path, body)
            except Unanswered as error:
                trouble = error
            else:
                if answer.status < 500 and answer.status != OVERLOADED:
                    return answer
            self._turn(node)
        if answer is None:
            raise trouble or Unanswered("no node is configured", sent=False)
        return answer

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """Around what is made of answers: a node whose answer is none, or a no that nobody signs, or not proven, is
        asked last the next time. Within another such block, or beside one, it counts once."""
        first = self._nodes[0]
        try:
            yield
        except (Unavailable, Rejected):
            self._turn(first)
            raise

    async def hand_in(self, hand: Callable[[Transport], Coroutine[Any, Any, None]]) -> None:
        """`hand` a call to all nodes; returns as soon as one has taken it, and goes on with the others. If none has,
        raises what says the least of its fate: Unknown, else Rejected, else Unavailable."""
        tasks = [asyncio.create_task(hand(node)) for node in self._nodes]
        self._handing |= {*tasks}
        for task in tasks:
            task.add_done_callback(self._handed)
        errors: list[SwapdError] = []
        for done in asyncio.as_completed(tasks):
            try:
                await done
            except (Unavailable, Rejected, Unknown) as error:
                errors.append(error)
            else:
                return
        for kind in (Unknown, Rejected, Unavailable):
            for trouble in errors:
                if isinstance(trouble, kind):
                    raise trouble

    def _handed(self, task: asyncio.Task[None]) -> None:
        self._handing.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: whoever asked was told of another node's answer

    def _turn(self, node: Transport) -> None:
        """To the end with it, unless somebody has done so meanwhile: else two who fail at once would ask it again."""
        if self._nodes[0] is node:
            self._nodes = [*self._nodes[1:], node]
