"""Amounts and times as people read them, and what a stranger says as it may be shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def in_units(amount: int, decimals: int) -> str:
    """An exact decimal number.

    >>> in_units(1_500_000_000_000_000_000, 18)
    '1.5'
    """
    if decimals == 0:
        return str(amount)
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")


def moment(unix_seconds: int) -> str:
    """Anybody may lock with any timelock: one that no calendar holds is shown as it is.

    >>> moment(1_700_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"second {unix_seconds}"


_BYTES_IN_WORDS = re.compile(
    r"[A-Za-z0-9+/]{43,}=?"  # hex, base 64
    r"|(?:\d{1,3}[,;]\s*){31,}\d{1,3}"  # [1, 2, …]
    r"|\S*(?:\\x?[0-9a-fA-F]{2}|\ufffd)\S*"  # \xff, \ff as Candid has it, or the bytes themselves
)
"""Nodes and canisters may repeat what they were told; in a claim that is the secret (rule S9)."""


def quoted(words: str, most: int = 300) -> str:
    """What a stranger says, fit to be shown in one line.

    >>> quoted("bad-txns " + "5e" * 32)
    'bad-txns …'
    """
    # no more is looked at than may be needed: one can say any amount
    printable = "".join(each if each.isprintable() else " " if each.isspace() else "\ufffd" for each in words[:100_000])
    return _BYTES_IN_WORDS.sub("…", printable)[:most].strip()
