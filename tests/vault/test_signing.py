"""Signatures verify, are small, and are bound to one chain."""

import hashlib
from typing import Any

import pytest
from bitcoin.core.key import CPubKey
from bitcoin.wallet import CBitcoinSecret
from coincurve import PrivateKey, PublicKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from swapd.errors import Invalid, Rejected
from swapd.vault import KeyPurpose, Network, Secret, Vault, bitcoin_signing, ethereum_signing

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
VAULT = Vault(Secret(bytes(range(32))), Network.DEVNET)
DIGESTS = st.binary(min_size=32, max_size=32)


def r_and_s(der: bytes) -> tuple[bytes, bytes]:
    """The two integers of a strictly DER-encoded signature (BIP 66), as the bytes that stand in it."""
    assert der[0] == 0x30
    assert der[1] == len(der) - 2
    assert der[2] == 0x02
    r, rest = der[4 : 4 + der[3]], der[4 + der[3] :]
    assert rest[0] == 0x02
    assert rest[1] == len(rest) - 2
    return r, rest[2:]


# ---- Bitcoin ----


@settings(deadline=None, max_examples=300)
@given(digest=DIGESTS, index=st.integers(0, 2**31 - 1), purpose=st.sampled_from(KeyPurpose))
def test_a_bitcoin_signature_verifies_and_has_low_r_and_low_s(digest: bytes, index: int, purpose: KeyPurpose) -> None:
    signature = VAULT.sign_bitcoin(index, purpose, digest)
    public_key = VAULT.bitcoin_pubkey(index, purpose)
    r, s = r_and_s(signature)
    assert len(signature) <= 70
    assert len(r) <= 32  # low R
    assert int.from_bytes(s, "big") <= HALF_ORDER  # low S
    assert len(public_key) == 33
    assert PublicKey(public_key).verify(signature, digest, hasher=None)
    assert CPubKey(public_key).verify(digest, signature)  # OpenSSL's opinion, by python-bitcoinlib


@pytest.mark.parametrize(
    ("wif", "signature"),
    [
        (
            "5HxWvvfubhXpYYpS3tJkw6fq9jE9j18THftkZjHHfmFiWtmAbrj",
            "304402205dbbddda71772d95ce91cd2d14b592cfbc1dd0aabd6a394b6c2d377bbe59d31d"
            "022014ddda21494a4e221f0824f0b8b924c43fa43c0ad57dccdaa11f81a6bd4582f6",
        ),
        (
            "5KC4ejrDjv152FGwP386VD1i2NYc5KkfSMyv1nGy1VGDxGHqVY3",
            "3044022052d8a32079c11e79db95af63bb9600c5b04f21a9ca33dc129c2bfa8ac9dc1cd5"
            "022061d8ae5e0f6c1a16bde3719c64c2fd70e404b6428ab9a69566962e8771b5944d",
        ),
    ],
)
def test_nonces_are_ground_exactly_as_bitcoin_core_grinds_them(wif: str, signature: str) -> None:
    key = bytes(CBitcoinSecret(wif))[:32]
    digest = hashlib.sha256(hashlib.sha256(b"Very deterministic message").digest()).digest()
    assert bitcoin_signing.sign(Secret(key), digest).hex() == signature  # vectors of its key_tests.cpp


def test_signing_is_deterministic_and_pinned() -> None:
    first, second = (VAULT.sign_bitcoin(0, KeyPurpose.CLAIM, b"\x07" * 32) for _ in range(2))
    assert first == second
    assert first.hex() == (
        "304402205a1a4839d925f670b002280da05dda7740dca8845f8fb05ae2d93e0927ad1003"
        "02202e6f2bcf00cff6e2dd37b3d79597d95d7a14f2b773c8b62e612efa5e30d7f6fe"
    )


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_s13_only_a_digest_of_32_bytes_is_signed(length: int) -> None:
    with pytest.raises(Invalid, match=f"digest: got '{length} bytes'"):
        VAULT.sign_bitcoin(0, KeyPurpose.CLAIM, bytes(length))


def test_a_signature_spoilt_by_faulty_memory_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(PrivateKey):
        def sign(self, message: bytes, *args: Any, **kwargs: Any) -> bytes:
            return super().sign(bytes(32), *args, **kwargs)

    monkeypatch.setattr(bitcoin_signing, "PrivateKey", Faulty)
    with pytest.raises(Rejected, match="did not verify"):
        VAULT.sign_bitcoin(0, KeyPurpose.CLAIM, b"\x07" * 32)


# ---- Ethereum transactions ----

RECEIVER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SECRET_CALLDATA = bytes.fromhex("deadbeef" * 8)
TRANSACTION: dict[str, Any] = {
    "type": 2,
    "chainId": 31337,
    "nonce": 7,
    "gas": 60_000,
    "maxFeePerGas": 3 * 10**9,
    "maxPriorityFeePerGas": 10**9,
    "to": RECEIVER,
    "value": 10**18,
    "data": SECRET_CALLDATA,
}


