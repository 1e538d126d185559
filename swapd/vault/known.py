"""Which values are secret: told by whatever makes one, asked by whatever writes something down (rule S9).

No secret is kept here, only hashes of pieces of it, 64 bits each, in memory and never anywhere else. What is asked
about is cut at every byte, what is secret at every `PIECE` bytes: so a secret is found wherever it stands, and so is
any part of it with twice as many bytes. Words (a passphrase) are found as a whole: their pieces may be language.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Final

from bitcoin.base58 import encode as base58

PIECE = 8
"""Bytes. That two have the same hash by chance does not happen; shorter ones, as digits of a time, would."""

LEAST_VARIETY = 4
"""Different bytes in a piece. Zeros and the like are in every log, and in no secret but those of tests."""

MOST_PASSING = 10_000
"""Secrets of swaps, of which there are ever more: some 15 MB. The oldest are forgotten first, and are known again when
they are derived again."""


class KnownSecrets:
    """Safe to use from several threads."""

    def __init__(self, most_passing: int = MOST_PASSING) -> None:
        self._most_passing = most_passing
        self._pieces: set[int] = set()
        self._words: dict[int, frozenset[tuple[int, int]]] = {}
        self._passing: deque[tuple[int, ...]] = deque()
        self._lock = Lock()

    def add(self, secret: bytes, *, passing: bool = False) -> None:
        """passing: one of very many, as each swap has one. What is shorter than a piece can not be told from chance,
        and is not kept."""
        if len(secret) < PIECE:
            return
        if secret.isascii() and secret.decode("ascii").isprintable():
            with self._lock:
                begin, whole = hash(secret[:PIECE]), (len(secret), hash(secret))
                # a new set in place of the old one, through which somebody else may be going
                self._words[begin] = self._words.get(begin, frozenset()) | {whole}
            return
        if all(hash(piece) in self._pieces for piece in _cut(secret)):
            return  # derived again
        forms = (secret, secret[::-1], base58(secret).encode())  # nodes print hashes backwards; base 58 has no pieces
        pieces = tuple(hash(piece) for form in forms for piece in _cut(form))
        with self._lock:
            self._pieces.update(pieces)
            if passing:
                self._passing.append(pieces)
            while len(self._passing) > self._most_passing:
                self._pieces.difference_update(self._passing.popleft())

    def within(self, content: bytes) -> bool:
        """Whether any of these bytes are a secret, or much of one."""
        pieces, words = self._pieces, self._words
        for start in range(len(content) - PIECE + 1):
            piece = hash(content[start : start + PIECE])
            if piece in pieces:
                return True
            if piece in words and any(hash(content[start : start + n]) == whole for n, whole in words[piece]):
                return True
        return False


def _cut(content: bytes) -> list[bytes]:
    pieces = [content[start : start + PIECE] for start in range(0, len(content) - PIECE + 1, PIECE)]
    return [piece for piece in pieces if len(set(piece)) >= LEAST_VARIETY]


KNOWN: Final = KnownSecrets()
"""Of this process. Every `Secret` is in it as soon as it is made, and every preimage as soon as it is derived."""
