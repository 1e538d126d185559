"""Finding secrets in whatever is to be written down, and putting `[redacted]` in their place (rule S9).

It knows two kinds. What this process knows to be secret (`vault/known.py`: seed, keys, preimages, passphrases) is found
in any usual encoding, in any nesting, and in part. And what looks like a secret is one: credentials in URLs and
headers, API keys, seed words, private keys in the forms that wallets export.

What it can not find: a known secret that was encrypted, compressed or hashed; one that is strewn over a text in parts
of less than 15 bytes; one of under 8 bytes (a short password); one that this process never held, without a form of its
own. It is the last line, not the first: nothing in swapd logs a secret in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from eth_account.hdaccount.mnemonic import Mnemonic

from swapd.telemetry.encodings import readings, runs
from swapd.vault.known import KNOWN, KnownSecrets

REDACTED = "[redacted]"

MOST_CHARACTERS = 20_000
"""Of one text. Nobody reads more of a line, and looking costs time: the rest is cut off."""

FEWEST_CHARACTERS = 8
"""In which a part of a secret could stand that is long enough to be known, however it is written."""

MOST_ITEMS = 200
DEEPEST = 8

_BIG = 2**64
"""A whole number from here on may be a key, and is looked at as bytes."""

_SECRET_NAMES = re.compile(
    r"(?i)(?:^|_|-)(?:pass(?:word|phrase|wd)|mnemonic|seed(?:_?words)?|private_?key|preimage|authorization|cookie"
    r"|api_?key|access_?token|token|client_?secret|hmac_?key)$"
)
"""Names of fields whose text is never shown, whatever it is."""

_BY_ITS_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # user and password of a URL, however odd: everything from the scheme to the last @
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)(?!\[redacted\]@[^@]*$)[^\s\"'<>]*@"), rf"\1{REDACTED}@"),
    # providers put the key into the path
    (re.compile(r"(?i)\b((?:https?|wss?)://[^\s\"'<>]*?/)(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{20,}"), rf"\1{REDACTED}"),
    (
        re.compile(
            r"(?i)([?&;](?:api[-_]?key|key|token|access_token|secret|password|passwd|pwd|sig|signature|auth)=)"
            r"(?!\[redacted\])[^&\s\"'<>#]+"
        ),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|(?:set-)?cookie|passphrase|password|private[_ ]key)"
            r"([\"']?\s*[:=]\s*[\"']?)(?!\[redacted\]|bearer|basic)[^\s\"',;}]{4,}"
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+)(?!\[redacted\])[A-Za-z0-9._~+/=-]{8,}"), rf"\1\2{REDACTED}"),
    (re.compile(r"\b(swk|whsec)_[A-Za-z0-9._~+/=-]+"), REDACTED),
    (re.compile(r"\b[xyzuvtXYZUVT]prv[1-9A-HJ-NP-Za-km-z]{80,}"), REDACTED),
    (re.compile(r"\b[5KLc9][1-9A-HJ-NP-Za-km-z]{50,51}\b"), REDACTED),  # WIF
)

_FEWEST_WORDS = 6
"""So many words of the BIP-39 list in a row are a part of a seed. Ordinary sentences have "the" and "is" in them, which
are none of its words."""

_FURTHEST = 8
"""Characters between two of them: a comma, a line's end, a number."""


class Redactor:
    def __init__(self, known: KnownSecrets = KNOWN) -> None:
        self._known = known

    def text(self, text: str) -> str:
        """The same without secrets. Applied again, it changes nothing. Never raises."""
        try:
            return self._text(text)
        except Exception:  # noqa: BLE001 - a log line is no place to fail, and what was not looked through is not shown
            return REDACTED

    def finds(self, text: str) -> bool:
        """Whether there is any in it. Never raises."""
        try:
            return _without_looks(text) != text or self._wrapped(text)
        except Exception:  # noqa: BLE001 - as above
            return True

    def value(self, value: Any) -> Any:
        """The same as plain values that JSON has, without secrets, whatever it is made of. Never raises."""
        try:
            return self._value(value, 0)
        except Exception:  # noqa: BLE001 - as above: somebody else's `__iter__` may do anything
            return REDACTED

    def _text(self, text: str) -> str:
        if len(text) < FEWEST_CHARACTERS:
            return text
        if len(text) > MOST_CHARACTERS:
            text = f"{text[:MOST_CHARACTERS]} ... ({len(text) - MOST_CHARACTERS} characters more)"
        text = _without_looks(text)
        if any(self._known.within(content) for _, content in readings(text)):
            return REDACTED  # it can not be cut out of its escapes
        text = runs(text, self._known.within, REDACTED)
        return REDACTED if self._wrapped(text) else text

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, Enum):
            return self._value(value.value, depth + 1) if depth < DEEPEST else REDACTED
        if isinstance(value, int):
            return REDACTED if abs(value) >= _BIG and self._number(abs(value)) else int(value)
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(bytes(value))
        if depth >= DEEPEST:
            return REDACTED
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._several(list(value), depth)
        if is_dataclass(value) and not isinstance(value, type):
            shown = {each.name: getattr(value, each.name) for each in fields(value) if each.repr}
            return self._mapping(shown, depth)
        return self.text(_repr(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, each in list(value.items())[:MOST_ITEMS]:
            name = self._value(key, depth + 1)
            name = name if isinstance(name, str) else str(name)
            named = isinstance(each, str | bytes | bytearray) and bool(each) and _SECRET_NAMES.search(name)
            shown[name] = REDACTED if named else self._value(each, depth + 1)
        return shown

    def _several(self, values: list[Any], depth: int) -> Any:
        numbers = bytes(each & 0xFF for each in values if isinstance(each, int))
        if self._known.within(numbers):
            return REDACTED
        shown = [self._value(each, depth + 1) for each in values[:MOST_ITEMS]]
        texts = ", ".join(each for each in shown if isinstance(each, str))
        return REDACTED if self.text(texts) != texts else shown

    def _bytes(self, value: bytes) -> str:
        if self._known.within(value):
            return REDACTED
        return self.text(repr(value))

    def _number(self, value: int) -> bool:
        length = (value.bit_length() + 7) // 8
        return any(self._known.within(value.to_bytes(length, order)) for order in ("big", "little"))

    def _wrapped(self, text: str) -> bool:
        found = self._known.within
        return any(found(content) or runs(reading, found, "") != reading for reading, content in readings(text))


def _without_looks(text: str) -> str:
    for pattern, put in _BY_ITS_LOOKS:
        text = pattern.sub(put, text)
    return _without_seed_words(text)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - somebody else's `__repr__`, and a log line is no place to fail
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


@cache
def _seed_words() -> frozenset[str]:
    return frozenset(Mnemonic().wordlist)


def _without_seed_words(text: str) -> str:
    """Where six or more words of the list follow each other, whatever numbers and signs stand between them."""
    known = _seed_words()
    row: list[re.Match[str]] = []
    cuts: list[tuple[int, int]] = []

    def ends(row: list[re.Match[str]]) -> None:
        if len(row) >= _FEWEST_WORDS:
            cuts.append((row[0].start(), row[-1].end()))

    lower, last = text.lower(), 0
    for match in re.finditer(r"[a-z]+", lower):
        apart = bool(row) and match.start() - last > _FURTHEST
        if apart or match[0] not in known:
            ends(row)
            row = []
        if match[0] in known:
            row.append(match)
        last = match.end()
    ends(row)
    for start, end in reversed(cuts):
        text = text[:start] + REDACTED + text[end:]
    return text
