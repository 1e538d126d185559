"""`swapd`: the command and its groups."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from swapd.cli.audit import audit
from swapd.cli.backup import backup, restore
from swapd.cli.context import CONFIG_VARIABLE, Context
from swapd.cli.contract import contract
from swapd.cli.devnet import devnet
from swapd.cli.doctor import doctor
from swapd.cli.health import health
from swapd.cli.init import init
from swapd.cli.keys import keys
from swapd.cli.recover import recover
from swapd.cli.requests import requests
from swapd.cli.run import run
from swapd.cli.swap import swap
from swapd.cli.timelocks import timelocks
from swapd.cli.wallet import wallet
from swapd.cli.watchtower import watchtower
from swapd.telemetry.logs import log_lines

RECURSION_LIMIT = 1_000
"""Python's own. py_ecc, which comes with web3, raises it to 100,000 when imported, and then a deeply nested answer of a
node overflows the stack and kills the process. Nothing here needs it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar=CONFIG_VARIABLE,
    help="The configuration file; without it, the defaults alone. See config/default.toml for every setting.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Atomic swaps between chains, with your own nodes and your own keys."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    # a command's answer has standard output for itself; `run` says what of its log goes where
    log_lines("info", "text", "stderr")
    context.obj = Context(config)


COMMANDS = (
    *(init, run, keys, swap, requests, wallet, timelocks, contract),
    *(doctor, health, audit, backup, restore, recover, watchtower, devnet),
)
for each in COMMANDS:
    main.add_command(each)


if __name__ == "__main__":
    main()
