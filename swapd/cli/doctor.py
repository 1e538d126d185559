"""`swapd doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import click

from swapd.chains.base import Health, HtlcChain
from swapd.cli.context import Context, command, make_house, open_vault, require_bound
from swapd.cli.options import json_option
from swapd.cli.show import print_json, say
from swapd.coordinator.house import House
from swapd.errors import SwapdError, Unavailable
from swapd.settings import Settings
from swapd.store import Store
from swapd.vault import Vault

CLOCK_ALARM_SECONDS = 2 * 3600
"""How far a tip may be from this machine's clock: the furthest that Bitcoin lets a block's time be ahead."""


DAMAGED = (
    "all other swaps go on. `swapd backup` what there is, then bring the newest whole backup back with `swapd restore"
    " FILE --replace`; a damaged request or claim alone can wait until its swap has ended"
)


@click.command()
@json_option
@command
async def doctor(context: Context, as_json: bool) -> int:
    """Look at configuration, key file, database, nodes, clocks and funds. Exit code 1 if anything is wrong."""
    found = await examine(context)
    if as_json:
        print_json([{"name": h.name, "ok": h.ok, "says": h.says, "mend": h.mend} for h in found])
    else:
        for health in found:
            say(("ok  ", "green") if health.ok else ("bad ", "red"), f" {health.name}: {health.says}")
            if health.mend:
                say(f"     → {health.mend}")
    return 0 if all(health.ok for health in found) else 1


async def examine(context: Context) -> list[Health]:
    """Everything that can be looked at; what depends on something broken is left out."""
    try:
        settings = context.settings()
    except SwapdError as error:
        return [Health("configuration", False, str(error), "see config/default.toml for every setting")]
    found = [Health("configuration", True, str(context.config or "defaults"))]
    if settings.entry.halted:
        found.append(Health("entry", False, "halted: no new swap begins", "set entry.halted = false when it is over"))
    try:
        vault = await open_vault(settings)
    except SwapdError as error:
        return [*found, Health("key file", False, str(error), "`swapd init` makes one; docs/vault.md tells the rest")]
    with vault:
        found.append(Health("key file", True, f"seed {vault.fingerprint}"))
        return found + await _examine_rooms(settings, vault)


async def _examine_rooms(settings: Settings, vault: Vault) -> list[Health]:
    try:
        store = await Store.open(settings.database.url, vault)
    except SwapdError as error:
        return [Health("database", False, str(error), "`swapd init` makes it or brings it up to date")]
    try:
        found = [await _database(store, settings, vault)]
        house = make_house(settings, vault, store)
        try:
            each = await asyncio.gather(*(_chain(house, name) for name in house.markets))
        finally:
            for market in house.markets.values():
                await market.chain.close()
        return found + [health for healths in each for health in healths]
    finally:
        await store.close()


async def _database(store: Store, settings: Settings, vault: Vault) -> Health:
    try:
        await require_bound(store, settings, vault)
        async with store.read() as reading:
            head = await reading.verify_audit()
            damaged = await reading.damage()
    except SwapdError as error:
        return Health("database", False, str(error), "restore it from a backup; the chains and the seed hold the truth")
    if damaged:
        return Health("database", False, "; ".join(map(str, damaged)), DAMAGED)
    return Health("database", True, f"schema up to date, audit chain whole to entry {head.seq}")


async def _chain(house: House, name: str) -> list[Health]:
    chain = house.chain(name)
    refused = ""
    try:
        await chain.start()
    except Unavailable as error:
        return [Health(f"{name} node", False, str(error), f"start the node, or mend [chains.{name}]")]
    except SwapdError as error:
        refused = str(error)
    found, tip = _named(name, await chain.examine()), await _tip(name, chain)
    if tip.ok or all(health.ok for health in found):
        found.append(tip)  # a node of another network has said so already
    if refused and all(health.ok for health in found):
        found.append(Health(f"{name} start", False, refused, f"mend [chains.{name}]"))
    return found


def _named(name: str, healths: Sequence[Health]) -> list[Health]:
    return [Health(f"{name} {h.name.removeprefix(name).lstrip()}", h.ok, h.says, h.mend) for h in healths]


async def _tip(name: str, chain: HtlcChain) -> Health:
    try:
        tip = (await chain.clock()).tip
    except SwapdError as error:
        return Health(f"{name} tip", False, str(error), f"start the node, or mend [chains.{name}]")
    away = tip.time - int(time.time())
    ok = abs(away) <= CLOCK_ALARM_SECONDS
    mend = "" if ok else "check this machine's clock (NTP), and whether the node is still synchronising"
    return Health(f"{name} tip", ok, f"the tip's time is {away:+d} s from this machine's", mend)
