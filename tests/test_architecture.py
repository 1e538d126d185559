"""The rooms of the package and what each may know of the others: imports point downwards only.

    cli, api → watchtower → coordinator → store, chains, vault → protocol

`settings` lies below the coordinator and above the chains, `telemetry` right above the vault: whoever acts may say so,
and chains do not know who listens. `devnet` is for tests, bench, demo and the terminal; it drives whole daemons, so it
may look at everything but the doors. A new room needs its line here.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import swapd

PACKAGE = Path(swapd.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "crashpoint": set(),
    "protocol": {"errors"},
    "vault": {"crashpoint", "errors"},
    "telemetry": {"errors", "vault"},
    "store": {"crashpoint", "errors", "protocol", "chains.base"},
    "chains": {"crashpoint", "errors", "protocol", "vault"},
    "settings": {"errors", "protocol", "chains.settings", "chains.registry", "vault"},
    "coordinator": {
        "crashpoint",
        "errors",
        "protocol",
        "store",
        "chains.abilities",
        "chains.base",
        "chains.settings",
        "vault",
        "settings",
        "telemetry",
    },
    "watchtower": {"errors", "protocol", "store", "chains.abilities", "chains.base", "vault", "coordinator"},
    "devnet": {"errors", "protocol", "store", "chains", "vault", "settings"},
    "api": {"errors", "protocol", "store", "chains", "vault", "settings", "telemetry", "coordinator"},
    "cli": {
        "errors",
        "protocol",
        "store",
        "chains",
        "vault",
        "settings",
        "telemetry",
        "coordinator",
        "watchtower",
        "api",
        "devnet",
    },
    "__main__": {"cli"},
}
"""What each room may import besides itself, from the bottom up; "chains.base" is that file of the room alone."""

SIDE_BY_SIDE = {"vault", "store", "chains"}

NAMELESS = ("protocol", "coordinator", "watchtower")
"""Rooms that know no chain by its name."""

CHAIN_NAMES = re.compile(
    r"\b(bitcoins?|bitcoind|btc|satoshis?|ethereum|eth|wei|gwei|anvil|icp|icrc|dfinity|canisters?)\b", re.IGNORECASE
)


def module(path: Path) -> str:
    """`swapd/chains/base.py` is chains.base, and `swapd/chains/__init__.py` is chains."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    return name.partition(".")[0]


def imports(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported anywhere in a file, inside of functions too."""
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                inside = path.relative_to(PACKAGE.parent).parts[: -node.level]
                base = ".".join([*inside, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def own(name: str) -> str | None:
    """The part of an imported name below `swapd`; None if it is somebody else's."""
    if name == "swapd":
        return ""
    return name.removeprefix("swapd.") if name.startswith("swapd.") else None


def allowed(importer: str, imported: str) -> bool:
    """Whether a module of `importer` may import the module or name `imported` (both without `swapd.`)."""
    if not imported or room(imported) == room(importer):
        return True
    return any(imported == other or imported.startswith(f"{other}.") for other in ROOMS[room(importer)])


def offenders(source: str, path: Path) -> list[str]:
    found = []
    for line, name in imports(source, path):
        below = own(name)
        if below is not None and not allowed(module(path), below):
            found.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {room(module(path))} must not import {name}")
    return found


def test_every_room_has_its_line() -> None:
    rooms = {room(module(path)) for path in FILES} - {"__init__"}
    assert rooms <= set(ROOMS), rooms - set(ROOMS)


def test_the_table_itself_points_downwards() -> None:
    order = list(ROOMS)
    for name, below in ROOMS.items():
        for other in map(room, below):
            assert order.index(other) < order.index(name) or {name, other} <= SIDE_BY_SIDE, f"{name} above {other}"
    assert [name for name, below in ROOMS.items() if "devnet" in below] == ["cli"]


def test_imports_point_downwards_only() -> None:
    found = [each for path in FILES if module(path) != "__init__" for each in offenders(path.read_text(), path)]
    assert not found, "\n" + "\n".join(found)


def test_the_protocol_needs_the_standard_library_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {name}"
        for path in FILES
        if room(module(path)) == "protocol"
        for line, name in imports(path.read_text(), path)
        if own(name) is None and room(name) not in sys.stdlib_module_names
    ]
    assert not found, "\n" + "\n".join(found)


EDGES_OF_THE_WORLD = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time", "datetime", "io"}
"""Standard library that looks outside or acts."""


def test_the_protocol_looks_at_no_clock_no_disk_and_no_network() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {name}"
        for path in FILES
        if room(module(path)) == "protocol"
        for line, name in imports(path.read_text(), path)
        if room(name) in EDGES_OF_THE_WORLD
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", NAMELESS)
def test_no_chain_is_named_where_none_is_known(name: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{number}: {line.strip()}"
        for path in FILES
        if room(module(path)) == name
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if CHAIN_NAMES.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


def test_a_chain_knows_nothing_of_another() -> None:
    chains = {path.name for path in (PACKAGE / "chains").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    found = []
    for path in FILES:
        part = module(path).split(".")
        if part[0] == "chains" and len(part) > 1 and part[1] in chains:
            others = chains - {part[1]} | {"registry"}
            for line, name in imports(path.read_text(), path):
                if name.startswith(tuple(f"swapd.chains.{other}" for other in others)):
                    found.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {name}")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("protocol/new.py", "from swapd.store import Store"),
        ("protocol/new.py", "import swapd.settings"),
        ("vault/new.py", "from swapd.chains.base import Tip"),
        ("chains/new.py", "from swapd import store"),
        ("chains/bitcoin/new.py", "from ...settings import load"),
        ("store/new.py", "from swapd.chains.settings import Section"),
        ("settings/new.py", "from swapd.chains.bitcoin import rpc"),
        ("coordinator/new.py", "from swapd.chains.ethereum.chain import EthereumChain"),
        ("coordinator/new.py", "def f():\n    from swapd.cli import main"),
        ("api/new.py", "from swapd.devnet.network import Devnet"),
        ("devnet/new.py", "from swapd.cli.main import main"),
    ],
)
def test_an_import_that_points_upwards_is_found(path: str, line: str) -> None:
    assert len(offenders(f"{line}\n", PACKAGE / path)) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("protocol/new.py", "from swapd.errors import Invalid"),
        ("chains/bitcoin/new.py", "from . import rpc"),
        ("coordinator/new.py", "from swapd.chains import base"),
        ("cli/new.py", "from swapd.devnet.network import Devnet"),
    ],
)
def test_an_import_that_points_downwards_is_fine(path: str, line: str) -> None:
    assert offenders(f"{line}\n", PACKAGE / path) == []


def test_a_chains_name_would_be_found() -> None:
    assert CHAIN_NAMES.search('if leg.chain == "bitcoin":')
    assert CHAIN_NAMES.search("# BTC is slow")
    assert not CHAIN_NAMES.search("a method that is something else")
