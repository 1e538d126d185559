"""BLS12-381 signatures, by the spec's ciphersuite."""

import hashlib

import pytest

from swapd.chains.icp import bls
from swapd.chains.icp.certificate import MAINNET_ROOT_KEY
from tests.chains.icp.forge import Key
from tests.chains.icp.recorded import REPLIED

KEY = Key("a key")
MESSAGE = b"a message"
SIGNATURE = KEY.sign(MESSAGE)

G1_INFINITY = b"\xc0" + bytes(47)
G2_INFINITY = b"\xc0" + bytes(95)


def test_a_signature_verifies_with_its_key_and_its_message() -> None:
    assert bls.verify(KEY.der, MESSAGE, SIGNATURE)


def test_a_signature_of_the_main_network_verifies() -> None:
    """A delegation of 2024 (`recorded.REPLIED`), with the root hash that the Ledger app's tests compute."""
    root_hash = "04a94256c02e83aab4f203cb0784340279d7902f9b09305c978be1746e19b742"
    signature = REPLIED[-48:]
    message = b"\x0dic-state-root" + bytes.fromhex(root_hash)
    assert bls.verify(MAINNET_ROOT_KEY, message, signature)


def test_another_message_another_key_or_another_signature_does_not() -> None:
    other = Key("another key")
    assert not bls.verify(KEY.der, MESSAGE + b"!", SIGNATURE)
    assert not bls.verify(other.der, MESSAGE, SIGNATURE)
    assert not bls.verify(KEY.der, MESSAGE, other.sign(MESSAGE))


def test_the_negative_of_a_signature_does_not_verify() -> None:
    assert not bls.verify(KEY.der, MESSAGE, bytes([SIGNATURE[0] ^ 0x20]) + SIGNATURE[1:])


@pytest.mark.parametrize("spoilt", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(48), b"\xff" * 48], ids=len)
def test_what_is_no_point_is_no_signature(spoilt: bytes) -> None:
    assert not bls.verify(KEY.der, MESSAGE, spoilt)


def test_infinity_is_neither_key_nor_signature() -> None:
    """Together they would verify for every message."""
    infinite = bls.DER_PREFIX + G2_INFINITY
    assert not bls.is_key(infinite)
    assert not bls.verify(infinite, MESSAGE, G1_INFINITY)
    assert not bls.verify(KEY.der, MESSAGE, G1_INFINITY)
    assert not bls.verify(infinite, MESSAGE, SIGNATURE)


def test_points_outside_of_the_group_are_refused() -> None:
    """Half of all x-coordinates are of a point on the curve, and hardly any of one in the group of prime order."""
    for number in range(32):
        digest = hashlib.sha512(bytes([number])).digest()
        g1 = bytes([0x80 | digest[0] & 0x0F]) + digest[1:48]
        assert not bls.verify(KEY.der, MESSAGE, g1)
        assert not bls.is_key(bls.DER_PREFIX + g1 + digest[:48])


def test_a_key_needs_its_whole_prefix_and_its_whole_length() -> None:
    assert bls.is_key(KEY.der)
    for wrong in (KEY.der[1:], KEY.der[:-1], KEY.der + b"\0", KEY.der[37:], b"\x30\x81\x83" + KEY.der[3:], b""):
        assert not bls.is_key(wrong)
        assert not bls.verify(wrong, MESSAGE, SIGNATURE)
