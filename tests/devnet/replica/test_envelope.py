"""Who may speak: signatures, delegations, expiry."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.devnet.replica.envelope import ANONYMOUS, BadRequest, UserRequest, read_request
from tests.devnet.replica.users import KINDS, SECOND, User, call_content, request_id

CANISTER = b"\0" * 8 + b"\1\1"
OTHER = b"\1" * 8 + b"\1\1"
NOW = 1_780_000_000 * SECOND
SOON = NOW + 60 * SECOND

ALICE, BOB, CAROL = (User.of(kind) for kind in KINDS)


def read(body: bytes) -> UserRequest:
    return read_request(body, "call", CANISTER, NOW)


def content(sender: User = ALICE, **changes: Any) -> dict[str, Any]:
    return call_content(CANISTER, sender.principal, NOW, **changes)


@pytest.mark.parametrize("user", [ALICE, BOB, CAROL], ids=KINDS)
def test_a_signed_call_is_taken(user: User) -> None:
    request = read(user.envelope(content(user)))
    assert (request.sender, request.canister_id, request.method) == (user.principal, CANISTER, "who")
    assert request.request_id == request_id(content(user))


@pytest.mark.parametrize("user", [ALICE, BOB, CAROL], ids=KINDS)
def test_what_was_changed_after_signing_is_refused(user: User) -> None:
    envelope = cbor2.loads(user.envelope(content(user)))
    envelope["content"]["arg"] = b"other"
    with pytest.raises(BadRequest, match="Invalid signature"):
        read(cbor2.dumps(envelope))


def test_nobody_speaks_for_somebody_else() -> None:
    with pytest.raises(BadRequest, match="does not match the public key"):
        read(BOB.envelope(content(ALICE)))
    with pytest.raises(BadRequest, match="Invalid signature"):
        read(BOB.envelope(content(ALICE), sender_pubkey=ALICE.public_key))
    with pytest.raises(BadRequest, match="Missing signature"):
        read(ALICE.envelope(content(), sender_sig=None))
    with pytest.raises(BadRequest, match="Missing signature"):
        read(ALICE.envelope(content(), sender_pubkey=None))


def test_the_anonymous_sign_nothing() -> None:
    anonymous = call_content(CANISTER, ANONYMOUS, NOW)
    assert read(cbor2.dumps({"content": anonymous})).sender == ANONYMOUS
    with pytest.raises(BadRequest, match="anonymous"):
        read(ALICE.envelope(anonymous))


@pytest.mark.parametrize("expiry", [NOW - 1, 0, NOW + 361 * SECOND, 2**64 - 1])
def test_a_request_that_is_expired_or_lives_too_long_is_refused(expiry: int) -> None:
    with pytest.raises(BadRequest, match="ingress_expiry not within expected range"):
        read(ALICE.envelope(content(ingress_expiry=expiry)))


def test_a_delegate_speaks_for_the_owner() -> None:
    chain = [ALICE.delegate(BOB, SOON), BOB.delegate(CAROL, SOON, [CANISTER])]
    request = read(CAROL.envelope(content(), chain, sender_pubkey=ALICE.public_key))
    assert request.sender == ALICE.principal


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ([ALICE.delegate(BOB, NOW - 1)], "Invalid delegation expiry"),
        ([ALICE.delegate(BOB, SOON, [OTHER])], "not one of the delegation targets"),
        ([BOB.delegate(BOB, SOON)], "Invalid signature"),
        ([ALICE.delegate(CAROL, SOON)], "Invalid signature"),
        ([ALICE.delegate(BOB, SOON), BOB.delegate(ALICE, SOON)], "cycle"),
        ([ALICE.delegate(BOB, SOON)] * 21, "at most 20"),
        ([], "Invalid signature"),
        ("none", "expected a list"),
        ([{}], "expected a map"),
    ],
)
def test_other_delegations_are_refused(chain: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        read(BOB.envelope(content(), chain, sender_pubkey=ALICE.public_key))


def test_a_delegation_that_was_changed_is_refused() -> None:
    link = ALICE.delegate(BOB, SOON, [OTHER])
    link["delegation"]["targets"] = [CANISTER]
    with pytest.raises(BadRequest, match="Invalid signature"):
        read(BOB.envelope(content(), [link], sender_pubkey=ALICE.public_key))


@pytest.mark.parametrize(
    "changes",
    [
        {"request_type": "query"},
        {"sender": b"x" * 30},
        {"canister_id": "text"},
        {"canister_id": None},
        {"method_name": b"bytes"},
        {"arg": None},
        {"nonce": b"x" * 33},
        {"ingress_expiry": None},
        {"ingress_expiry": "soon"},
        {"ingress_expiry": True},
    ],
)
def test_a_call_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read(cbor2.dumps({"content": {**call_content(CANISTER, ANONYMOUS, NOW), **changes}}))


def test_cbor_that_means_harm_is_refused() -> None:
    deep = b"\x81" * 100_000 + b"\x00"
    with pytest.raises(BadRequest, match="Could not parse"):
        read(deep)
    loop = cbor2.dumps({"content": call_content(CANISTER, ANONYMOUS, NOW, extra="loop")}).replace(
        b"\x64loop", b"\xd8\x1c\x81\xd8\x1d\x00"
    )
    with pytest.raises(BadRequest):
        read(loop)
    huge = call_content(CANISTER, ANONYMOUS, NOW, extra=2 ** (8 * 100_000))
    with pytest.raises(BadRequest):
        read(cbor2.dumps({"content": huge}))


@given(st.binary(max_size=200))
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body)


@given(
    st.recursive(
        st.none() | st.binary() | st.text() | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_any_other_cbor_is_refused(value: Any) -> None:
    for body in (value, {"content": value}, {"content": {"request_type": "call", "sender": value}}):
        with pytest.raises(BadRequest):
            read(cbor2.dumps(body))
