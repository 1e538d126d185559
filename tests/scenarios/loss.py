"""A house that loses its database, or its machine: what is left is paper, and what it does then."""

from __future__ import annotations

import asyncio
import secrets
import shutil

from eth_utils.address import to_checksum_address

from swapd.chains.icp import principal
from swapd.cli.init import make_database
from swapd.coordinator.recover import Recovered, Recovery
from swapd.devnet.money import Account
from swapd.devnet.party import PASSPHRASE
from swapd.vault import Vault, keyfile, words
from swapd.vault.secret import Secret
from tests.scenarios.books import Gains
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side

DAY = 86_400
KEY = Secret(PASSPHRASE.encode())


async def heir(rig: Rig) -> Account:
    """A new wallet of the node, for a house that lost its old one. Counting begins anew."""
    name = f"heir-{secrets.token_hex(4)}"
    await rig.chains.bitcoind.create_wallet(name)
    nobody = {"ethereum": to_checksum_address(secrets.token_bytes(20)), "icp": principal.text(secrets.token_bytes(29))}
    account = Account("heir", {"bitcoin": name, **nobody})
    rig.books.accounts.append(account)
    await rig.books.open()
    return account


async def lose_and_recover(rig: Rig, side: Side, wallet: Account | None, *, look: bool = True) -> list[Recovered]:
    """The database is deleted; with a new wallet, everything else that the machine held too: what is left is paper."""
    async with side.house.store.read() as reading:
        sent = [e for row in (await reading.swaps()).swaps for e in await reading.effects(row.id)]
    rig.books.payers |= {attempt.tx.txid: side.name for effect in sent for attempt in effect.attempts}
    key_file = side.settings.vault.key_file
    paper = words.words_from_seed(keyfile.unseal(key_file, KEY, devnet=True))
    await side.stop()
    if wallet is None:
        for file in side.folder.glob("swapd.db*"):
            file.unlink()
    else:
        shutil.rmtree(side.folder)
        side.wallet = wallet.at["bitcoin"]
        side.folder.mkdir(mode=0o700)
        passphrase = side.folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(PASSPHRASE)
        await asyncio.to_thread(keyfile.create, key_file, words.seed_from_words(paper), KEY, devnet=True)
    with Vault.unlock(key_file, KEY, side.settings.daemon.network) as vault:
        await make_database(side.settings, vault)
    side.halted = True
    await side.open()
    recovery = Recovery(side.house, lambda words: None)
    found = await recovery.find(side.chains.now - DAY)
    await recovery.keep(found)
    if look:
        side.asleep = False
        await side.daemon.start()
    return found


def together(gains: Gains) -> Gains:
    """What the heir has is the house's."""
    heir = gains.get("heir", {})
    return {
        name: {symbol: amount + (heir.get(symbol, 0) if name == "house" else 0) for symbol, amount in gain.items()}
        for name, gain in gains.items()
        if name != "heir"
    }


def nothing(rig: Rig) -> Gains:
    """To be compared with that."""
    return {name: gain for name, gain in rig.nothing.items() if name != "heir"}
