"""A vault that guards nothing but gas: a watchtower has to pay for what it sends, and to sign requests as somebody.

Its seed has nothing to do with swapd's, and lies open in a file of its own. Whoever steals it gets that gas.
"""

from __future__ import annotations

import os
from pathlib import Path

from swapd.errors import Invalid
from swapd.vault.derivation import Network
from swapd.vault.private_file import create_private, read_private
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault

SEED_BYTES = 32
WHAT = "gas key file"


def throwaway_vault(path: Path | None, network: Network) -> Vault:
    """The vault of the seed in this file, which is made if it is not there (None: a new one, kept nowhere).

    Raises Invalid for a file with anything else in it, and what reading and writing private files raises.
    """
    if path is None:
        return Vault(Secret(os.urandom(SEED_BYTES)), network)
    if not path.exists():
        create_private(path, WHAT, os.urandom(SEED_BYTES).hex().encode() + b"\n")
    text = read_private(path, WHAT).decode(errors="replace").strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise Invalid(WHAT, str(path), f"a file with {2 * SEED_BYTES} hex digits, as the watchtower makes it")
    return Vault(Secret(seed), network)
