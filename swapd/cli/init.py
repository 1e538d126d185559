"""`swapd init`: seed, configuration, database. Run again, it does what is missing and changes nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from swapd.cli.context import Context, command
from swapd.cli.show import console
from swapd.errors import Invalid
from swapd.settings import DEFAULTS, Settings, load
from swapd.store import Store
from swapd.vault import Network, Secret, Vault, keyfile, words
from swapd.vault.passphrase import read_passphrase

EXAMPLES = {
    Network.MAINNET: "mainnet.example.toml",
    Network.TESTNET: "testnet.example.toml",
    Network.DEVNET: "devnet.toml",
}


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a configuration there (FOLDER/swapd.toml), and keep everything beside it.",
)
@click.option("--network", type=click.Choice([n.value for n in Network]), help="Which example to start from.")
@click.option("--restore", is_flag=True, help="Ask for the 24 words of an existing seed instead of making a new one.")
@click.option("--show-words", is_flag=True, help="Print the seed's 24 words, for paper. Nobody may see them.")
@command
async def init(context: Context, folder: Path | None, network: str | None, restore: bool, show_words: bool) -> None:
    """Make what swapd needs: with --config for that configuration, with --folder and --network from an example."""
    settings = _settings(context, folder, network)
    key_file = settings.vault.key_file
    devnet = settings.daemon.network is Network.DEVNET
    if key_file.exists():
        seed = await asyncio.to_thread(
            keyfile.unseal, key_file, read_passphrase(settings.vault.passphrase_file), devnet=devnet
        )
        console.print(f"key file {key_file}: opens")
    else:
        seed = _typed_words() if restore else keyfile.new_seed()
        passphrase = read_passphrase(settings.vault.passphrase_file, creating=True)
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        light = settings.vault.scrypt == "light"
        await asyncio.to_thread(keyfile.create, key_file, seed, passphrase, devnet=light)
        console.print(f"key file {key_file}: made")
    if show_words:
        console.print(f"\n{words.words_from_seed(seed)}\n", highlight=False)
    with Vault(seed, settings.daemon.network) as vault:
        await _make_database(settings, vault)
    console.print("database: ready")
    console.print("next: put nodes and contract into the configuration, then `swapd doctor`, then `swapd run`")


def _settings(context: Context, folder: Path | None, network: str | None) -> Settings:
    if context.config is not None:
        if folder is not None or network is not None:
            raise Invalid("--folder", str(folder), "either --config, or --folder with --network")
        return context.settings()
    if folder is None or network is None:
        raise Invalid("--folder", str(folder), "--folder with --network, or `swapd --config FILE init`")
    target = folder / "swapd.toml"
    if not target.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        example = DEFAULTS.with_name(EXAMPLES[Network(network)]).read_text()
        target.write_text(_kept_here(example))
        console.print(f"configuration {target}: made from {EXAMPLES[Network(network)]}")
    return load(target, os.environ)


def _kept_here(example: str) -> str:
    """The example with its data beside the file."""
    lines = [line for line in example.splitlines() if not line.startswith("data_dir")]
    lines.insert(lines.index("[daemon]") + 1, 'data_dir = "."')
    return "\n".join(lines) + "\n"


def _typed_words() -> Secret:
    return words.seed_from_words(click.prompt("the 24 words", hide_input=True))


async def _make_database(settings: Settings, vault: Vault) -> None:
    await Store.upgrade(settings.database.url)
    store = await Store.open(settings.database.url, vault)
    try:
        async with store.write("operator") as writing:
            await writing.bind("seed", vault.fingerprint)
            await writing.bind("network", settings.daemon.network.value)
    finally:
        await store.close()
