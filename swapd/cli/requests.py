"""`swapd requests`: what marketplaces asked for on a chain, and what they were told."""

from __future__ import annotations

import click

from swapd.cli.context import Context, command, open_house
from swapd.cli.options import json_option
from swapd.cli.show import console, print_json, request_dict, requests_table
from swapd.store import RequestState


@click.command()
@click.option("--state", type=click.Choice([s.value for s in RequestState]), multiple=True)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@command
async def requests(context: Context, state: tuple[str, ...], limit: int, as_json: bool) -> None:
    """The newest requests for swaps from marketplaces on a chain. Amounts are in smallest units, as they were asked."""
    async with open_house(context.settings()) as house:
        async with house.store.read() as reading:
            found = await reading.requests(states=[RequestState(s) for s in state] or None, limit=limit)
        if as_json:
            print_json([request_dict(row) for row in found.requests])
        else:
            console.print(requests_table(found.requests))
        for damaged in found.damaged:
            click.echo(str(damaged), err=True)
