"""Addresses: 20 bytes, written with the EIP-55 checksum."""

from __future__ import annotations

import re

from eth_utils.address import to_checksum_address

from swapd.errors import Invalid

ZERO_ADDRESS = "0x" + 40 * "0"

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def checksummed(field: str, text: str) -> str:
    """An address as a person gives it, in its one true form. Raises Invalid naming `field`.

    All lower or all upper case says nothing about the checksum and is taken (EIP-55); mixed case must be right.

    >>> checksummed("receiver", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    if not _ADDRESS.fullmatch(text):
        raise Invalid(field, text, "an Ethereum address: 0x and 40 hex digits")
    address: str = to_checksum_address(text)
    digits = text[2:]
    if text != address and digits not in (digits.lower(), digits.upper()):
        raise Invalid(field, text, "an address whose capital letters match its EIP-55 checksum; a letter may be wrong")
    if address == ZERO_ADDRESS:
        raise Invalid(field, text, "an address that belongs to somebody, not zero")
    return address
