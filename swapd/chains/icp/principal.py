"""Principals and ICRC-1 accounts: bytes inside, text with its checksum at the edges.

Sources: IC interface specification, "Textual representation of principals"; ICRC-1, "Textual encoding of accounts".
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass

from ic.principal import Principal

from swapd.errors import Invalid

MANAGEMENT_CANISTER = b""
ANONYMOUS = b"\x04"
LARGEST = 29
SUBACCOUNT_BYTES = 32

_TEXT = "a principal in text, like rrkah-fqaaa-aaaaa-aaaaq-cai"
_ACCOUNT = "an ICRC-1 account: a principal, or principal-checksum.subaccount"


def text(principal: bytes) -> str:
    """Groups of five of lower-case base 32 of CRC-32 ‖ bytes."""
    if len(principal) > LARGEST:
        raise Invalid("principal", f"{len(principal)} bytes", f"at most {LARGEST} bytes")
    return str(Principal(principal).to_str())


def parse(field: str, words: str) -> bytes:
    """The reverse of `text`, and of nothing else: one principal has one text. Raises Invalid.

    ic-py's `from_str` raises strings, which Python turns into TypeErrors, and lets longer ones through.
    """
    grouped = words.replace("-", "")
    try:
        raw = base64.b32decode(grouped.upper() + "=" * (-len(grouped) % 8))
    except ValueError:  # binascii.Error is one
        raise Invalid(field, words, _TEXT) from None
    principal = raw[4:]
    if len(raw) < 4 or len(principal) > LARGEST or text(principal) != words:
        raise Invalid(field, words, _TEXT)
    return principal


@dataclass(frozen=True)
class Account:
    """Where a ledger of ICRC-1 keeps tokens. subaccount: 32 bytes, or None for the default one (32 zeros)."""

    owner: bytes
    subaccount: bytes | None = None

    def __post_init__(self) -> None:
        if len(self.owner) > LARGEST:
            raise Invalid("owner", f"{len(self.owner)} bytes", f"at most {LARGEST} bytes")
        if self.subaccount is not None and len(self.subaccount) != SUBACCOUNT_BYTES:
            raise Invalid("subaccount", f"{len(self.subaccount)} bytes", f"{SUBACCOUNT_BYTES} bytes")
        if self.subaccount == bytes(SUBACCOUNT_BYTES):  # two spellings of one account must be equal
            object.__setattr__(self, "subaccount", None)

    @property
    def text(self) -> str:
        """The owner alone for the default subaccount; else owner-checksum.hex, without leading zeros."""
        owner = text(self.owner)
        if self.subaccount is None:
            return owner
        return f"{owner}-{_checksum(self.owner, self.subaccount)}.{self.subaccount.hex().lstrip('0')}"


def parse_account(field: str, words: str) -> Account:
    """The reverse of `Account.text`, and of nothing else. Raises Invalid."""
    before, dot, tail = words.partition(".")
    if not dot:
        return Account(parse(field, words))
    owner, _, _checksum_text = before.rpartition("-")
    if not re.fullmatch("[1-9a-f][0-9a-f]{0,63}", tail):
        raise Invalid(field, words, _ACCOUNT)
    account = Account(parse(field, owner), bytes.fromhex(tail.rjust(2 * SUBACCOUNT_BYTES, "0")))
    if account.text != words:
        raise Invalid(field, words, _ACCOUNT)
    return account


def _checksum(owner: bytes, subaccount: bytes) -> str:
    return base64.b32encode(zlib.crc32(owner + subaccount).to_bytes(4, "big")).decode().lower().rstrip("=")
