"""`swapd timelocks`: how long a swap of two assets takes at the least, and why."""

from __future__ import annotations

import time

import click
from rich.table import Table

from swapd.chains.settings import ChainSettings
from swapd.cli.context import Context, command
from swapd.cli.options import AMOUNT, json_option, wallets
from swapd.cli.show import console, print_json
from swapd.errors import Invalid
from swapd.protocol.terms import Wallet
from swapd.protocol.timelock import LegTiming, plan
from swapd.settings import Settings, timing_profile


@click.command()
@click.argument("give")
@click.argument("get")
@click.option("--give-amount", type=AMOUNT, help="Smallest units; without it, the largest allowed amount.")
@click.option("--get-amount", type=AMOUNT, help="Smallest units; without it, the largest allowed amount.")
@click.option("--initiator", type=wallets, default="hot", show_default=True)
@click.option("--participant", type=wallets, default="external", show_default=True)
@click.option("--explain", is_flag=True, help="Show every second and its reason.")
@json_option
@command
async def timelocks(
    context: Context,
    give: str,
    get: str,
    give_amount: int | None,
    get_amount: int | None,
    initiator: str,
    participant: str,
    explain: bool,
    as_json: bool,
) -> None:
    """The shortest safe timelocks for GIVE (initiator leg) against GET (participant leg)."""
    settings = context.settings()
    first = _timing(settings, "give", give, give_amount, Wallet(initiator))
    second = _timing(settings, "get", get, get_amount, Wallet(participant))
    if first.profile.chain == second.profile.chain:
        raise Invalid("get", get, f"an asset on another chain than {first.profile.chain}")
    made = plan(int(time.time()), first, second)
    now = made.initiator_timelock - sum(line.seconds for line in made.lines)
    if as_json:
        print_json(
            {
                "reveal_by": made.reveal_by - now,
                "participant_timelock": made.participant_timelock - now,
                "initiator_timelock": made.initiator_timelock - now,
                "lines": [{"name": x.name, "seconds": x.seconds, "at": x.at, "why": x.why} for x in made.lines],
            }
        )
        return
    if explain:
        table = Table("step", "seconds", "at", "why", title=f"{give} → {get}, from now")
        for line in made.lines:
            moment = "" if line.at is None else _duration(line.at)
            style = "bold" if line.at is not None else ""
            table.add_row(line.name, "" if line.at is not None else str(line.seconds), moment, line.why, style=style)
        console.print(table)
    console.print(f"T_p, participant leg on {second.profile.chain}: {_duration(made.participant_timelock - now)}")
    console.print(f"T_i, initiator leg on {first.profile.chain}: {_duration(made.initiator_timelock - now)}")


def _timing(settings: Settings, field: str, symbol: str, value: int | None, wallet: Wallet) -> LegTiming:
    name, chain = _chain_of(settings, field, symbol)
    asset = chain.assets[symbol]
    value = asset.maximum if value is None else value
    if not asset.minimum <= value <= asset.maximum:
        expected = f"{asset.minimum} to {asset.maximum} of the smallest unit of {symbol}"
        raise Invalid(f"{field}_amount", value, expected)
    return LegTiming(timing_profile(name, chain.timing), asset.confirmations(value), wallet)


def _chain_of(settings: Settings, field: str, symbol: str) -> tuple[str, ChainSettings]:
    for name, chain in settings.enabled_chains().items():
        if symbol in chain.assets:
            return name, chain
    known = sorted(symbol for chain in settings.enabled_chains().values() for symbol in chain.assets)
    raise Invalid(field, symbol, f"one of the configured assets: {', '.join(known)}")


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d} h"
