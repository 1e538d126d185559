"""The server: uvicorn, in the daemon's own process and loop.

It never stands in the daemon's way: a port that is taken, a certificate that can not be read or a mistake in the server
is one line in the log, and another try after a while; exits go out meanwhile (rule S8)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog
import uvicorn

from swapd.api.app import make_app
from swapd.api.connection import protocol
from swapd.api.service import Service
from swapd.errors import SwapdError

log = structlog.get_logger()

BACKLOG = 128
KEEP_ALIVE_SECONDS = 30
"""For which a connection may be silent between two requests."""

GRACE_SECONDS = 5
"""For requests that are under way when it stops. Below `daemon.stop_seconds`; whatever is cut off is safe at any
line."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two tries to listen."""


@asynccontextmanager
async def serving(service: Service, stopping: asyncio.Event) -> AsyncIterator[None]:
    """The API, if the settings want one, until `stopping` is set or the block ends."""
    if not service.settings.api.enabled:
        yield
        return
    keeping = asyncio.create_task(service.keep())
    server = asyncio.create_task(_serve(service, stopping))
    try:
        yield
    finally:
        stopping.set()
        _, late = await asyncio.wait({server}, timeout=2 * GRACE_SECONDS)
        for task in (keeping, *late):
            task.cancel()
        await asyncio.gather(keeping, server, return_exceptions=True)
        with suppress(SwapdError):  # when keys were last used is not worth a word
            await service.uses.write(service.house.store)


async def _serve(service: Service, stopping: asyncio.Event) -> None:
    pause = FIRST_PAUSE
    while not stopping.is_set():
        began = asyncio.get_running_loop().time()
        try:
            await _listen(service, stopping)
        except OSError as error:  # ssl.SSLError is one
            log.error("api.not_listening", at=_where(service), reason=error.strerror or str(error), again_in=pause)
        except Exception:  # a mistake of ours here must not end the daemon
            log.exception("api.mistake", again_in=pause)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _listen(service: Service, stopping: asyncio.Event) -> None:
    """Until `stopping`. Raises OSError for an address that is taken or not ours, and for files that can not be read."""
    api = service.settings.api
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    listening = socket.create_server((api.host, api.port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    # asyncio asks for it only where the protocol is named: else a body waits 40 ms for the client to confirm the head
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        server = _Server(_config(service))
        log.info("api.listening", at=_where(service, listening.getsockname()[1]))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        told = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            server.should_exit = True
            _, late = await asyncio.wait({running}, timeout=GRACE_SECONDS + 2)
            for task in late:
                task.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled():
            running.result()
    finally:
        listening.close()


def _config(service: Service) -> uvicorn.Config:
    api = service.settings.api
    config = uvicorn.Config(
        make_app(service),
        http=protocol(api.body_seconds, api.limits.connections_max),  # type: ignore[arg-type]
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        proxy_headers=bool(api.trusted_proxies),
        forwarded_allow_ips=list(api.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=2
        * api.header_bytes,  # so that the doors can still say in good form what is wrong
        ssl_certfile=None if api.tls_certificate is None else str(api.tls_certificate),
        ssl_keyfile=None if api.tls_key is None else str(api.tls_key),
    )
    config.load()
    return config


def _where(service: Service, port: int | None = None) -> str:
    api = service.settings.api
    scheme = "https" if api.tls_certificate else "http"
    host = f"[{api.host}]" if ":" in api.host else api.host
    return f"{scheme}://{host}:{api.port if port is None else port}"


class _Server(uvicorn.Server):
    """One that leaves signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
