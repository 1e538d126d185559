"""`swapd keys`: who may use the API. Works on the database itself, so it needs no server and no key."""

from __future__ import annotations

import re
from typing import Any

import click
from rich.table import Table

from swapd.api import keys as api_keys
from swapd.api.routes.keys import told
from swapd.cli.context import Context, command, open_house
from swapd.cli.options import json_option
from swapd.cli.show import console, print_json, say
from swapd.coordinator.house import House
from swapd.errors import Invalid
from swapd.store import KeyRole, KeyRow, KeyState

ACTOR = "operator"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Period(click.ParamType[int]):
    """A time such as 90d, 12h, 30m or 45s, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})([smhd])", str(value))
        if found is None:
            field = param.name if param is not None and param.name else self.name
            raise click.ClickException(str(Invalid(field, value, "a time such as 90d, 12h, 30m or 45s")))
        return int(found[1]) * _UNITS[found[2]]


PERIOD = Period()
expires_option = click.option("--expires-in", type=PERIOD, help="Such as 90d; without it, never.")


@click.group()
def keys() -> None:
    """Who may use the API, and for what."""


@keys.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in KeyRole]), required=True)
@click.option(
    "--chain", "chains", multiple=True, help="A chain it may use; several times for several. Without it, all."
)
@click.option("--rate", type=int, help="Requests a minute. Without it, as api.limits says.")
@click.option("--signed", is_flag=True, help="Each of its requests must bear a signature.")
@expires_option
@json_option
@command
async def issue(context: Context, /, name: str, as_json: bool, expires_in: int | None, **asked: Any) -> None:
    """A new key for NAME. Its token is printed once and never again."""
    settings = context.settings()
    async with open_house(settings) as house:
        row, token = await api_keys.issue(
            house.store,
            ACTOR,
            name,
            KeyRole(asked["role"]),
            chains=asked["chains"],
            known_chains=tuple(settings.chains),
            rate=asked["rate"],
            signed=asked["signed"],
            expires_in=expires_in,
        )
        _show_token(house, row, token, as_json)


@keys.command("list")
@json_option
@command
async def list_(context: Context, as_json: bool) -> None:
    """Every key that there ever was."""
    async with open_house(context.settings()) as house:
        async with house.store.read() as reading:
            found = await reading.keys()
        shown = [told(row, house.clock()) for row in found]
    if as_json:
        print_json([each.model_dump(mode="json") for each in shown])
        return
    table = Table("id", "name", "role", "state", "chains", "expires", "last used", box=None)
    for each in shown:
        table.add_row(
            each.id,
            each.name,
            each.role.value,
            each.state.value,
            ", ".join(each.networks) or "all",
            each.expires.rfc3339 if each.expires else "never",
            each.last_used.rfc3339 if each.last_used else "never",
            style=None if each.state is KeyState.ACTIVE else "dim",
        )
    console.print(table)


@keys.command()
@click.argument("key")
@json_option
@command
async def revoke(context: Context, key: str, as_json: bool) -> None:
    """Close KEY, an id or a name, at once and for ever."""
    async with open_house(context.settings()) as house:
        row = await api_keys.revoke(house.store, ACTOR, key)
        if as_json:
            print_json(told(row, house.clock()).model_dump(mode="json"))
        else:
            say(f"{row.name} ({row.id}) is revoked")


@keys.command()
@click.argument("key")
@click.option(
    "--grace", type=PERIOD, required=True, help="For how long the old secret stays good; 0s for one that leaked."
)
@expires_option
@json_option
@command
async def rotate(context: Context, key: str, grace: int, expires_in: int | None, as_json: bool) -> None:
    """A new secret for KEY, an id or a name, printed once and never again."""
    async with open_house(context.settings()) as house:
        row, token = await api_keys.rotate(house.store, ACTOR, key, grace=grace, expires_in=expires_in)
        _show_token(house, row, token, as_json)


def _show_token(house: House, row: KeyRow, token: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": told(row, house.clock()).model_dump(mode="json"), "token": token})
        return
    click.echo(token)
    click.echo(f"{row.name}, {row.role.value}: keep it safe, it is not shown again", err=True)
