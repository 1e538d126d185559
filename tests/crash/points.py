"""The crash points, read from the code: every call of `crashpoint` in swapd."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import swapd

PACKAGE = Path(swapd.__file__).parent


def calls(source: str, path: Path) -> Iterator[str]:
    """The names given to `crashpoint`. Raises ValueError for one that can not be read from the code."""
    for node in ast.walk(ast.parse(source, str(path))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called != "crashpoint":
            continue
        match node.args, node.keywords:
            case [ast.Constant(value=str(name))], []:
                yield name
            case _:
                raise ValueError(f"{path}:{node.lineno}: a crash point's name is one literal string")


@cache
def points() -> tuple[str, ...]:
    """All there are, in order of their names. Raises ValueError for a name that stands in two places."""
    found = Counter(name for path in sorted(PACKAGE.rglob("*.py")) for name in calls(path.read_text(), path))
    twice = [name for name, count in found.items() if count > 1]
    if twice:
        raise ValueError(f"crash points with the same name: {', '.join(sorted(twice))}")
    return tuple(sorted(found))
