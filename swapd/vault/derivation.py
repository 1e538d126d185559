"""What grows from the master seed, and where. A change here orphans money: golden vectors in the tests pin it all.

master seed, 32 bytes
├─ HKDF-SHA256, info = "swapd preimage v1/" network "/" index (8 bytes, big endian)  →  preimage of a swap
├─ HKDF-SHA256, info = "swapd fingerprint v1"                                        →  fingerprint, public
├─ HKDF-SHA256, info = "swapd store v1/" network            →  the key that seals what a database must not show
└─ BIP-39 (24 words, no extra passphrase) → BIP-32 tree
   ├─ m/44'/60'/0'/0/0                          the Ethereum account, the first one that any wallet shows
   ├─ m/44'/223'/0'/0/0                         the identity on the Internet Computer, as its wallets derive it
   └─ m/7364'/0'/network'/index'/purpose'       a Bitcoin key of one swap
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_account.hdaccount.deterministic import HDPath

from swapd.errors import Invalid
from swapd.vault.secret import Secret

SEED_BYTES = 32
PREIMAGE_BYTES = 32
FINGERPRINT_BYTES = 8

PREIMAGE_LABEL = b"swapd preimage v1"
FINGERPRINT_LABEL = b"swapd fingerprint v1"
STORE_LABEL = b"swapd store v1"

ETHEREUM_PATH = "m/44'/60'/0'/0/0"
"""BIP-44, first account: a wallet that is given the words shows the same address."""

ICP_PATH = "m/44'/223'/0'/0/0"
"""BIP-44 with the coin of SLIP-44: quill, the SDK and the Ledger app show the same principal for the words."""

BITCOIN_PURPOSE = 7364
"""First level of our own (BIP-43), "sd" in ASCII, so that no wallet mistakes these keys for addresses of its own."""

BITCOIN_COIN = 0
"""Bitcoin in SLIP-44. Test networks differ in the next level."""

LARGEST_INDEX = 2**31 - 1
"""A swap index is one hardened level of a BIP-32 path, which has this many."""


class Network(StrEnum):
    """Which world the money lives in. One seed gives unrelated preimages and Bitcoin keys in each."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    DEVNET = "devnet"


NETWORK_LEVEL = {Network.MAINNET: 0, Network.TESTNET: 1, Network.DEVNET: 2}


class KeyPurpose(IntEnum):
    """What a Bitcoin key of a swap may do; its value is the last level of the path."""

    CLAIM = 0
    REFUND = 1


def preimage(seed: Secret, network: Network, index: int) -> bytes:
    """The 32-byte secret of swap `index`: HKDF-SHA256 (RFC 5869) without salt, which a uniform seed does not need."""
    info = b"/".join((PREIMAGE_LABEL, network.encode(), _checked(index).to_bytes(8, "big")))
    return hkdf_sha256(seed.reveal(), info, PREIMAGE_BYTES)


def fingerprint(seed: Secret) -> str:
    """16 hex digits that tell seeds apart and reveal nothing of them: binds a database or a key file to its seed."""
    return hkdf_sha256(seed.reveal(), FINGERPRINT_LABEL, FINGERPRINT_BYTES).hex()


def store_key(seed: Secret, network: Network) -> Secret:
    """The AES-256 key under which a database's sealed columns stand."""
    return Secret(hkdf_sha256(seed.reveal(), b"/".join((STORE_LABEL, network.encode())), 32))


def bitcoin_path(network: Network, index: int, purpose: KeyPurpose) -> str:
    """BIP-32 path of a swap's Bitcoin key. Hardened throughout: one leaked key tells nothing about any other."""
    return f"m/{BITCOIN_PURPOSE}'/{BITCOIN_COIN}'/{NETWORK_LEVEL[network]}'/{_checked(index)}'/{purpose.value}'"


def private_key(tree_seed: Secret, path: str) -> Secret:
    """The 32-byte secp256k1 key at `path`, from the 64-byte BIP-39 seed of the words (`words.tree_seed`)."""
    return Secret(HDPath(path).derive(tree_seed.reveal()))


def hkdf_sha256(key_material: bytes, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    """HKDF with SHA-256 (RFC 5869): `length` bytes."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key_material)


def _checked(index: int) -> int:
    if not 0 <= index <= LARGEST_INDEX:
        raise Invalid("swap index", index, f"a whole number from 0 to {LARGEST_INDEX}")
    return index
