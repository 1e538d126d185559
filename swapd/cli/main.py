"""`swapd`: the command and its groups."""

from __future__ import annotations

from pathlib import Path

import click

from swapd.cli.context import CONFIG_VARIABLE, Context
from swapd.cli.contract import contract
from swapd.cli.devnet import devnet
from swapd.cli.doctor import doctor
from swapd.cli.init import init
from swapd.cli.run import run
from swapd.cli.swap import swap
from swapd.cli.timelocks import timelocks
from swapd.cli.wallet import wallet


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
    context.obj = Context(config)


for each in (init, run, swap, wallet, timelocks, contract, devnet, doctor):
    main.add_command(each)


if __name__ == "__main__":
    main()
