"""Where settings come from: TOML files and environment variables, read into keys with their values and origins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from swapd.errors import Invalid
from swapd.settings.keys import ROOT, Key, Leaf, Named, Node, Table, dotted, suggestion

PREFIX = "SWAPD__"
SEPARATOR = "__"


class Words(str):
    """Stands in an error for a value that is not there or not to be shown: no quotation marks around it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Given:
    """A value that somebody wrote down. source: for people. folder: what a relative path in it is relative to."""

    value: Any
    source: str
    folder: Path


GivenKeys: TypeAlias = dict[Key, Given]


def read_file(path: Path) -> GivenKeys:
    """The keys of a TOML file. Raises Invalid if it can not be read, or has a key that does not exist."""
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise Invalid("configuration", str(path), f"a file that can be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Invalid("configuration", str(path), "a text file in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise Invalid("configuration", str(path), f"a file in TOML: {error}") from None
    source, folder = str(path), path.absolute().parent
    return {key: Given(value, source, folder) for key, value in _flat(tables, ROOT, (), source)}


def read_environment(environ: Mapping[str, str], below: GivenKeys, folder: Path) -> GivenKeys:
    """The keys given by variables `SWAPD__SECTION__KEY`, upper or lower case.

    Values are TOML where the setting is no text and they can be read as TOML, else text as it stands. below: the keys
    of the files, from which names such as an asset's are taken in their own case. folder: for relative paths.
    """
    given: GivenKeys = {}
    for variable in sorted(environ):
        if variable.upper().startswith(PREFIX):
            words = tuple(variable[len(PREFIX) :].split(SEPARATOR))
            source = f"the variable {variable}"
            key, leaf = _known(words, below, source)
            value = _value(environ[variable], leaf)
            given[key] = Given(value, source, folder)
    return given


def unknown_key(key: Key, source: str) -> Invalid:
    return Invalid(dotted(key), Words("a key that does not exist"), f"{suggestion(key)} (in {source})")


def _flat(value: Any, node: Node, key: Key, source: str) -> Iterator[tuple[Key, Any]]:
    if isinstance(node, Leaf):
        yield key, value
        return
    if not isinstance(value, dict):
        # not shown: text in a place where none belongs may be anything
        raise Invalid(dotted(key), Words(f"a {type(value).__name__}"), f"a table of keys (in {source})")
    for part, below in value.items():
        child = node.each if isinstance(node, Named) else node.nodes.get(part)
        if child is None:
            raise unknown_key((*key, part), source)
        yield from _flat(below, child, (*key, part), source)


def _known(words: tuple[str, ...], below: GivenKeys, source: str) -> tuple[Key, Leaf]:
    """The key that a variable's words spell, whatever their case."""
    node: Node = ROOT
    key: Key = ()
    for word in words:
        if isinstance(node, Named):
            names = {other[len(key)] for other in below if other[: len(key)] == key}
            key = (*key, next((name for name in sorted(names) if name.casefold() == word.casefold()), word))
            node = node.each
        elif isinstance(node, Table) and word.lower() in node.nodes:
            key = (*key, word.lower())
            node = node.nodes[word.lower()]
        else:
            raise unknown_key((*key, *(w.lower() for w in words[len(key) :])), source)
    if not isinstance(node, Leaf):
        raise Invalid(dotted(key), Words("a value"), f"a key in this table, one of the tables of swapd (in {source})")
    return key, node


def _value(text: str, leaf: Leaf) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    if set(parsed) != {"value"} or (leaf.is_text and not isinstance(parsed["value"], str)):
        return text
    return parsed["value"]
