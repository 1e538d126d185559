"""Signed requests: the specification's request ids, and that only our own stored calls are taken up again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.icp import envelope
from swapd.chains.icp.envelope import SignedCall, parse_call, sign_call, sign_query, sign_read_state
from swapd.errors import Invalid
from swapd.vault import Network, Secret, Vault

SIGNER = Vault(Secret(bytes(range(32))), Network.DEVNET)
SOMEBODY_ELSE = Vault(Secret(bytes(32)), Network.DEVNET)
CANISTER = bytes.fromhex("00000000000004d2")
EXPIRY = 1_800_000_000 * 10**9
SECRET = bytes(range(64, 96))


def call(arg: bytes = b"DIDL\x00\x00") -> SignedCall:
    return sign_call(SIGNER, CANISTER, "completeSwap", arg, ingress_expiry_ns=EXPIRY)


@pytest.mark.parametrize(
    ("more", "request_id"),
    [
        ({}, "8781291c347db32a9d8c10eb62b710fce5a93be676474c42babc74c51858f94b"),
        (
            {"sender": b"\x04", "ingress_expiry": 1_685_570_400_000_000_000},
            "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101",
        ),
    ],
)
def test_the_request_id_is_that_of_the_specifications_example(more: dict[str, Any], request_id: str) -> None:
    content = {"request_type": "call", "canister_id": CANISTER, "method_name": "hello", "arg": b"DIDL\x00\xfd*", **more}
    assert envelope.request_id(content).hex() == request_id


def independent_hash(value: Any) -> bytes:
    """The representation-independent hash, written down once more from the specification."""
    if isinstance(value, Mapping):
        pairs = sorted(hashlib.sha256(name.encode()).digest() + independent_hash(each) for name, each in value.items())
        return hashlib.sha256(b"".join(pairs)).digest()
    if isinstance(value, list):
        return hashlib.sha256(b"".join(map(independent_hash, value))).digest()
    if isinstance(value, int):
        groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
        value = bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).digest()


@given(st.binary(max_size=40), st.integers(0, 2**64 - 1), st.lists(st.lists(st.binary(max_size=9), max_size=3)))
def test_the_request_id_is_the_representation_independent_hash(
    arg: bytes, expiry: int, paths: list[list[bytes]]
) -> None:
    content = {"arg": arg, "ingress_expiry": expiry, "paths": paths, "request_type": "call"}
    assert envelope.request_id(content) == independent_hash(content)


def test_what_is_sent_holds_what_was_asked_for_and_our_signature() -> None:
    signed = call()
    assert signed.raw.startswith(b"\xd9\xd9\xf7")  # the tag that describes itself
    sent = cbor2.loads(signed.raw)
    content = sent["content"]
    assert dict(content) == {
        "request_type": "call",
        "canister_id": CANISTER,
        "method_name": "completeSwap",
        "arg": b"DIDL\x00\x00",
        "sender": SIGNER.icp_principal,
        "nonce": content["nonce"],
        "ingress_expiry": EXPIRY,
    }
    assert len(content["nonce"]) == 16
    assert sent["sender_pubkey"] == SIGNER.icp_public_key
    assert sent["sender_sig"] == SIGNER.icp_sign_request(signed.request_id)
    assert signed.request_id == independent_hash(content)


def test_two_equal_calls_are_two() -> None:
    assert call().request_id != call().request_id


def test_queries_and_reads_are_signed_too() -> None:
    query = cbor2.loads(sign_query(SIGNER, CANISTER, "getSwap", b"arg", ingress_expiry_ns=EXPIRY))
    read = cbor2.loads(sign_read_state(SIGNER, [[b"time"], (b"a", b"b")], ingress_expiry_ns=EXPIRY))
    assert query["content"]["request_type"] == "query"
    assert [list(path) for path in read["content"]["paths"]] == [[b"time"], [b"a", b"b"]]
    for each in (query, read):
        content = {name: [list(p) for p in v] if name == "paths" else v for name, v in each["content"].items()}
        assert each["sender_sig"] == SIGNER.icp_sign_request(independent_hash(content))


def test_s4_a_stored_call_is_read_back_as_it_was() -> None:
    signed = call()
    assert parse_call(signed.raw, SIGNER) == signed


def test_s9_the_argument_of_a_call_is_not_shown() -> None:
    signed = call(SECRET)
    for shown in (repr(signed), str(signed)):
        assert repr(SECRET)[2:-1] not in shown
        assert SECRET.hex() not in shown
        assert "completeSwap" in shown


def altered(**changes: Any) -> bytes:
    content = dict(cbor2.loads(call(SECRET).raw)["content"])
    for name, value in changes.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    return resigned(content)


def resigned(content: dict[str, Any]) -> bytes:
    id_ = envelope.request_id(content)
    return cbor2.dumps(
        {"content": content, "sender_pubkey": SIGNER.icp_public_key, "sender_sig": SIGNER.icp_sign_request(id_)}
    )


def test_a_call_without_the_tag_in_front_is_the_same_call() -> None:
    signed = call()
    assert parse_call(signed.raw[3:], SIGNER).request_id == signed.request_id


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        cbor2.dumps({}),
        cbor2.dumps({"content": {}, "sender_pubkey": b"", "sender_sig": b""}),
        altered(request_type="query"),
        altered(nonce=None),
        altered(ingress_expiry="soon"),
        altered(method_name=b"completeSwap"),
        altered(extra=1),
        altered(sender=b"\x04"),
        sign_call(SOMEBODY_ELSE, CANISTER, "completeSwap", SECRET, ingress_expiry_ns=EXPIRY).raw,
        sign_query(SIGNER, CANISTER, "completeSwap", SECRET, ingress_expiry_ns=EXPIRY),
        call(SECRET).raw + b"\x00",
        call(SECRET).raw[:-1],
    ],
)
def test_s4_what_we_did_not_sign_is_never_sent_again(raw: bytes) -> None:
    with pytest.raises(Invalid, match="stored call") as caught:
        parse_call(raw, SIGNER)
    assert SECRET.hex() not in str(caught.value)
    assert repr(SECRET)[2:-1] not in str(caught.value)


@pytest.mark.parametrize("name", ["arg", "canister_id", "method_name", "ingress_expiry", "nonce"])
def test_s4_no_field_of_a_stored_call_can_be_changed(name: str) -> None:
    envelope_ = dict(cbor2.loads(call().raw))
    content = dict(envelope_["content"])
    old = content[name]
    content[name] = old + 1 if isinstance(old, int) else old + ("!" if isinstance(old, str) else b"!")
    with pytest.raises(Invalid, match="one of somebody else"):
        parse_call(cbor2.dumps({**envelope_, "content": content}), SIGNER)


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 64, bytes(63)])
def test_s4_a_stored_call_needs_its_signature(signature: bytes) -> None:
    envelope_ = dict(cbor2.loads(call().raw))
    with pytest.raises(Invalid, match="one of somebody else"):
        parse_call(cbor2.dumps({**envelope_, "sender_sig": signature}), SIGNER)
