"""`swapd devnet`: real nodes on this machine, for trying things out."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from swapd.cli.options import json_option
from swapd.cli.show import print_json, say
from swapd.devnet import supervisor
from swapd.devnet.state import DevnetState
from swapd.errors import SwapdError

P = ParamSpec("P")

folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".cache/devnet/nodes"),
    show_default=True,
    help="Where the nodes keep everything.",
)


def _plain_errors(function: Callable[P, None]) -> Callable[P, None]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except SwapdError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group()
def devnet() -> None:
    """bitcoind in regtest, anvil and a replica of the Internet Computer. Play money only."""


@devnet.command()
@folder_option
@click.option("--detach", is_flag=True, help="Return when the nodes are ready, and leave them running.")
@click.option("--block-seconds", type=click.FloatRange(0.1, 600), default=1.0, show_default=True)
@json_option
@_plain_errors
def up(folder: Path, detach: bool, block_seconds: float, as_json: bool) -> None:
    """Start the nodes; Ctrl-C or `swapd devnet down` ends them. Prints the variables that point swapd at them."""
    announce = _announce_json if as_json else _announce
    supervisor.up(folder, detach=detach, block_seconds=block_seconds, announce=announce)


@devnet.command()
@folder_option
@json_option
@_plain_errors
def down(folder: Path, as_json: bool) -> None:
    """End the nodes that were started in the folder."""
    stopped = supervisor.down(folder)
    if as_json:
        print_json({"stopped": stopped})
    else:
        say("stopped" if stopped else "nothing was running")


@devnet.command()
@folder_option
@json_option
@_plain_errors
def status(folder: Path, as_json: bool) -> None:
    """What runs there. Exit code 1 if something that should run does not."""
    found = supervisor.status(folder)
    nodes = [] if found is None else found.nodes
    if as_json:
        print_json(
            {
                "running": found is not None and found.healthy,
                "nodes": [
                    {"name": n.name, "running": n.running, "height": n.height, "rpc_url": n.rpc_url} for n in nodes
                ],
            }
        )
    elif found is None:
        say("nothing is running")
    else:
        for node in nodes:
            running = ("running", "green") if node.running else ("not running", "red")
            say(f"{node.name}: ", running, f", height {node.height}, {node.rpc_url}")
    if found is None or not found.healthy:
        raise SystemExit(1)


def _announce(state: DevnetState) -> None:
    say("devnet is running; to point swapd at it:")
    for name, value in state.variables().items():
        say(f"  export {name}={shlex.quote(value)}")


def _announce_json(state: DevnetState) -> None:
    print_json({"environment": state.variables()})
