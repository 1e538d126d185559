"""`swapd run`: the daemon."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import click

from swapd.api.server import serving
from swapd.api.service import Service
from swapd.cli.context import Context, command, open_house
from swapd.cli.health import write_health
from swapd.coordinator.daemon import Daemon, Pace
from swapd.coordinator.house import House
from swapd.coordinator.receivers import Doors, Postman
from swapd.coordinator.webhooks import Deliverer, telling
from swapd.errors import Rejected
from swapd.settings import Settings
from swapd.telemetry.logs import log_as
from swapd.telemetry.telemetry import Telemetry
from swapd.telemetry.tracing import NO_TRACING, open_tracing
from swapd.vault.hardening import forbid_core_dumps
from swapd.watchtower.export import Packets


@click.command()
@command
async def run(context: Context) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = context.settings()
    log_as(settings.daemon.log_level, settings.daemon.log_format)
    forbid_core_dumps()
    with alone_in(settings.daemon.data_dir):
        await _run(settings)


async def _run(settings: Settings) -> None:
    async with watched(settings) as telemetry, open_house(settings, telemetry=telemetry) as house:
        daemon = make_daemon(settings, house, halted=settings.entry.halted)
        async with AsyncExitStack() as doors:
            if settings.api.enabled:
                service = Service(house, settings, daemon)
                deliverer = make_deliverer(service, daemon.worker)
                await doors.enter_async_context(telling(deliverer, daemon.stopping))
                await doors.enter_async_context(serving(service, daemon.stopping))
            await daemon.run()


def spare_from_collection() -> None:
    """Keep what is in memory out of the sight of Python's garbage collector. To go through ten thousand swaps takes it
    half a second, in which nothing else is done, and it would come again every few seconds."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def make_deliverer(service: Service, worker: str) -> Deliverer:
    settings = service.settings
    postman = Postman(Doors(settings.daemon.trusted_hosts), settings.webhooks.timeout_seconds)
    return Deliverer(service.house.store, service.feed, settings.webhooks, postman, worker)


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Telemetry]:
    """With tracing, if the settings want it; the last spans are handed over at the end."""
    url, share = settings.tracing.otlp_url, settings.tracing.share
    tracer = NO_TRACING if url is None else open_tracing(url, share)
    try:
        yield Telemetry(tracer=tracer)
    finally:
        await asyncio.to_thread(tracer.close)


def make_daemon(settings: Settings, house: House, *, halted: bool) -> Daemon:
    """One that ends in good order on SIGTERM and Ctrl-C."""
    daemon = Daemon(
        house,
        Pace(
            tick=settings.daemon.tick_seconds,
            sweep=settings.daemon.sweep_seconds,
            lease=settings.daemon.lease_seconds,
            stop=settings.daemon.stop_seconds,
        ),
        worker=settings.daemon.worker or socket.gethostname(),
        halted=halted,
        keeper=_packets(house, settings.watchtower.folder),
        tell=partial(write_health, settings.daemon.data_dir),
        settle=spare_from_collection,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, daemon.stop)
    return daemon


def _packets(house: House, folder: Path | None) -> Packets | None:
    return None if folder is None else Packets(house, folder)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One daemon in one data folder: a second would take the first one's leases for its own, as after a crash."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "daemon.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Rejected(f"another swapd is running in {folder}") from None
        yield
