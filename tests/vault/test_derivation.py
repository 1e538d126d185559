"""Published vectors, and golden ones: what the seed grows into can never change silently."""

import hashlib

import pytest
from bitcoin.base58 import decode as base58_decode
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import Invalid
from swapd.vault import KeyPurpose, Network, Secret, Vault
from swapd.vault.derivation import LARGEST_INDEX, bitcoin_path, fingerprint, hkdf_sha256, preimage, private_key

SEED = bytes(range(32))
INDEXES = st.integers(0, LARGEST_INDEX)

BIP32_SEED_1 = "000102030405060708090a0b0c0d0e0f"
BIP32_SEED_2 = (
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a"
    "8784817e7b7875726f6c696663605d5a5754514e4b484542"
)
BIP32_SEED_3 = (
    "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4ac"
    "ba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be"
)


@pytest.mark.parametrize(
    ("seed", "path", "xprv"),
    [
        (
            BIP32_SEED_1,
            "m/0'",
            "xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7",
        ),
        (
            BIP32_SEED_1,
            "m/0'/1/2'/2/1000000000",
            "xprvA41z7zogVVwxVSgdKUHDy1SKmdb533PjDz7J6N6mV6uS3ze1ai8FHa8kmHScGpWmj4WggLyQjgPie1rFSruoUihUZREPSL39UNdE3BBDu76",
        ),
        (
            BIP32_SEED_2,
            "m/0/2147483647'/1/2147483646'/2",
            "xprvA2nrNbFZABcdryreWet9Ea4LvTJcGsqrMzxHx98MMrotbir7yrKCEXw7nadnHM8Dq38EGfSh6dqA9QWTyefMLEcBYJUuekgW4BYPJcr9E7j",
        ),
        (  # vector 3: a key with leading zeros keeps them
            BIP32_SEED_3,
            "m/0'",
            "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L",
        ),
    ],
)
def test_private_derivation_agrees_with_the_vectors_of_bip32(seed: str, path: str, xprv: str) -> None:
    raw = base58_decode(xprv)
    body, checksum = raw[:-4], raw[-4:]
    assert hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4] == checksum
    assert private_key(Secret(bytes.fromhex(seed)), path).reveal() == body[-32:]


