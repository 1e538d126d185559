"""The identity on the Internet Computer: public vectors, and that it signs requests and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from eth_account.hdaccount.mnemonic import Mnemonic
from hypothesis import given
from hypothesis import strategies as st
from ic.identity import Identity
from ic.principal import Principal

from swapd.errors import Invalid, Rejected
from swapd.vault import Network, Secret, Vault, icp_signing
from swapd.vault.derivation import ICP_PATH, private_key

SEED = bytes(range(32))
VAULT = Vault(Secret(SEED), Network.MAINNET)
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
REQUEST_IDS = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize(
    ("words", "principal"),
    [
        # from tutorials for Secp256k1KeyIdentity.fromSeedPhrase, which is the SDK's and quill's way
        ("test " * 12, "rwbxt-jvr66-qvpbz-2kbh3-u226q-w6djk-b45cp-66ewo-tpvng-thbkh-wae"),
        (
            "couple corn reform result whisper hedgehog word paddle lock hurt window else juice mask swing",
            "lsmxf-qps3b-dfjhw-njhat-2enm6-iysq5-gflw4-5c2as-i7r4s-37pfu-pae",
        ),
    ],
)
def test_a_seed_phrase_has_the_principal_that_icp_wallets_show(words: str, principal: str) -> None:
    key = private_key(Secret(Mnemonic.to_seed(words.strip())), ICP_PATH)
    assert Principal(icp_signing.principal(icp_signing.public_key(key))).to_str() == principal


def test_s14_the_identity_comes_from_the_seed_as_it_did_in_the_first_release() -> None:
    assert Principal(VAULT.icp_principal).to_str() == "fclqo-tjohp-ju7l2-pyiln-ctjfu-raqsl-knl2o-o4yml-no4at-fkt2x-cae"
    assert VAULT.icp_public_key[:23].hex() == "3056301006072a8648ce3d020106052b8104000a034200"
    assert len(VAULT.icp_public_key) == 88
    assert len(VAULT.icp_principal) == 29


def test_ic_py_agrees_about_key_and_principal() -> None:
    key = private_key(Secret(Mnemonic.to_seed("test " * 11 + "junk")), ICP_PATH)
    other = Identity(key.reveal().hex(), "secp256k1")
    assert icp_signing.public_key(key) == other.der_pubkey
    assert icp_signing.principal(icp_signing.public_key(key)) == other.sender().bytes


@given(REQUEST_IDS)
def test_a_signature_verifies_for_the_request_and_its_domain(request_id: bytes) -> None:
    signature = VAULT.icp_sign_request(request_id)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    key = load_der_public_key(VAULT.icp_public_key)
    assert isinstance(key, EllipticCurvePublicKey)
    key.verify(encode_dss_signature(r, s), b"\x0aic-request" + request_id, ECDSA(SHA256()))
    assert len(signature) == 64
    assert s <= HALF_ORDER


def test_s4_signing_again_gives_the_same_bytes() -> None:
    request_id = hashlib.sha256(b"a request").digest()
    assert VAULT.icp_sign_request(request_id) == VAULT.icp_sign_request(request_id)
    assert VAULT.icp_sign_request(request_id).hex() == (
        "00a3df396ec9f128fd256f94a7d05f2347f3110f1496f7b5b894484bbf0dd970"
        "7e037a13b9de8606899e51a187c87015258de90ed69bb52bf3bec99ce49ef6b1"
    )


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_s13_only_a_request_id_is_signed(length: int) -> None:
    with pytest.raises(Invalid, match=f"request id: got '{length} bytes'"):
        VAULT.icp_sign_request(bytes(length))


def test_a_signature_spoilt_by_faulty_memory_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(PrivateKey):
        def sign(self, message: bytes, *args: Any, **kwargs: Any) -> bytes:
            return super().sign(bytes(32), *args, **kwargs)

    monkeypatch.setattr(icp_signing, "PrivateKey", Faulty)
    with pytest.raises(Rejected, match="did not verify"):
        VAULT.icp_sign_request(bytes(32))


def test_s9_a_closed_vault_signs_nothing_and_still_knows_who_it_was() -> None:
    with Vault(Secret(SEED), Network.DEVNET) as vault:
        principal = vault.icp_principal
    assert vault.icp_principal == principal == VAULT.icp_principal  # one identity in all networks, like Ethereum's
    with pytest.raises(Rejected, match="wiped from memory"):
        vault.icp_sign_request(bytes(32))
