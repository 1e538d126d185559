"""That an entry is in the audit chain, shown to somebody who knows a later head and has nothing but SHA-256.

    hash = SHA-256( hash of the entry before ++ SHA-256(content) )        both as 64 lower-case hex digits

`content` is the entry's canonical JSON. A proof is the entry's content, the hash before it, and for every later entry
up to the head the digest of its content: not what it says. It comes in pages; this file checks it and needs only the
standard library, so that it can be copied to who has no swapd.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HEX = re.compile("[0-9a-f]{64}")


class NotProven(Exception):
    """What was shown does not prove anything; says why."""


@dataclass(frozen=True)
class Proven:
    """content: of the entry, as JSON text. head: number and hash of the entry that it was proven against."""

    seq: int
    content: str
    head: tuple[int, str]


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def link(prev_hash: str, content_digest: str) -> str:
    """The hash of an entry, from the one before and its content's digest."""
    return digest(prev_hash + content_digest)


def follow(last: str, step: object) -> str:
    """One entry further: `step` is the digest of its content, or, for an entry from before there were proofs, the whole
    text that its hash is of."""
    if isinstance(step, str) and _HEX.fullmatch(step):
        return link(last, step)
    text = step.get("text") if isinstance(step, Mapping) else None
    if not isinstance(text, str) or _fields(text).get("prev_hash") != last:
        raise NotProven("a step does not follow from the one before")
    return digest(text)


def check(pages: Sequence[Mapping[str, Any]], known: tuple[int, str] | None = None) -> Proven:
    """Check a proof, all its pages in order; raises `NotProven`.

    known: number and hash of a head that was kept elsewhere. Without it the proof's own head is taken: then it shows no
    more than that the proof fits together.
    """
    if not pages:
        raise NotProven("there is nothing in it")
    text, prev_hash = _text(pages[0], "content"), _text(pages[0], "prev_hash")
    fields = _fields(text)
    seq = fields.get("seq")
    if not isinstance(seq, int) or not _HEX.fullmatch(prev_hash):
        raise NotProven("it does not begin with an entry")
    last = follow(prev_hash, {"text": text} if "prev_hash" in fields else digest(text))
    at = seq
    for step in _steps(pages, seq):
        at, last = at + 1, follow(last, step)
    head = known or _head(pages[0])
    if (at, last) != head:
        raise NotProven(f"it leads to entry {at} with the hash {last}, not to entry {head[0]} with {head[1]}")
    return Proven(seq, text, head)


def _steps(pages: Iterable[Mapping[str, Any]], seq: int) -> Iterable[object]:
    at = seq
    for page in pages:
        steps = page.get("steps")
        if page.get("after") != at or not isinstance(steps, list):
            raise NotProven(f"the page that goes on after entry {at} is missing")
        yield from steps
        at += len(steps)


def _head(page: Mapping[str, Any]) -> tuple[int, str]:
    head = page.get("head")
    if not isinstance(head, Mapping):
        raise NotProven("it names no head")
    seq, value = head.get("seq"), head.get("hash")
    if not isinstance(seq, int) or not isinstance(value, str):
        raise NotProven("it names no head")
    return seq, value


def _text(page: Mapping[str, Any], name: str) -> str:
    value = page.get(name)
    if not isinstance(value, str):
        raise NotProven(f"it has no {name}")
    return value


def _fields(text: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise NotProven("an entry in it is no JSON") from None
    if not isinstance(fields, dict):
        raise NotProven("an entry in it is no JSON object")
    return fields
