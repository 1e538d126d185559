"""The audit log in sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import swapd
from swapd.chains.base import TxState
from swapd.coordinator import sentences
from swapd.coordinator.sentences import sentence
from swapd.store import AuditEntry, DisputeState, EffectState

SOURCES = Path(swapd.__file__).parent
NOT_OF_A_SWAP = ("request ", "answer ", "key ", "webhook ")
"""How events begin that are told elsewhere: of requests, keys and webhooks."""


def entry(event: str, **data: Any) -> AuditEntry:
    return AuditEntry(1, 0, "swapd", "id", event, json.dumps(data), "", "")


def test_every_event_about_a_swap_has_its_sentence() -> None:
    said = {
        event
        for file in SOURCES.rglob("*.py")
        for event in re.findall(r'audit\(\s*"([a-z ]+)"', file.read_text())
        if not event.startswith(NOT_OF_A_SWAP)
    }
    assert len(said) >= 6
    fated = {f"transaction {state}" for state in TxState} | {f"effect {state}" for state in EffectState} - {
        "effect failed"
    }
    decided = {f"dispute {state}" for state in DisputeState} - {"dispute open"}
    assert said | fated | decided == set(sentences._TELL)


@pytest.mark.parametrize(
    ("event", "data", "words"),
    [
        ("swap added", {"terms": "ff", "status": "proposed"}, "the swap was agreed, and is proposed"),
        ("status", {"before": "accepted", "after": "expired", "note": "late"}, "accepted → expired: late"),
        (
            "legs",
            {"initiator": {"state": "locked", "lock_txid": "ab", "spend_txid": None, "strays": "[]"}},
            "the initiator leg is locked by ab",
        ),
        (
            "legs",
            {"participant": {"state": "absent", "lock_txid": None, "spend_txid": None, "strays": '[{"a": 1}]'}},
            "the participant leg is absent, and 1 locks are there that are not it",
        ),
        (
            "transaction signed",
            {"effect": "lock:initiator", "txid": "ab", "fee": "5", "sequence": 7, "voiding": False},
            "lock:initiator: signed a transaction, ab under nonce 7, which costs at most 5",
        ),
        ("transaction mined", {"effect": "lock:initiator", "txid": "ab"}, "lock:initiator: ab is in a block"),
        ("effect sent", {"effect": "claim:initiator", "error": "no"}, "claim:initiator is on its way: no"),
        ("something new", {"a": 1, "b": None}, "something new a=1"),
        ("status", {"of an": "older swapd"}, "status of an=older swapd"),
    ],
)
def test_it_reads_like_a_story(event: str, data: dict[str, Any], words: str) -> None:
    assert sentence(entry(event, **data)) == words
