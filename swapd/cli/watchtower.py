"""`swapd watchtower`: a second machine that finishes swaps when the first one is gone. See docs/watchtower.md."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import click

from swapd.chains.base import Health
from swapd.chains.registry import REGISTRY
from swapd.cli.context import Context, command, open_house, start_chains
from swapd.cli.options import json_option
from swapd.cli.run import alone_in
from swapd.cli.show import print_json, say
from swapd.errors import Rejected, SwapdError
from swapd.settings import Settings
from swapd.telemetry.logs import log_as
from swapd.vault import Vault
from swapd.vault.hardening import forbid_core_dumps
from swapd.vault.throwaway import throwaway_vault
from swapd.watchtower import report
from swapd.watchtower.export import Packets, is_over, require_writable
from swapd.watchtower.shelf import Shelf
from swapd.watchtower.state import States
from swapd.watchtower.tower import Tower

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def watchtower() -> None:
    """A second machine, without swapd's keys, that finishes swaps when the first one is gone."""


@watchtower.command()
@click.option("--packets", type=FOLDER, required=True, help="The folder that is synced from the machine that trades.")
@command
async def run(context: Context, packets: Path) -> None:
    """Send the refunds and claims that are due, until SIGTERM or Ctrl-C. Listens nowhere."""
    settings = context.settings()
    log_as(settings.daemon.log_level, settings.daemon.log_format)
    forbid_core_dumps()
    home = settings.daemon.data_dir / "watchtower"
    with alone_in(home):
        async with open_tower(settings, packets, home) as (tower, vault):
            if tower.has_gas:
                click.echo(f"gas account on Ethereum, to be funded: {vault.ethereum_address}")
            else:
                click.echo("no gas account: what is due on Ethereum is told, and sent by nobody")
            stopped = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
            await tower.run(settings.watchtower.look_seconds, stopped)


@watchtower.command()
@click.argument("packets", type=FOLDER)
@json_option
@command
async def check(context: Context, packets: Path, as_json: bool) -> int:
    """Say what a watchtower could do for each packet now, and what not. Sends nothing; exit code 1 if anything is
    wrong."""
    settings = context.settings()
    (settings.daemon.data_dir / "watchtower").mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        async with open_tower(settings, packets, Path(home)) as (tower, vault):
            await tower.look(act=False)
            found = await _found(tower, vault)
            if tower.shelf.trouble:
                raise Rejected(tower.shelf.trouble)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            say(("ok  ", "green") if each.ok else ("bad ", "red"), f"{each.name}: {each.says}")
            if each.mend:
                say(f"     → {each.mend}")
    return 0 if all(each.ok for each in found) else 1


@watchtower.command()
@click.argument("packets", type=FOLDER)
@json_option
@command
async def export(context: Context, packets: Path, as_json: bool) -> None:
    """On the machine that trades: write a packet for every open swap. The daemon does it by itself with
    watchtower.folder."""
    require_writable(packets)
    async with open_house(context.settings()) as house:
        await start_chains(house)
        writer = Packets(house, packets)
        async with house.store.read() as reading:
            found = await reading.open_swaps()
            rows = [row for row in found.swaps if not is_over(row) or await reading.lock_under_way(row.id)]
        wrong = [str(damaged) for damaged in found.damaged]
        for row in rows:
            try:
                await writer.write(row)
            except SwapdError as error:
                wrong.append(f"swap {row.id}: {error}")
    if as_json:
        print_json({"packets": len(rows), "folder": str(packets), "wrong": wrong})
    else:
        click.echo(f"{len(rows)} packets in {packets}")
    if wrong:
        raise Rejected("; ".join(wrong))


@asynccontextmanager
async def open_tower(settings: Settings, packets: Path, home: Path) -> AsyncIterator[tuple[Tower, Vault]]:
    """home: where it keeps its copies and what it sent. Its vault is not swapd's: it guards gas, or nothing."""
    key_file = settings.watchtower.gas_key_file
    with throwaway_vault(key_file, settings.daemon.network) as vault:
        tower = Tower(
            chains={
                name: REGISTRY[name].make(name, REGISTRY[name].watching(chain), vault)
                for name, chain in settings.enabled_chains().items()
            },
            shelf=Shelf(packets, home / "packets"),
            # what was sent by another key can not be followed with this one
            states=States(home / (f"sent-{vault.fingerprint}" if key_file else "seen")),
            grace=settings.watchtower.grace_seconds,
            has_gas=key_file is not None,
        )
        try:
            yield tower, vault
        finally:
            await tower.close()


async def _found(tower: Tower, vault: Vault) -> list[Health]:
    """The tower's own health, then what it can do for each packet."""
    found = [Health("gas account on Ethereum", True, vault.ethereum_address)] if tower.has_gas else []
    for name, healths in (await tower.examine()).items():
        found += [replace(health, name=f"{name} {health.name}") for health in healths]
    for standing in tower.standings.values():
        lines = report.lines(standing, tower.chains, has_gas=tower.has_gas)
        found += [Health(f"packet {standing.packet.id}", ok, words) for ok, words in lines]
    return found + [Health(f"packet {name}", False, why) for name, why in tower.shelf.bad.items()]
