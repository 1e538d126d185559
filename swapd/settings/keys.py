"""Which keys a configuration may have. Read from the models, so that there is no second list to keep."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import isclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from swapd.chains.registry import REGISTRY
from swapd.chains.settings import Section
from swapd.settings.models import SECTIONS

Key: TypeAlias = tuple[str, ...]
"""("chains", "bitcoin", "rpc_url"), written chains.bitcoin.rpc_url."""


@dataclass(frozen=True)
class Leaf:
    """A key with a value. is_path, is_text: kinds of text; optional: "" stands for none, a word that TOML lacks."""

    is_path: bool
    is_text: bool
    optional: bool


@dataclass(frozen=True)
class Table:
    """A section with a fixed set of keys."""

    nodes: Mapping[str, Node]


@dataclass(frozen=True)
class Named:
    """A table whose keys are names that the operator chooses, such as the symbols of assets."""

    each: Node


Node: TypeAlias = Leaf | Table | Named


def dotted(key: Key) -> str:
    return ".".join(key)


def node_of(annotation: Any) -> Node:
    """What a model's field makes of its key."""
    if isclass(annotation) and issubclass(annotation, Section):
        return Table({name: node_of(field.annotation) for name, field in annotation.model_fields.items()})
    if get_origin(annotation) is dict:
        return Named(node_of(get_args(annotation)[1]))
    kinds = set(_kinds(annotation))
    return Leaf(Path in kinds, bool(kinds & {Path, str, Literal}), type(None) in kinds)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The plain types of an annotation; Literal for a choice of words."""
    origin = get_origin(annotation)
    if origin is Literal or (isclass(annotation) and issubclass(annotation, str)):
        yield Literal if origin is Literal else str
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin is tuple:
        yield tuple
    elif get_args(annotation):
        for each in get_args(annotation):
            yield from _kinds(each)
    else:
        yield annotation


ROOT = Table(
    {name: node_of(model) for name, model in SECTIONS.items()}
    | {"chains": Table({name: node_of(kind.settings) for name, kind in REGISTRY.items()})}
)


def find(key: Key) -> Node | None:
    """The node of a key; None if there is no such key."""
    node: Node | None = ROOT
    for part in key:
        if isinstance(node, Table):
            node = node.nodes.get(part)
        elif isinstance(node, Named):
            node = node.each
        else:
            return None
    return node


def leaves(node: Node = ROOT, above: Key = (), *, name: str = "*") -> Iterator[Key]:
    """Every key that holds a value; `name` stands for names that the operator chooses."""
    if isinstance(node, Leaf):
        yield above
    elif isinstance(node, Named):
        yield from leaves(node.each, (*above, name), name=name)
    else:
        for part, child in node.nodes.items():
            yield from leaves(child, (*above, part), name=name)


def suggestion(key: Key) -> str:
    """What an unknown key was probably meant to be, in words."""
    parent = find(key[:-1])
    siblings = list(parent.nodes) if isinstance(parent, Table) else []
    near = difflib.get_close_matches(key[-1], siblings, n=1)
    if near:
        return f"a known key; did you mean {dotted((*key[:-1], near[0]))}?"
    everywhere = {dotted(leaf): leaf for leaf in leaves()}
    same = [text for text, leaf in everywhere.items() if leaf[-1] == key[-1]]
    near = same[:1] or difflib.get_close_matches(dotted(key), everywhere, n=1)
    if near:
        return f"a known key; did you mean {near[0]}?"
    return f"one of {', '.join(siblings or ROOT.nodes)}"
