"""The audit log of a swap as sentences. What is not known here is shown as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from swapd.store import AuditEntry


def sentence(entry: AuditEntry) -> str:
    """One line of a swap's story."""
    data: dict[str, Any] = json.loads(entry.data)
    tell = _TELL.get(entry.event)
    try:
        return tell(data) if tell else _plain(entry.event, data)
    except (KeyError, TypeError):  # an entry of an older swapd
        return _plain(entry.event, data)


def _plain(event: str, data: dict[str, Any]) -> str:
    return " ".join([event, *(f"{key}={value}" for key, value in data.items() if value not in (None, ""))])


def _status(data: dict[str, Any]) -> str:
    return f"{data['before']} → {data['after']}: {data['note']}"


def _legs(data: dict[str, Any]) -> str:
    return "; ".join(_leg(role, seen) for role, seen in data.items())


def _leg(role: str, seen: dict[str, Any]) -> str:
    by = seen["spend_txid"] or seen["lock_txid"]
    strays = len(json.loads(seen["strays"]))
    return (
        f"the {role} leg is {seen['state']}"
        + (f" by {by}" if by else "")
        + (f", and {strays} locks are there that are not it" if strays else "")
    )


def _signed(data: dict[str, Any]) -> str:
    what = "a transaction that takes it back" if data["voiding"] else "a transaction"
    number = "" if data["sequence"] is None else f" under nonce {data['sequence']}"
    return f"{data['effect']}: signed {what}, {data['txid']}{number}, which costs at most {data['fee']}"


def _fate(words: str) -> Callable[[dict[str, Any]], str]:
    return lambda data: f"{data['effect']}: {data['txid']} {words}"


def _effect(words: str) -> Callable[[dict[str, Any]], str]:
    return lambda data: f"{data['effect']} {words}" + (f": {data['error']}" if data["error"] else "")


_TELL: dict[str, Callable[[dict[str, Any]], str]] = {
    "swap added": lambda data: f"the swap was agreed, and is {data['status']}",
    "swap cancelled": lambda data: f"called off: {data['why']}",
    "status": _status,
    "legs": _legs,
    "secret revealed": lambda _: "the secret is about to be shown: from here on it counts as public",
    "recovered": lambda data: (
        "found again from the seed and the chains" + (f"; {data['missing']}" if data["missing"] else "")
    ),
    "dispute opened": lambda data: f"dispute {data['dispute']} was opened, which freezes it: {data['reason']}",
    "dispute note": lambda data: f"dispute {data['dispute']}: {data['note']}",
    "dispute resumed": lambda data: f"dispute {data['dispute']} was decided, and it goes on: {data['why']}",
    "dispute forced": lambda data: (
        f"dispute {data['dispute']} was decided, and what is locked goes back: {data['why']}"
    ),
    "signed by its owner": lambda data: (
        f"the owner of the {data['role']} leg handed in its {data['effect']}, signed: {data['txid']}"
    ),
    "consent given": lambda data: f"the receiver of the {data['role']} leg, {data['by']}, gives it back",
    "approval given": lambda data: f"{data['by']} approved it",
    "approval withdrawn": lambda data: f"{data['by']} took its approval back",
    "sightings forgotten": lambda _: "what chains had shown of it was damaged here, and is looked for again",
    "refund asked for": lambda _: "a refund was asked for",
    "transaction signed": _signed,
    "transaction sent": _fate("is handed to the network"),
    "transaction missing": _fate("is not known to the node, and is sent again"),
    "transaction pending": _fate("waits for a block"),
    "transaction mined": _fate("is in a block"),
    "transaction failed": _fate("is in a block, without its effect"),
    "transaction replaced": _fate("can not be mined any more: another one took its place"),
    "effect wanted": _effect("is wanted"),
    "effect signed": _effect("is signed"),
    "effect sent": _effect("is on its way"),
    "effect done": _effect("is done, finally"),
    "effect void": _effect("was given up"),
}
