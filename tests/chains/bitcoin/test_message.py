"""Messages signed by the owner of an address: BIP 322's own examples, and what the node's wallet signs."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.message import is_signed, is_understood, tagged_hash

from .conftest import World

ADDRESS = "bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l"
SCRIPT = output_script(ADDRESS, "main", "address")

# From BIP 322: messages, and signatures by the owner of that address.
EXAMPLES = [
    (
        "",
        "AkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAxlk"
        "QpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=",
    ),
    (
        "Hello World",
        "AkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAxlk"
        "QpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=",
    ),
]
DIGESTS = [
    ("", "c90c269c4f8fcbe6880f72a721ddfbf1914268a794cbb21cfafee13770ae19f1"),
    ("Hello World", "f0eb03b1a75ac6d9847f55c624a99169b5dccba2a31f5b23bea77ba270de0a7a"),
]


@pytest.mark.parametrize(("message", "digest"), DIGESTS)
def test_messages_have_the_hashes_of_the_standards_examples(message: str, digest: str) -> None:
    assert tagged_hash("BIP0322-signed-message", message.encode()).hex() == digest


@pytest.mark.parametrize(("message", "signature"), EXAMPLES)
def test_the_standards_examples_hold_and_for_their_message_and_address_alone(message: str, signature: str) -> None:
    raw = base64.b64decode(signature)
    assert is_signed(SCRIPT, message, raw)
    assert not is_signed(SCRIPT, message + ".", raw)
    assert not is_signed(SCRIPT[:-1] + bytes([SCRIPT[-1] ^ 1]), message, raw)


@pytest.mark.parametrize("kind", ["bech32", "bech32m"])
async def test_what_a_wallet_signs_is_its_owners_word(world: World, kind: str) -> None:
    addresses = [await world.node.rpc("getnewaddress", "", kind, wallet=world.wallet) for _ in range(2)]
    signature = await world.node.rpc("signmessage", addresses[0], "I agree", wallet=world.wallet)
    own, other = (output_script(each, "regtest", "address") for each in addresses)
    raw = base64.b64decode(signature)
    assert is_understood(own)
    assert is_signed(own, "I agree", raw)
    assert not is_signed(own, "I disagree", raw)
    assert not is_signed(other, "I agree", raw)
    assert not is_signed(own, "I agree", raw[:-1])
    assert not is_signed(own, "I agree", raw + b"\x00")


def test_addresses_without_one_key_are_not_understood() -> None:
    for script in (
        b"\x76\xa9\x14" + bytes(20) + b"\x88\xac",
        b"\xa9\x14" + bytes(20) + b"\x87",
        b"\x00\x20" + bytes(32),
    ):
        assert not is_understood(script)
        assert not is_signed(script, "", base64.b64decode(EXAMPLES[0][1]))


@given(
    st.binary(max_size=60),
    st.integers(0, 108),
    st.integers(0, 40),
    st.sampled_from([SCRIPT, b"\x51\x20" + SCRIPT[2:] + bytes(12)]),
)
def test_whatever_is_sent_is_looked_at_or_refused(middle: bytes, start: int, length: int, script: bytes) -> None:
    whole = base64.b64decode(EXAMPLES[1][1])
    changed = whole[:start] + middle + whole[start + length :]
    assert is_signed(script, "Hello World", changed) is (changed == whole and script == SCRIPT)
