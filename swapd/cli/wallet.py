"""`swapd wallet`: where to send money, and how much there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click
from rich.table import Table

from swapd.chains.base import HtlcChain
from swapd.cli.context import Context, command, open_house, start_chains
from swapd.cli.options import json_option
from swapd.cli.show import amount, balances_dict, console, exact, print_json, say
from swapd.coordinator.house import House


@click.group()
def wallet() -> None:
    """Addresses and balances of swapd's own wallets."""


@wallet.command()
@json_option
@command
async def addresses(context: Context, as_json: bool) -> None:
    """Where to send money so that swapd can use it."""
    async with open_house(context.settings()) as house:
        found = {name: dict(await _chain(house, name).addresses()) for name in house.markets}
    if as_json:
        print_json(found)
        return
    for chain, labelled in found.items():
        for label, address in labelled.items():
            say(f"{chain}  {label}  {address}")


@wallet.command()
@json_option
@command
async def balances(context: Context, as_json: bool) -> None:
    """What can be spent now, what of it is promised to swaps, in smallest units with --json."""
    async with open_house(context.settings()) as house:
        await start_chains(house)
        each = await asyncio.gather(*(_chain(house, name).balances() for name in house.markets))
        found: dict[str, Mapping[str, int]] = dict(zip(house.markets, each, strict=True))
        async with house.store.read() as reading:
            promised = await reading.reserved(house.clock())
        assets = {symbol: asset for name in house.markets for symbol, asset in _chain(house, name).assets.items()}
    if as_json:
        print_json({"balances": balances_dict(found), "promised": {s: str(v) for s, v in promised.items()}})
        return
    table = Table("chain", "asset", exact("spendable"), exact("promised to swaps"))
    for chain, balance in found.items():
        for symbol, value in balance.items():
            asset = assets[symbol]
            table.add_row(chain, symbol, amount(value, asset), amount(promised.get(symbol, 0), asset))
    console.print(table)


def _chain(house: House, name: str) -> HtlcChain:
    return house.chain(name)
