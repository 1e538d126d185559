"""Values to JSON and back: exact, and strict about everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store_samples import make_terms

from swapd.errors import Invalid
from swapd.protocol.terms import SwapTerms
from swapd.store.codec import dumps, loads


def test_terms_come_back_equal_and_their_text_is_canonical() -> None:
    terms = make_terms(0)
    text = dumps(terms)
    assert loads(SwapTerms, text) == terms
    assert dumps(loads(SwapTerms, text)) == text
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text


def test_amounts_are_strings_and_bytes_are_hex() -> None:
    data = json.loads(dumps(make_terms(0)))["participant"]["terms"]
    assert data["amount"] == str(10**20 + 1)
    assert data["hashlock"] == make_terms(0).hashlock.hex()


def _with(path: str, value: Any) -> str:
    data = json.loads(dumps(make_terms(0)))
    *folders, name = path.split(".")
    place = data
    for folder in folders:
        place = place[folder]
    if value is KeyError:
        del place[name]
    else:
        place[name] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("index", "0"),
        ("index", True),
        ("index", 1.0),
        ("index", None),
        ("index", KeyError),
        ("colour", "red"),
        ("secret", "shared"),
        ("initiator", []),
        ("initiator.terms.amount", 123),
        ("initiator.terms.amount", "-1"),
        ("initiator.terms.amount", "1e3"),
        ("initiator.terms.hashlock", "xyz"),
        ("initiator.terms.hashlock", "00"),
        ("initiator.claim_waived", 0),
        ("participant.terms.timelock", 2**40),
        ("participant.confirmations", 0),
    ],
)
def test_anything_else_is_invalid(path: str, value: Any) -> None:
    with pytest.raises(Invalid):
        loads(SwapTerms, _with(path, value))


@pytest.mark.parametrize("text", ["", "{", "nan", "[" * 100_000, "[]", "null"])
def test_what_is_no_json_object_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        loads(SwapTerms, text)
