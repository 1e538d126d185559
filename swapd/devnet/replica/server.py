"""A replica as a server on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from swapd.devnet.ports import LOOPBACK
from swapd.devnet.replica.admin import Admin
from swapd.devnet.replica.http_interface import HttpInterface
from swapd.devnet.replica.replica import Replica
from swapd.devnet.replica.rounds import Rounds

_SHUTDOWN_SECONDS = 3


def application(replica: Replica, folder: Path, round_seconds: float = 0.0) -> Starlette:
    """The IC's interface and the admin door. The replica is saved to `folder` when the application ends."""
    rounds = Rounds(replica, round_seconds)

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        rounds.start()
        yield
        rounds.stop()
        replica.save(folder)

    return Starlette(routes=[*HttpInterface(replica, rounds).routes(), *Admin(replica, folder).routes()], lifespan=life)


def serve(replica: Replica, port: int, folder: Path, round_seconds: float = 0.0) -> None:
    """Serve until SIGTERM or SIGINT, then save."""
    config = uvicorn.Config(
        application(replica, folder, round_seconds),
        host=LOOPBACK,
        port=port,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run()
