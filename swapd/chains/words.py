"""Amounts and times as people read them."""

from __future__ import annotations

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
