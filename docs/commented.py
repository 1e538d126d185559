"""`config/default.toml` as text: which comment stands above which key."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from swapd.settings.loading import DEFAULTS


@dataclass(frozen=True)
class Entry:
    """A key, or with an empty `value` the header of a table. comment: the lines right above, joined."""

    key: tuple[str, ...]
    comment: str
    value: str = ""


def entries(text: str | None = None) -> list[Entry]:
    """In the order of the file. Knows as much of TOML as `default.toml` uses."""
    found: list[Entry] = []
    table: tuple[str, ...] = ()
    comment: list[str] = []
    lines = iter((DEFAULTS.read_text() if text is None else text).splitlines())
    for line in lines:
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        if line.startswith("["):
            table = tuple(line.strip("[]").split("."))
            found.append(Entry(table, " ".join(comment)))
        elif "=" in line:
            key, _, value = line.partition(" = ")
            while not _complete(value):
                value += next(lines)
            found.append(Entry((*table, key), " ".join(comment), value))
        comment = []
    return found


def _complete(value: str) -> bool:
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return False
    return True
