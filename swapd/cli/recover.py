"""`swapd recover`: from the seed and the chains alone, back to every swap that is open, and on to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.cli.context import Context, command, open_house, open_vault, start_chains
from swapd.cli.init import make_database, make_seed
from swapd.cli.options import json_option
from swapd.cli.run import alone_in, make_daemon
from swapd.cli.show import amount, print_json, say, when
from swapd.coordinator.daemon import Daemon
from swapd.coordinator.house import House
from swapd.coordinator.recover import Recovered, Recovery
from swapd.errors import Invalid, SwapdError
from swapd.protocol.terms import Role, Wallet
from swapd.settings import Settings
from swapd.store import DamagedRow, Reading
from swapd.telemetry.logs import log_as
from swapd.vault import Vault
from swapd.vault.hardening import forbid_core_dumps

DAYS = 30
"""No swap is longer (`timelock.LONGEST_TIMELOCK`)."""

LOOK_SECONDS = 1


@click.command()
@click.option("--from-seed", is_flag=True, help="Yes: the database is lost, or must not be believed.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help=f"Day (UTC) on which the oldest lock may have been made; {DAYS} days ago if not given.",
)
@click.option("--find-only", is_flag=True, help="Show what there is, and change nothing.")
@json_option
@command
async def recover(context: Context, from_seed: bool, since: datetime | None, find_only: bool, as_json: bool) -> None:
    """Find all open legs by the seed's keys alone, and finish them. Asks for the 24 words if there is no key file.

    Nothing new is begun meanwhile. It ends when all are over; ended before by Ctrl-C, `swapd run` goes on with them.
    """
    if not from_seed:
        raise Invalid("--from-seed", "", "the flag: it searches the chains anew, and writes into an empty database")
    settings = context.settings()
    log_as(settings.daemon.log_level, settings.daemon.log_format, "stderr")
    forbid_core_dumps()
    start = since.replace(tzinfo=UTC) if since else datetime.now(UTC) - timedelta(days=DAYS)
    with alone_in(settings.daemon.data_dir):
        vault = await _prepare(settings, int(start.timestamp()))
        async with open_house(settings, vault) as house:
            await _recover(settings, house, int(start.timestamp()), find_only=find_only, as_json=as_json)


async def _prepare(settings: Settings, since: int) -> Vault:
    """Key file and database, as far as they are missing. Raises Invalid if the contract was forgotten, and names it."""
    if settings.vault.key_file.exists():
        vault = await open_vault(settings)
    else:
        vault = Vault(await make_seed(settings, restore=True), settings.daemon.network)
    try:
        await make_database(settings, vault)
        for name, chain in settings.enabled_chains().items():
            if isinstance(chain, EthereumSettings) and not chain.contract:
                await _name_contract(name, chain, vault, since)
    except BaseException:
        vault.close()
        raise
    return vault


async def _name_contract(name: str, settings: EthereumSettings, vault: Vault, since: int) -> None:
    chain = EthereumChain(name, settings, vault)
    try:
        found = await chain.contracts(since, lambda words: _tell(f"{name}: {words}"))
    finally:
        await chain.close()
    expected = " or ".join(found) if found else "an address; no contract like swapd's has a lock of this seed's account"
    raise Invalid(f"chains.{name}.contract", "", f"{expected}: write it into the configuration, and begin again")


async def _recover(settings: Settings, house: House, since: int, *, find_only: bool, as_json: bool) -> None:
    await start_chains(house)
    recovery = Recovery(house, _tell)
    found = await recovery.find(since)
    if not as_json:
        _show(found, house.clock())
    if not find_only and (going := await recovery.keep(found)):
        await _finish(settings, house, going)
        if not as_json:
            await _report(house, going)
    if as_json:
        print_json({"swaps": [_as_json(each) for each in found]})


async def _finish(settings: Settings, house: House, going: Sequence[str]) -> None:
    """The ordinary daemon, closed to everything new, until these have ended."""
    _tell(f"{len(going)} swaps are taken back; Ctrl-C is safe, and `swapd run` goes on with them")
    daemon = make_daemon(settings, house, halted=True)
    waiting = asyncio.create_task(_stop_when_over(house, going, daemon))
    try:
        await daemon.run()
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def _stop_when_over(house: House, going: Sequence[str], daemon: Daemon) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            async with house.store.read() as reading:
                left = [swap_id for swap_id in going if not await _is_over(reading, swap_id)]
        except SwapdError:
            continue  # the daemon says so itself, and tries again
        if not left:
            daemon.stop()
            return


async def _is_over(reading: Reading, swap_id: str) -> bool:
    """A swap whose row can not be read is not waited for: nothing goes on with it until that is mended."""
    try:
        row = await reading.swap(swap_id)
    except DamagedRow:
        return True
    return row.status.ended and swap_id not in await reading.unfinished()


async def _report(house: House, going: Sequence[str]) -> None:
    async with house.store.read() as reading:
        for swap_id in going:
            try:
                row = await reading.swap(swap_id)
            except DamagedRow as error:
                say(f"{swap_id} is not over: {error}")
            else:
                say(f"{swap_id} {row.status.value}: {row.note}")


def _tell(words: str) -> None:
    click.echo(words, err=True)


def _show(found: Sequence[Recovered], now: int) -> None:
    if not found:
        say("no swap of this seed was found")
    for each in found:
        say(f"\n{each.terms.swap_id} {each.status.value}: {each.next_step}")
        for leg in each.terms.legs:
            if leg.role is each.missing:
                say(f"  {leg.role.value} leg: not found; a stand-in on {leg.terms.chain} takes its place")
                continue
            whose = "ours" if leg.funded_by is Wallet.HOT else "for us"
            worth = amount(leg.terms.amount, leg.terms.asset)
            back = when(leg.terms.timelock, now)
            say(f"  {leg.role.value} leg on {leg.terms.chain}: {worth}, {whose}, can go back {back}")
        if each.kept and not each.status.ended:
            say(f"  {each.kept}")


def _as_json(each: Recovered) -> dict[str, Any]:
    return {
        "swap_id": each.terms.swap_id,
        "status": each.status.value,
        "next_step": each.next_step,
        "secret": each.terms.secret.value,
        "missing": each.missing.value if each.missing else None,
        "kept": each.kept,
        "legs": {
            role.value: {
                "chain": leg.terms.chain,
                "asset": leg.terms.asset.symbol,
                "amount": str(leg.terms.amount),
                "timelock": leg.terms.timelock,
                "own": leg.own,
            }
            for role in Role
            if role is not each.missing and (leg := each.terms.leg(role))
        },
    }
