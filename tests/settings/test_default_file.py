"""`config/default.toml` is the one place where every setting stands."""

from __future__ import annotations

import tomllib

from docs.commented import Entry, entries
from swapd.chains.registry import REGISTRY
from swapd.settings.keys import ROOT, Key, Named, dotted, find, leaves
from swapd.settings.loading import DEFAULTS
from swapd.settings.sources import read_file

FEWEST_WORDS = 5
"""Of a comment that says what a setting means and why it has its value."""


def expected_keys() -> set[Key]:
    """Every key of every model, with the names that default.toml chose where a model leaves them open."""
    keys = set()
    for key in leaves():
        if "*" not in key:
            keys.add(key)
            continue
        at = key.index("*")
        table = tomllib.loads(DEFAULTS.read_text())
        for part in key[:at]:
            table = table[part]
        keys |= {(*key[:at], name, *key[at + 1 :]) for name in table}
    return keys


def test_every_setting_has_a_default_and_no_default_is_stale() -> None:
    assert set(read_file(DEFAULTS)) == expected_keys()


def test_every_setting_has_its_meaning_above_it() -> None:
    bare = [dotted(e.key) for e in entries() if e.value and len(e.comment.split()) < FEWEST_WORDS]
    assert not bare


def test_every_table_says_what_it_is_for() -> None:
    assert not [dotted(e.key) for e in entries() if not e.value and len(e.comment.split()) < FEWEST_WORDS]


def test_the_reader_of_comments_sees_all_that_toml_sees() -> None:
    assert {e.key for e in entries() if e.value} == set(read_file(DEFAULTS))


def test_the_reader_of_comments_can_tell_a_bare_key() -> None:
    text = "# What a table is for, in words.\n[a]\n\nbare = 1\n# said\ntold = [\n  2,\n]\n"
    assert entries(text) == [
        Entry(("a",), "What a table is for, in words."),
        Entry(("a", "bare"), "", "1"),
        Entry(("a", "told"), "said", "[  2,]"),
    ]


def test_every_registered_chain_has_its_table() -> None:
    assert set(tomllib.loads(DEFAULTS.read_text())["chains"]) == set(REGISTRY)


def test_names_are_open_only_where_a_model_says_so() -> None:
    assert isinstance(find(("chains", "bitcoin", "assets")), Named)
    assert find(("chains", "dogecoin")) is None
    assert set(ROOT.nodes) == {
        *("daemon", "database", "vault", "entry", "api", "events", "webhooks", "tracing"),
        *("watchtower", "devnet", "chains"),
    }
