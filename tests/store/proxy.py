"""Between swapd and its PostgreSQL server: a wire that can break at a commit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto

from sqlalchemy import make_url

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of PostgreSQL's protocol (53.7) that asks for it."""


class At(Enum):
    NOTHING = auto()
    REQUEST = auto()
    """The connection breaks before the server hears of the commit."""
    ANSWER = auto()
    """The server has committed, and the connection breaks before swapd hears of it."""
    SILENCE = auto()
    """The server hears of it, and the answer never comes, while the connection stays."""


class Wire:
    """async with Wire(url) as wire: ... wire.url; wire.breaks = At.ANSWER"""

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self.breaks = At.NOTHING
        self.frozen = False
        """Whether the server has stopped to answer anything at all, while its connections stay."""
        self.broke = 0
        self._listening: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        port = self._listening.sockets[0].getsockname()[1]
        return self._server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    async def __aenter__(self) -> Wire:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, down: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        answers, forward = await asyncio.open_connection(self._server.host, self._server.port)
        line = _Line(self, back)
        answering = asyncio.create_task(line.answer(answers))
        with suppress(ConnectionError):
            while part := await down.read(65_536):
                if COMMIT in part and self.breaks is not At.NOTHING:
                    self.broke += 1
                    if self.breaks is At.REQUEST:
                        break
                    line.cut, line.silent = self.breaks is At.ANSWER, self.breaks is At.SILENCE
                    self.breaks = At.NOTHING
                forward.write(part)
                await forward.drain()
        self.breaks = At.NOTHING
        forward.close()
        back.close()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


class _Line:
    def __init__(self, wire: Wire, back: asyncio.StreamWriter) -> None:
        self._wire = wire
        self._back = back
        self.cut = False
        self.silent = False

    async def answer(self, answers: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while part := await answers.read(65_536):
                if self.cut:
                    break  # the server has answered, so it has committed
                if not self.silent and not self._wire.frozen:
                    self._back.write(part)
                    await self._back.drain()
        self._back.close()
