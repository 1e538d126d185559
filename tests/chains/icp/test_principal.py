"""Principals and accounts in text: the standard's examples, and one text for one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.icp.principal import (
    ANONYMOUS,
    MANAGEMENT_CANISTER,
    Account,
    parse,
    parse_account,
    text,
)
from swapd.errors import Invalid

OWNER = "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (MANAGEMENT_CANISTER, "aaaaa-aa"),
        (ANONYMOUS, "2vxsx-fae"),
        (bytes.fromhex("00000000000000020101"), "ryjl3-tyaaa-aaaaa-aaaba-cai"),
        (bytes.fromhex("abcd01"), "em77e-bvlzu-aq"),  # the interface specification's example
    ],
)
def test_principals_have_the_texts_that_everybody_knows(raw: bytes, words: str) -> None:
    assert text(raw) == words
    assert parse("p", words) == raw


@given(st.binary(max_size=29))
def test_every_principal_has_one_text(raw: bytes) -> None:
    assert parse("p", text(raw)) == raw
    with pytest.raises(Invalid):
        parse("p", text(raw).upper())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a",
        "aaaaa",
        "aaaaa-ab",
        "ryjl3tyaaaaaaaaaaabacai",
        "ryjl3-tyaaa-aaaaa-aaaba-cai ",
        "ryjl3-tyaaa-aaaaa-aaaba-cai-",
        "RYJL3-TYAAA-AAAAA-AAABA-CAI",
        "ryjl3-tyaaa-aaaaa-aaabb-cai",
        "ryjl3-tyaaa-aaaaa-aaaba-ca1",
        "ryjl3-tyaaa-aaaaa-aaaba-caï",
        OWNER + "-6cc627i",
        "=====",
    ],
)
def test_what_is_no_principal_is_named(words: str) -> None:
    with pytest.raises(Invalid, match=r"recipient: got '.*', expected a principal") as caught:
        parse("recipient", words)
    assert caught.value.field == "recipient"


def test_a_principal_has_at_most_29_bytes() -> None:
    with pytest.raises(Invalid):
        text(bytes(30))
    with pytest.raises(Invalid):
        Account(bytes(30))


# -- accounts: the examples of ICRC-1's textual encoding


@pytest.mark.parametrize(
    ("subaccount", "words"),
    [
        (None, OWNER),
        (bytes(32), OWNER),
        (bytes(31) + b"\x01", f"{OWNER}-6cc627i.1"),
        (
            bytes(range(1, 33)),
            f"{OWNER}-dfxgiyy.102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
        ),
    ],
)
def test_accounts_have_the_texts_of_the_standard(subaccount: bytes | None, words: str) -> None:
    account = Account(parse("owner", OWNER), subaccount)
    assert account.text == words
    assert parse_account("account", words) == account


@pytest.mark.parametrize(
    "words",
    [
        f"{OWNER}-q6bn32y.",
        "k2t6j2nvnp4zjm3-25dtz6xhaac7boj5gayfoj3xs-i43lp-teztq-6ae",
        f"{OWNER}-6cc627i.01",
        f"{OWNER}.1",
        f"{OWNER}-6cc627j.1",
        f"{OWNER}-6cc627i.2",
        f"{OWNER}-6CC627I.1",
        f"{OWNER}-6cc627i.1 ",
        f"{OWNER}-6cc627i.g",
        f"{OWNER}-6cc627i.{'1' * 65}",
        f"{OWNER}-6cc627i.1.1",
        f"{OWNER}-",
        f"{OWNER}.",
        ".1",
        "",
    ],
)
def test_what_is_not_canonical_is_no_account(words: str) -> None:
    with pytest.raises(Invalid, match=r"payee: got '.*', expected an? "):
        parse_account("payee", words)


@given(st.binary(max_size=29), st.none() | st.binary(min_size=32, max_size=32))
def test_every_account_has_one_text(owner: bytes, subaccount: bytes | None) -> None:
    account = Account(owner, subaccount)
    assert parse_account("account", account.text) == account


def test_two_spellings_of_the_default_subaccount_are_one_account() -> None:
    assert Account(ANONYMOUS, bytes(32)) == Account(ANONYMOUS)
    assert Account(ANONYMOUS, bytes(32)).subaccount is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_subaccount_has_32_bytes(length: int) -> None:
    with pytest.raises(Invalid, match="subaccount"):
        Account(ANONYMOUS, bytes(length))
