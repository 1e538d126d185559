"""`swapd contract`: the HTLC contract on Ethereum."""

from __future__ import annotations

import click

from swapd.chains.ethereum.deploy import deploy as deploy_contract
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.cli.context import Context, command, open_vault
from swapd.cli.options import json_option
from swapd.cli.show import print_json, say
from swapd.errors import Invalid


@click.group()
def contract() -> None:
    """The contract that holds Ethereum legs. Nobody owns it, and anybody's deployment of it is as good as another."""


@contract.command()
@click.option("--chain", default="ethereum", show_default=True, help="The table of the configuration it is for.")
@click.option("--within", default=300.0, show_default=True, help="Seconds to wait for its block.")
@json_option
@command
async def deploy(context: Context, chain: str, within: float, as_json: bool) -> None:
    """Deploy it from swapd's own account, check the code on chain, and print what belongs into the configuration."""
    settings = context.settings()
    chosen = settings.chains.get(chain)
    if not isinstance(chosen, EthereumSettings):
        raise Invalid("--chain", chain, "a configured chain of Ethereum's kind")
    with await open_vault(settings) as vault:
        made = await deploy_contract(chosen, vault, within_seconds=within)
    if as_json:
        print_json({"contract": made.contract, "from_block": made.from_block, "txid": made.txid})
        return
    say(f"deployed in {made.txid}; now write into your configuration:")
    say(f'\n[chains.{chain}]\ncontract = "{made.contract}"\nfrom_block = {made.from_block}')