@pytest.mark.parametrize(
    ("key_material", "salt", "info", "output"),
    [
        (  # RFC 5869, A.1
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (  # RFC 5869, A.3: without salt, as swapd uses it
            "0b" * 22,
            None,
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_agrees_with_the_vectors_of_rfc_5869(key_material: str, salt: str | None, info: str, output: str) -> None:
    salt_bytes = None if salt is None else bytes.fromhex(salt)
    assert hkdf_sha256(bytes.fromhex(key_material), bytes.fromhex(info), 42, salt_bytes).hex() == output


GOLDEN = [
    (
        Network.MAINNET,
        0,
        "017b5b33726f398accad9a7202ccad44f4efed47abdfc05262f8214c4c5724e9",
        "f7c262b45a1ba859ea6a78a6362e566473145748f6dcd4049abfb5caa00789af",
        "0351e26a3f631c7a6ff1a918feda5e49e354e4cb342a5f629b7d395dfd0f1d501c",
        "0211943c86d9be775d4551309b6ae07fa36e210800672cfc6bb09fcea9e46e4b1a",
    ),
    (
        Network.MAINNET,
        LARGEST_INDEX,
        "f0e923dfe34f70e5aafdcc60e9ca896d466dd4b88a7d83e2550adf90ed0c0c43",
        "536e54cb39f7db49da6693e0f2286dc56a1b119c419683071f2cd0fa12dd411b",
        "029628a89db1de95ebeb9455226ca2d97306261594daae96de52e4c74f3335a5b0",
        "03b4093e40612bedab37f68540ee1aa142177403c069a6839cddefc5e0be1d946e",
    ),
    (
        Network.TESTNET,
        1,
        "7b34c2284b53bed2974fcaac8ae6e84ae771f3cf52f823745f6a834478242389",
        "166fa99c4b20ad0839a0f0e8d6b80d6212d242ac79dfa594e80f86bfc6e86ab2",
        "028853ed07a6358577c6f366541a5157a62b22345f2b753667a7442a5dcb4074fd",
        "03427968c7c7ec6b842265b7f3b8ba8ddd30371e9d27e67b36885968cefb48ca73",
    ),
    (
        Network.DEVNET,
        1,
        "46e5562199f100dcfdf4d38a55f67dbfaf34a333f2311e4b96af6cf8e51530d9",
        "5519d29f1326fcf7b97efae116adf804f78da81e70dc8a6ecfec01aa8f87d831",
        "03a5397c26f4796fd8ea753a6167233c8b2dd8ac4e1edd2f0595a18b24a8d45766",
        "02699b22142a2ebf7826fb4d28b4a534763d160e28456cdc5fce85a97959254134",
    ),
]


@pytest.mark.parametrize(("network", "index", "secret", "hashlock", "claim_key", "refund_key"), GOLDEN)
def test_s14_everything_about_a_swap_comes_from_seed_network_and_index_as_it_did_in_the_first_release(
    network: Network, index: int, secret: str, hashlock: str, claim_key: str, refund_key: str
) -> None:
    with Vault(Secret(SEED), network) as vault:
        assert vault.preimage(index).hex() == secret
        assert vault.hashlock(index).hex() == hashlock == hashlib.sha256(vault.preimage(index)).hexdigest()
        assert vault.bitcoin_pubkey(index, KeyPurpose.CLAIM).hex() == claim_key
        assert vault.bitcoin_pubkey(index, KeyPurpose.REFUND).hex() == refund_key
        assert vault.fingerprint == "d4725c0b90be4272"
        assert vault.ethereum_address == "0xF9297b542BDb5DA50C364f9AE4Cbe1F3933bA40F"


def test_a_standard_wallet_given_the_words_shows_the_same_ethereum_account() -> None:
    zero_seed = bytes(32)  # "abandon" 23 times, "art": a vector found in many wallets' tests
    with Vault(Secret(zero_seed), Network.MAINNET) as vault:
        assert vault.ethereum_address == "0xF278cF59F82eDcf871d630F28EcC8056f25C1cdb"


@given(index=INDEXES, network=st.sampled_from(Network))
def test_s13_a_preimage_has_exactly_32_bytes(index: int, network: Network) -> None:
    assert len(preimage(Secret(SEED), network, index)) == 32


@given(left=st.tuples(st.sampled_from(Network), INDEXES), right=st.tuples(st.sampled_from(Network), INDEXES))
def test_s13_preimages_and_key_paths_differ_whenever_network_or_index_differ(
    left: tuple[Network, int], right: tuple[Network, int]
) -> None:
    assert (preimage(Secret(SEED), *left) == preimage(Secret(SEED), *right)) == (left == right)
    assert (bitcoin_path(*left, KeyPurpose.CLAIM) == bitcoin_path(*right, KeyPurpose.CLAIM)) == (left == right)


def test_s13_no_preimage_comes_twice_over_many_indexes_on_every_network() -> None:
    secrets = {preimage(Secret(SEED), network, index) for network in Network for index in range(3000)}
    assert len(secrets) == 3 * 3000


def test_bitcoin_paths_are_hardened_throughout_and_name_network_index_and_purpose() -> None:
    assert bitcoin_path(Network.MAINNET, 5, KeyPurpose.CLAIM) == "m/7364'/0'/0'/5'/0'"
    assert bitcoin_path(Network.TESTNET, 5, KeyPurpose.REFUND) == "m/7364'/0'/1'/5'/1'"
    assert bitcoin_path(Network.DEVNET, 0, KeyPurpose.REFUND) == "m/7364'/0'/2'/0'/1'"


def test_claim_and_refund_keys_are_different() -> None:
    with Vault(Secret(SEED), Network.MAINNET) as vault:
        assert vault.bitcoin_pubkey(3, KeyPurpose.CLAIM) != vault.bitcoin_pubkey(3, KeyPurpose.REFUND)


@pytest.mark.parametrize("index", [-1, 2**31, 2**64])
def test_a_swap_index_outside_one_hardened_level_is_refused(index: int) -> None:
    with pytest.raises(Invalid, match="swap index: got"):
        preimage(Secret(SEED), Network.MAINNET, index)
    with pytest.raises(Invalid, match="swap index: got"):
        bitcoin_path(Network.MAINNET, index, KeyPurpose.CLAIM)


@given(st.binary(min_size=32, max_size=32))
def test_s9_the_fingerprint_is_no_part_of_the_seed(seed: bytes) -> None:
    assert len(fingerprint(Secret(seed))) == 16
    assert bytes.fromhex(fingerprint(Secret(seed))) not in seed