def test_an_ethereum_transaction_is_signed_by_our_account() -> None:
    signed = VAULT.sign_ethereum_transaction(TRANSACTION)
    assert signed.raw[0] == 2
    assert Account.recover_transaction(signed.raw) == VAULT.ethereum_address
    assert signed.hash == keccak(signed.raw)
    in_hex = TRANSACTION | {"data": "0x" + SECRET_CALLDATA.hex()}
    assert VAULT.sign_ethereum_transaction(in_hex) == signed


def test_s4_signing_the_same_transaction_again_gives_the_same_bytes() -> None:
    assert VAULT.sign_ethereum_transaction(TRANSACTION) == VAULT.sign_ethereum_transaction(dict(TRANSACTION))


def test_a_contract_is_created_only_by_leaving_the_receiver_out() -> None:
    creation = {name: TRANSACTION[name] for name in TRANSACTION if name != "to"}
    assert Account.recover_transaction(VAULT.sign_ethereum_transaction(creation).raw) == VAULT.ethereum_address
    for nobody in (None, "", b""):
        with pytest.raises(Invalid, match=r"transaction\.to"):
            VAULT.sign_ethereum_transaction(TRANSACTION | {"to": nobody})


@pytest.mark.parametrize("chain_id", [None, 0, -1, True, "0x1", 1.0])
def test_s13_a_transaction_without_a_chain_id_is_not_signed(chain_id: object) -> None:
    with pytest.raises(Invalid, match=r"transaction\.chainId"):
        VAULT.sign_ethereum_transaction(TRANSACTION | {"chainId": chain_id})


def test_s13_a_transaction_that_lacks_the_chain_id_is_not_signed() -> None:
    with pytest.raises(Invalid, match="missing \\['chainId'\\]"):
        VAULT.sign_ethereum_transaction({name: TRANSACTION[name] for name in TRANSACTION if name != "chainId"})


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": -1},
        {"nonce": None},
        {"gas": 1.5},
        {"gas": True},
        {"value": "0x1"},
        {"value": 2**256},
        {"to": RECEIVER.lower()},
        {"to": RECEIVER[:-1]},
        {"data": "not hex"},
        {"data": "bad"},
        {"data": "0xbad"},
        {"data": "deadbeef"},
        {"data": 5},
        {"type": 0},
        {"type": 4},
        {"gasPrice": 1},
        {"authorizationList": []},
        {"from": RECEIVER},
    ],
    ids=str,
)
def test_s9_a_malformed_transaction_is_refused_and_its_calldata_not_quoted(changed: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        VAULT.sign_ethereum_transaction(TRANSACTION | changed)
    assert "deadbeef" not in str(caught.value)
    assert str(SECRET_CALLDATA) not in str(caught.value)


# ---- Ethereum typed data ----

DOMAIN: dict[str, Any] = {"name": "swapd", "version": "1", "chainId": 31337, "verifyingContract": RECEIVER}
TYPES = {"Refund": [{"name": "hashlock", "type": "bytes32"}, {"name": "amount", "type": "uint256"}]}
MESSAGE: dict[str, Any] = {"hashlock": b"\x11" * 32, "amount": 10**18}


def test_typed_data_is_signed_by_our_account_as_r_s_v() -> None:
    signature = VAULT.sign_typed_data(DOMAIN, TYPES, MESSAGE)
    signable = encode_typed_data(DOMAIN, TYPES, MESSAGE)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER
    assert Account.recover_message(signable, signature=signature) == VAULT.ethereum_address


def test_typed_data_agrees_with_the_example_of_eip712() -> None:
    person = [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}]
    cow = keccak(b"cow")  # the key that the EIP signs with
    contract = to_checksum_address("0x" + "cc" * 20)
    signature = ethereum_signing.sign_typed_data(
        Secret(cow),
        {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": contract,
        },
        {
            "Person": person,
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"},
            ],
        },
        {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!",
        },
    )
    assert signature.hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chainId", None),
        ("chainId", 0),
        ("chainId", "1"),
        ("verifyingContract", None),
        ("verifyingContract", ""),
        ("verifyingContract", RECEIVER.lower()),
    ],
)
def test_s13_typed_data_that_is_not_bound_to_chain_and_contract_is_not_signed(field: str, value: object) -> None:
    with pytest.raises(Invalid, match=rf"domain\.{field}"):
        VAULT.sign_typed_data(DOMAIN | {field: value}, TYPES, MESSAGE)
    with pytest.raises(Invalid, match=rf"domain\.{field}"):
        VAULT.sign_typed_data({name: DOMAIN[name] for name in DOMAIN if name != field}, TYPES, MESSAGE)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (TYPES, {}),
        (TYPES, MESSAGE | {"amount": -1}),
        (TYPES, MESSAGE | {"amount": 2**256}),
        (TYPES, MESSAGE | {"hashlock": b"\x11" * 33}),
        ({}, {}),
        ({"A": [{"name": "x", "type": "A"}]}, {"x": 1}),
        ({"A": [{"x": "y"}]}, {"x": 1}),
    ],
)
def test_typed_data_that_does_not_fit_its_types_is_refused(types: dict[str, Any], message: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="types and a message that fit"):
        VAULT.sign_typed_data(DOMAIN, types, message)
