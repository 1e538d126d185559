"""What a note says of a Bitcoin leg: every kind of counterparty, there and back."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey

from swapd.chains.bitcoin.address import address_of, output_script
from swapd.chains.bitcoin.settings import Network
from swapd.chains.bitcoin.unseen import other_side, timelocks, unseen
from swapd.protocol.note import UNSEEN_BYTES, Unseen
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, Wallet

NOW = 1_790_000_000
OURS, THEIRS, ODD = (PrivateKey(bytes([n]) * 32).public_key.format().hex() for n in (1, 2, 4))
ADDRESSES: list[tuple[str, Network]] = [
    ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "main"),
    ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "main"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "main"),
    ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "main"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "main"),
]


def leg(*, sends: bool, by_swapd: bool, key: str = THEIRS, address: str = "", timelock: int = NOW + 7200) -> Leg:
    sender, receiver = (OURS, key) if sends else (key, OURS)
    terms = LegTerms(Asset("BTC", "bitcoin", 8), 1000, bytes(32), sender, receiver, timelock, NOW)
    return Leg(
        role=Role.INITIATOR,
        terms=terms,
        funded_by=Wallet.HOT if sends else Wallet.EXTERNAL,
        claimed_by=Wallet.EXTERNAL if sends else Wallet.HOT,
        pay_to=address if sends else "ours",
        refund_to="ours" if sends else address,
        claim_by_swapd=by_swapd or not sends,
        refund_by_swapd=by_swapd or sends,
        claim_waived=False,
        confirmations=1,
        lock_by=NOW,
    )


@pytest.mark.parametrize("sends", [True, False], ids=["they_claim", "they_refund"])
@pytest.mark.parametrize("key", [THEIRS, ODD])
def test_s14_a_counterparty_with_a_key_is_found_again(sends: bool, key: str) -> None:
    given = unseen(leg(sends=sends, by_swapd=False, key=key), "regtest")
    assert len(given.body) == UNSEEN_BYTES
    assert other_side(given, "regtest") == key


@pytest.mark.parametrize("sends", [True, False], ids=["they_claim", "they_refund"])
@pytest.mark.parametrize(("address", "network"), ADDRESSES)
def test_s14_a_counterparty_with_an_address_is_paid_there(sends: bool, address: str, network: Network) -> None:
    given = unseen(leg(sends=sends, by_swapd=True, address=address), network)
    assert other_side(given, network) == address
    assert address_of(output_script(address, network, "address"), network) == address


@pytest.mark.parametrize("after", [0, 1, 3600, 65_535, 65_536, 65_537, 10 * 86_400, 29 * 86_400])
def test_s14_the_timelock_is_among_those_that_are_tried(after: int) -> None:
    given = unseen(leg(sends=True, by_swapd=False, timelock=NOW + 1 + after), "regtest")
    tried = list(timelocks(given, NOW))
    assert NOW + 1 + after in tried
    assert len(tried) < 50


@pytest.mark.parametrize("mark", range(8))
def test_a_note_of_a_stranger_is_a_side_or_nothing(mark: int) -> None:
    for byte in (b"\0", b"\x11", b"\xff"):
        other_side(Unseen(mark, byte * UNSEEN_BYTES), "main")
