"""The ways in which bytes become text, undone: hex, base 64, 58 and 32, lists of numbers, one big number, escapes.

What may be an encoding is decoded in every alignment, because what stands before it may belong to it or not. What was
none comes out as bytes that mean nothing, and harms nobody.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

from bitcoin.base58 import decode as from_base58

_GAP = r"[^0-9A-Za-z]{0,4}(?:0?[xX])?"
"""What may stand between two digits of one value: `ab:cd`, `0xab, 0xcd`, `\\xab\\xcd`, `"ab", "cd"`."""


_Decoder = Callable[[str], Iterator[bytes]]


def runs(text: str, hit: Callable[[bytes], bool], put: str) -> str:
    """The text with every run of characters that may stand for bytes, and does for such that are a `hit`, replaced."""
    for pattern, decode in _FORMS:

        def replaced(match: re.Match[str], decode: _Decoder = decode) -> str:
            return put if any(hit(content) for content in decode(match[0])) else match[0]

        text = pattern.sub(replaced, text)
    return text


def readings(text: str) -> Iterator[tuple[str, bytes]]:
    """The text without its wrapping, in every way that is likely: as text to look for runs in, and as bytes. The first
    is the text itself. Escapes are undone three times: JSON in JSON of a `repr` has as many."""
    seen = {text}
    layer = [text]
    for _ in range(4):
        following = []
        for each in layer:
            yield each, each.encode("utf-8", "surrogatepass")
            if not each.isascii():
                yield each, each.encode("latin-1", "replace")  # bytes that were taken for text
            for change in (_unescape, _unquote, _squeeze):
                changed = change(each)
                if changed not in seen:
                    seen.add(changed)
                    following.append(changed)
        layer = following


# -- runs --------------------------------------------------------------------------------------------------------------


def _hex(run: str) -> Iterator[bytes]:
    digits = re.sub(r"0?[xX]|[^0-9a-fA-F]", "", run)
    for start in (0, 1):
        half = len(digits) - start
        yield bytes.fromhex(digits[start : start + half - half % 2])


def _list(run: str) -> Iterator[bytes]:
    yield bytes(int(number) & 0xFF for number in re.findall(r"[0-9]+", run))
    if "-" in run:  # signed bytes
        yield bytes(int(number) & 0xFF for number in re.findall(r"-?[0-9]+", run))


def _base64(run: str) -> Iterator[bytes]:
    plain = run.replace("-", "+").replace("_", "/")
    for start in range(4):
        part = plain[start:]
        yield base64.b64decode(part[: len(part) - (len(part) % 4 == 1)] + "==")


def _base58(run: str) -> Iterator[bytes]:
    yield from_base58(run)


def _base32(run: str) -> Iterator[bytes]:
    plain = run.upper()
    for start in range(8):
        part = plain[start:]
        part = part[: len(part) - len(part) % 8]
        yield base64.b32decode(part)


def _number(run: str) -> Iterator[bytes]:
    number = int(run)
    length = (number.bit_length() + 7) // 8
    yield number.to_bytes(length, "big")
    yield number.to_bytes(length, "little")


_FORMS: tuple[tuple[re.Pattern[str], _Decoder], ...] = (
    (re.compile(r"[0-9a-fA-F](?:" + _GAP + r"[0-9a-fA-F]){15,}"), _hex),
    (re.compile(r"-?[0-9]{1,3}(?:[^0-9A-Za-z]{1,4}[0-9]{1,3}){7,}"), _list),
    (re.compile(r"[A-Za-z0-9+/_-]{11,}"), _base64),
    (re.compile(r"[1-9A-HJ-NP-Za-km-z]{11,200}"), _base58),
    (re.compile(r"[A-Za-z2-7]{13,}"), _base32),
    (re.compile(r"[0-9]{19,200}"), _number),
)
"""Each run has at least as many characters as eight bytes need: shorter ones hold nothing that is looked for."""


# -- wrappings ---------------------------------------------------------------------------------------------------------

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{1,3}|[^\W\d_]|[^\w])", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def _unescape(text: str) -> str:
    """`\\x0a`, `\\u000a`, `\\12`, `\\n` as they are written by Python, JSON, C and shells."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    inner = match[1]
    if inner[0] in "xu" and len(inner) > 1:
        return chr(int(inner[1:], 16))
    if inner.isascii() and inner.isdigit():
        return chr(int(inner, 8))
    return _LETTERS.get(inner, inner)


def _unquote(text: str) -> str:
    """`%0A`, as in URLs."""
    return unquote_to_bytes(text).decode("latin-1") if "%" in text else text


def _squeeze(text: str) -> str:
    """Without white space: encodings are wrapped to lines, and read out in groups."""
    return re.sub(r"(?:\s|\\[nrt])+", "", text)
