"""The opened vault: gives out public keys, signatures and preimages, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from swapd.crashpoint import crashpoint
from swapd.vault import bitcoin_signing, derivation, ethereum_signing, icp_signing, keyfile, sealing, words
from swapd.vault.derivation import ETHEREUM_PATH, ICP_PATH, KeyPurpose, Network
from swapd.vault.ethereum_signing import SignedEthereumTransaction
from swapd.vault.known import KNOWN
from swapd.vault.secret import Secret, Unshowable


class Vault(Unshowable):
    """All keys of one swapd on one network, derived when needed from the one seed (rules S9, S14).

    Swap indexes are whole numbers from 0 to 2^31 - 1; others raise Invalid. After `close` whatever needs a key raises
    Rejected. Calls take less than a millisecond, only opening is slow.
    """

    __slots__ = (
        "_ethereum_address",
        "_fingerprint",
        "_icp_public_key",
        "_network",
        "_seed",
        "_store_key",
        "_tree_seed",
    )

    def __init__(self, seed: Secret, network: Network) -> None:
        """Takes the seed over: `close` wipes it."""
        self._seed = seed
        self._tree_seed = words.tree_seed(seed)
        self._network = network
        self._fingerprint = derivation.fingerprint(seed)
        self._store_key = derivation.store_key(seed, network)
        self._ethereum_address = ethereum_signing.address(self._ethereum_key())
        self._icp_public_key = icp_signing.public_key(self._icp_key())

    @classmethod
    def unlock(cls, path: Path, passphrase: Secret, network: Network) -> Self:
        """Open the key file at `path`; the errors are those of `keyfile.unseal`. Slow: call it in a thread."""
        return cls(keyfile.unseal(path, passphrase, devnet=network is Network.DEVNET), network)

    def close(self) -> None:
        """Forget the seed, as well as Python can.

        Our own copies are overwritten; those that libraries made stay in freed memory until it is used again.
        """
        self._seed.wipe()
        self._tree_seed.wipe()
        self._store_key.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Vault {self._fingerprint} {self._network}>"

    @property
    def fingerprint(self) -> str:
        """16 hex digits that say which seed this is: what a database is bound to."""
        return self._fingerprint

    @property
    def network(self) -> Network:
        return self._network

    def preimage(self, index: int) -> bytes:
        """The 32-byte secret of swap `index`. Only a claim may carry it out (rule S2)."""
        preimage = derivation.preimage(self._seed, self._network, index)
        KNOWN.add(preimage, passing=True)
        return preimage

    def hashlock(self, index: int) -> bytes:
        """SHA-256 of the preimage, 32 bytes: public."""
        return hashlib.sha256(self.preimage(index)).digest()

    def seal(self, content: bytes) -> bytes:
        """Encrypt and authenticate what the database must keep but not show (rule S9)."""
        crashpoint("vault.seal.before")
        sealed = sealing.seal(self._store_key, content)
        crashpoint("vault.seal.after")
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """The reverse of `seal`. Rejected if it was altered or sealed under another seed or network."""
        return sealing.unseal(self._store_key, sealed)

    def bitcoin_pubkey(self, index: int, purpose: KeyPurpose) -> bytes:
        """33 bytes, compressed."""
        return bitcoin_signing.public_key(self._bitcoin_key(index, purpose))

    def sign_bitcoin(self, index: int, purpose: KeyPurpose, sighash: bytes) -> bytes:
        """DER signature of a 32-byte sighash: at most 70 bytes, low S, low R, without the sighash byte."""
        crashpoint("vault.sign_bitcoin.before")
        signature = bitcoin_signing.sign(self._bitcoin_key(index, purpose), sighash)
        crashpoint("vault.sign_bitcoin.after")
        return signature

    @property
    def ethereum_address(self) -> str:
        """With EIP-55 checksum; the first account that a wallet shows for the seed's words."""
        return self._ethereum_address

    def sign_ethereum_transaction(self, transaction: Mapping[str, Any]) -> SignedEthereumTransaction:
        """Sign an EIP-1559 transaction; see `ethereum_signing.sign_transaction`."""
        crashpoint("vault.sign_ethereum.before")
        signed = ethereum_signing.sign_transaction(self._ethereum_key(), transaction)
        crashpoint("vault.sign_ethereum.after")
        return signed

    def sign_typed_data(
        self,
        domain: Mapping[str, Any],
        types: Mapping[str, Sequence[Mapping[str, str]]],
        message: Mapping[str, Any],
    ) -> bytes:
        """EIP-712 signature, 65 bytes r ‖ s ‖ v; the domain must name chain and contract."""
        return ethereum_signing.sign_typed_data(self._ethereum_key(), domain, types, message)

    @property
    def icp_public_key(self) -> bytes:
        """88 bytes, DER."""
        return self._icp_public_key

    @property
    def icp_principal(self) -> bytes:
        """29 bytes: who we are on the Internet Computer."""
        return icp_signing.principal(self._icp_public_key)

    def icp_sign_request(self, request_id: bytes) -> bytes:
        """Sign a request to the Internet Computer, by its 32-byte id: 64 bytes r ‖ s. Nothing else is signed."""
        return icp_signing.sign_request(self._icp_key(), request_id)

    def _bitcoin_key(self, index: int, purpose: KeyPurpose) -> Secret:
        path = derivation.bitcoin_path(self._network, index, purpose)
        return derivation.private_key(self._tree_seed, path)

    def _ethereum_key(self) -> Secret:
        return derivation.private_key(self._tree_seed, ETHEREUM_PATH)

    def _icp_key(self) -> Secret:
        return derivation.private_key(self._tree_seed, ICP_PATH)
