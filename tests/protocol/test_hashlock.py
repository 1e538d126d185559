"""Preimage and hashlock: one hash, one length, on every chain (rule S13)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import Invalid
from swapd.protocol.hashlock import LENGTH, hashlock_of, opens, parse_hashlock

preimages = st.binary(min_size=LENGTH, max_size=LENGTH)
wrong_lengths = st.binary(max_size=2 * LENGTH + 2).filter(lambda value: len(value) != LENGTH)


def test_the_hash_is_sha256() -> None:
    """The vector of FIPS 180-4 for a message of 32 zero bytes, as sha256sum prints it."""
    expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert hashlock_of(bytes(32)).hex() == expected


@given(preimages)
def test_a_preimage_opens_its_own_hashlock(preimage: bytes) -> None:
    assert opens(preimage, hashlock_of(preimage))


@given(preimages, preimages)
def test_a_preimage_opens_no_other_hashlock(one: bytes, other: bytes) -> None:
    assert opens(one, hashlock_of(other)) is (one == other)


@given(wrong_lengths)
def test_s13_a_preimage_of_another_length_opens_nothing_though_its_hash_fits(preimage: bytes) -> None:
    assert not opens(preimage, hashlib.sha256(preimage).digest())


@given(wrong_lengths)
def test_s13_a_preimage_of_another_length_has_no_hashlock(preimage: bytes) -> None:
    with pytest.raises(Invalid, match=f"preimage: got '{len(preimage)} bytes', expected exactly 32 bytes"):
        hashlock_of(preimage)


def test_s9_a_refused_preimage_is_not_shown() -> None:
    secret = b"hunter2" * 3
    with pytest.raises(Invalid) as caught:
        hashlock_of(secret)
    assert "hunter2" not in str(caught.value)
    assert secret.hex() not in str(caught.value)


@given(preimages, st.sampled_from(["", "0x"]))
def test_a_hashlock_is_read_from_hex(value: bytes, prefix: str) -> None:
    assert parse_hashlock(prefix + value.hex()) == value
    assert parse_hashlock(prefix + value.hex().upper()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "00" * 31,
        "00" * 33,
        "0" * 63,
        "0x" + "0" * 63,
        "zz" * 32,
        "0x0x" + "00" * 31,
        "00" * 31 + " 0",
        " " * 64,
        "00 " * 21 + "0",  # bytes.fromhex skips blanks: 64 characters, but not 32 bytes
    ],
)
def test_s13_anything_but_64_hex_digits_is_no_hashlock(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_hashlock(text)
    assert (caught.value.field, caught.value.value, caught.value.expected) == ("hashlock", text, "64 hex digits")
