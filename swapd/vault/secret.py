"""Bytes that must not be shown by accident."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from swapd.errors import Rejected
from swapd.vault.known import KNOWN


class Unshowable:
    """A thing that holds secrets: it does not travel by pickle or copy, and nothing of it shows unless it says so."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds secrets: it is never pickled or copied")


class Secret(Unshowable):
    """A seed, key or passphrase: `repr`, `str` and `format` show no byte of it.

    Functions of the vault pass these, not bytes, to each other: so even a traceback that prints local variables shows
    none. (What a person just typed wrongly is a plain `str` for as long as it is checked.)

    `wipe` overwrites our own copy. It is a best effort: Python cannot promise that no other copy was made, by
    `reveal`, by a library, or by the operating system's swap.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = bytearray(content)
        KNOWN.add(content)

    def reveal(self) -> bytes:
        """A copy of the secret bytes: keep it no longer than the next line needs it."""
        if not self._content:
            raise Rejected("this secret has been wiped from memory")
        return bytes(self._content)

    def wipe(self) -> None:
        """Overwrite the bytes with zeros and forget them. May be called again."""
        self._content[:] = bytes(len(self._content))
        self._content.clear()
