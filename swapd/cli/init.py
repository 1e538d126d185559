"""`swapd init`: seed, configuration, database. Run again, it does what is missing and changes nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from swapd.cli.context import Context, command
from swapd.cli.options import json_option
from swapd.cli.show import print_json, say
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
@json_option
@command
async def init(
    context: Context, folder: Path | None, network: str | None, restore: bool, show_words: bool, as_json: bool
) -> None:
    """Make what swapd needs: with --config for that configuration, with --folder and --network from an example."""
    config = context.config if folder is None and network is None else _configuration(context, folder, network)
    settings = load(config, os.environ)
    key_file = settings.vault.key_file
    made = not key_file.exists()
    seed = await (make_seed(settings, restore) if made else _open_seed(settings, restore))
    paper = words.words_from_seed(seed) if show_words else None
    with Vault(seed, settings.daemon.network) as vault:
        await make_database(settings, vault)
        fingerprint = vault.fingerprint
    if as_json:
        found = {"configuration": config and str(config), "key_file": str(key_file), "made": made, "seed": fingerprint}
        print_json(found | ({"words": paper} if paper else {}))
        return
    say(f"configuration {config or 'defaults'}")
    say(f"key file {key_file}: {'made' if made else 'opens'}, seed {fingerprint}")
    if paper:
        say(f"\n{paper}\n")
    say("database: ready")
    say("next: put nodes and contract into the configuration, then `swapd doctor`, then `swapd run`")


def _configuration(context: Context, folder: Path | None, network: str | None) -> Path:
    """FOLDER/swapd.toml, made from the network's example unless it is there."""
    if context.config is not None or folder is None or network is None:
        given = None if folder is None else str(folder)
        raise Invalid("--folder", given, "--folder with --network, or `swapd --config FILE init` without both")
    target = folder / "swapd.toml"
    if not target.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_text(_kept_here(DEFAULTS.with_name(EXAMPLES[Network(network)]).read_text()))
    return target


def _kept_here(example: str) -> str:
    """The example with its data beside the file."""
    lines = [line for line in example.splitlines() if not line.startswith(("data_dir", "key_file"))]
    lines.insert(lines.index("[daemon]") + 1, 'data_dir = "."')
    return "\n".join(lines) + "\n"


async def make_seed(settings: Settings, restore: bool) -> Secret:
    """A key file, of a new seed or of one whose words are asked for. Returns the seed."""
    seed = _typed_words() if restore else keyfile.new_seed()
    passphrase = read_passphrase(settings.vault.passphrase_file, creating=True)
    settings.vault.key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    light = settings.vault.scrypt == "light"
    await asyncio.to_thread(keyfile.create, settings.vault.key_file, seed, passphrase, devnet=light)
    return seed


async def _open_seed(settings: Settings, restore: bool) -> Secret:
    if restore:
        raise Invalid("--restore", str(settings.vault.key_file), "no key file there yet: this one is kept as it is")
    passphrase = read_passphrase(settings.vault.passphrase_file)
    devnet = settings.daemon.network is Network.DEVNET
    return await asyncio.to_thread(keyfile.unseal, settings.vault.key_file, passphrase, devnet=devnet)


def _typed_words() -> Secret:
    return words.seed_from_words(click.prompt("the 24 words", hide_input=True, err=True))


async def make_database(settings: Settings, vault: Vault) -> None:
    """At the newest schema, and bound to this seed and network."""
    await Store.upgrade(settings.database.url)
    store = await Store.open(settings.database.url, vault)
    try:
        async with store.write("operator") as writing:
            await writing.bind("seed", vault.fingerprint)
            await writing.bind("network", settings.daemon.network.value)
    finally:
        await store.close()
