"""`swapd run`: the daemon."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket

import click
import structlog

from swapd.cli.context import Context, command, open_house
from swapd.coordinator.daemon import Daemon, Pace
from swapd.settings import Settings
from swapd.vault.hardening import forbid_core_dumps


@click.command()
@command
async def run(context: Context) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = context.settings()
    _log_as(settings)
    forbid_core_dumps()
    async with open_house(settings) as house:
        daemon = Daemon(
            house,
            Pace(
                tick=settings.daemon.tick_seconds,
                sweep=settings.daemon.sweep_seconds,
                lease=settings.daemon.lease_seconds,
                stop=settings.daemon.stop_seconds,
            ),
            worker=settings.daemon.worker or f"{socket.gethostname()}-{os.getpid()}",
            halted=settings.entry.halted,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, daemon.stop)
        await daemon.run()


def _log_as(settings: Settings) -> None:
    level = logging.getLevelNamesMapping()[settings.daemon.log_level.upper()]
    # libraries speak up only when something is wrong; swapd's own lines are structlog's
    logging.basicConfig(level=max(level, logging.WARNING), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a look that takes longer than its pause is no news
    json_lines = settings.daemon.log_format == "json"
    renderer = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # without local variables: a frame of ours may hold a secret (rule S9)
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
    )
