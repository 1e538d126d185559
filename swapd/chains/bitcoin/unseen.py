"""What no block shows of a leg before it is spent, in the form in which a recovery note carries it (rule S14).

    the other side, 32 bytes | low 16 bits of the timelock

The mark says what the 32 bytes are: the x coordinate of a public key, or the hash in an address, with zeros behind it.
An address is all there is where swapd's own key signs for its owner, and a key where its owner signs.
"""

from __future__ import annotations

from collections.abc import Iterator

from swapd.chains.bitcoin.address import address_of, output_script
from swapd.chains.bitcoin.script import parse_pubkey
from swapd.chains.bitcoin.settings import Network
from swapd.errors import Invalid
from swapd.protocol.note import Unseen
from swapd.protocol.terms import Leg, Wallet
from swapd.protocol.timelock import LONGEST_TIMELOCK

_SIDE_BYTES = 32
_SPAN = 2**16

_KEYS = {2: 1, 3: 2}
"""Marks of compressed keys, by their first byte."""

_SCRIPTS = {
    3: (b"\x76\xa9\x14", 20, b"\x88\xac"),
    4: (b"\xa9\x14", 20, b"\x87"),
    5: (b"\x00\x14", 20, b""),
    6: (b"\x00\x20", 32, b""),
    7: (b"\x51\x20", 32, b""),
}
"""Marks of addresses: what stands before the hash in their script, its length, and what stands behind."""


def unseen(leg: Leg, network: Network) -> Unseen:
    """Of this leg, seen from swapd's side: what swapd's keys do not tell."""
    if leg.funded_by is Wallet.HOT:
        by_swapd, key, address = leg.claim_by_swapd, leg.terms.receiver, leg.pay_to
    else:
        by_swapd, key, address = leg.refund_by_swapd, leg.terms.sender, leg.refund_to
    mark, side = _of_script(output_script(address, network, "address")) if by_swapd else _of_key(bytes.fromhex(key))
    return Unseen(mark, side.ljust(_SIDE_BYTES, b"\0") + (leg.terms.timelock % _SPAN).to_bytes(2))


def other_side(given: Unseen, network: Network) -> str | None:
    """The key (hex) or address that it tells of; None if it makes no sense: anybody may write notes."""
    side = given.body[:_SIDE_BYTES]
    try:
        for first, mark in _KEYS.items():
            if mark == given.mark:
                return parse_pubkey((bytes([first]) + side).hex(), "note").hex()
        before, length, behind = _SCRIPTS[given.mark]
        return address_of(before + side[:length] + behind, network)
    except (Invalid, KeyError, ValueError):
        return None


def timelocks(given: Unseen, since: int) -> Iterator[int]:
    """All that it can mean to a lock that is about as old as `since`, Unix seconds; the nearest first."""
    low = int.from_bytes(given.body[_SIDE_BYTES:])
    first = since - since % _SPAN + low
    return iter(range(first - _SPAN if first > since else first, since + LONGEST_TIMELOCK, _SPAN))


def _of_key(key: bytes) -> tuple[int, bytes]:
    return _KEYS[key[0]], key[1:]


def _of_script(script: bytes) -> tuple[int, bytes]:
    for mark, (before, length, behind) in _SCRIPTS.items():
        if len(script) == len(before) + length + len(behind) and script.startswith(before) and script.endswith(behind):
            return mark, script[len(before) : len(before) + length]
    raise Invalid("address", script.hex(), "an address of a kind in use")
