"""The only room that ever holds a key: the master seed, what is derived from it, and how it is sealed.

    seed = keyfile.new_seed()                        # once, by `swapd init`
    keyfile.create(path, seed, passphrase)
    with Vault.unlock(path, passphrase, Network.MAINNET) as vault:
        vault.hashlock(7)

Everything here is synchronous. Opening a key file takes a good quarter of a second on purpose: call it in a thread.
What lies where, and what an attacker gets from it, is told in docs/vault.md.
"""

from swapd.vault.derivation import KeyPurpose, Network
from swapd.vault.ethereum_signing import SignedEthereumTransaction
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault

__all__ = ["KeyPurpose", "Network", "Secret", "SignedEthereumTransaction", "Vault"]
