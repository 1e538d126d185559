"""Find the programs that devnet runs, or fetch them.

For each tool the order is: named by the caller, in the environment, or in the configuration; on PATH; in the cache;
fetched into it. Nothing is downloaded unless all but the last fail.

    python -m swapd.devnet.fetch [--quiet] [--no-system] bitcoind anvil postgres promtool npm canisters third-party
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swapd.devnet import debian, third_party
from swapd.devnet.cache import installed
from swapd.devnet.canisters import built, names
from swapd.devnet.npm_packages import anvil_binary, node_modules
from swapd.errors import Invalid, SwapdError, Unavailable
from swapd.settings import DEFAULTS, load

_KNOTS_SUITE = "sid"  # Debian releases carry no Bitcoin node; testing and sid do
_POSTGRES_SUITE = "bookworm"
_PROMETHEUS_SUITE = "bookworm"
_WITHOUT_PAGES = frozenset(
    f"libjs-{name}"
    for name in ("bootstrap4", "eonasdan-bootstrap-datetimepicker", "jquery", "jquery-hotkeys", "moment",
                 "moment-timezone", "mustache", "popper.js", "rickshaw")
) | {"libc6"}  # fmt: skip
_POSTGRES_VERSION = "15"
_POSTGRES_PROGRAMS = f"root/usr/lib/postgresql/{_POSTGRES_VERSION}/bin"


@dataclass(frozen=True)
class Tool:
    """A program: the words that start it, to be followed by its arguments."""

    command: tuple[str, ...]


@dataclass(frozen=True)
class PostgresTools:
    """PostgreSQL's programs (`initdb`, `postgres`) and what must be on LD_LIBRARY_PATH for them, often nothing.

    `root` is the folder that all of it lies in if it was fetched: it may be copied to another place as a whole.
    """

    programs: Path
    libraries: tuple[Path, ...] = ()
    root: Path | None = None


def bitcoind(explicit: str | Path | None = None, *, system: bool = True) -> Tool:
    """bitcoind; `system=False` passes over PATH. Raises `Invalid` for a bad name, `Unavailable` if it cannot be had."""
    if path := _named(explicit, "SWAPD_BITCOIND") or (system and shutil.which("bitcoind")):
        return Tool((str(path),))
    with _advice("SWAPD_BITCOIND"):
        return _knots(installed("bitcoin", valid=_has_knots, build=_fetch_knots))


def anvil(explicit: str | Path | None = None, *, system: bool = True) -> Tool:
    """anvil, Foundry's Ethereum node; arguments and errors as for `bitcoind`."""
    if path := _named(explicit, "SWAPD_ANVIL") or (system and shutil.which("anvil")):
        return Tool((str(path),))
    with _advice("SWAPD_ANVIL"):
        return Tool((str(anvil_binary()),))


def postgres(explicit: str | Path | None = None, *, system: bool = True) -> PostgresTools:
    """PostgreSQL's server programs; `explicit` is the folder they are in. Errors as for `bitcoind`."""
    if programs := _named_postgres(explicit) or (_system_postgres() if system else None):
        return PostgresTools(programs)
    with _advice("SWAPD_POSTGRES_BIN"):
        return fetched_postgres(installed("postgresql", valid=_has_postgres, build=_fetch_postgres))


def promtool(*, system: bool = True) -> Tool:
    """Prometheus' own checker of alert rules, for the tests. Raises `Unavailable` if it cannot be had."""
    if system and (found := shutil.which("promtool")):
        return Tool((found,))
    folder = installed("promtool", valid=lambda folder: (folder / "promtool").exists(), build=_fetch_promtool)
    return Tool((str(folder / "promtool"),))


def _named(explicit: str | Path | None, variable: str) -> str | None:
    """The program that the caller, the environment or the configuration names, if one does."""
    value = explicit or os.environ.get(variable) or _configured(variable)
    if not value:
        return None
    if (found := shutil.which(value)) is None:
        raise Invalid("binary" if explicit else variable, str(value), "a program that can be run")
    return found


def _configured(variable: str) -> Path | None:
    """What `[devnet]` in `config/devnet.toml` says about the tool that this variable is for."""
    settings = load(DEFAULTS.with_name("devnet.toml"), os.environ).devnet
    return {
        "SWAPD_BITCOIND": settings.bitcoind,
        "SWAPD_ANVIL": settings.anvil,
        "SWAPD_POSTGRES_BIN": settings.postgres,
    }[variable]


# --- Bitcoin Knots, the Bitcoin Core fork that Debian carries ------------------------------------------------------


def _has_knots(folder: Path) -> bool:
    return (folder / "root/usr/bin/bitcoind").exists()


def _fetch_knots(folder: Path) -> None:
    debian.unpack("bitcoin-knots", suite=_KNOTS_SUITE, into=folder)
    _try_out([*_knots(folder).command, "--version"])


def _knots(folder: Path) -> Tool:
    """Started through its own loader: it needs a newer libc than the machine may have."""
    libraries = next((folder / "root/usr/lib").glob("*-linux-gnu*"))
    loader = next(libraries.glob("ld-linux*.so.*"))
    return Tool((str(loader), "--library-path", str(libraries), str(folder / "root/usr/bin/bitcoind")))


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


def _named_postgres(explicit: str | Path | None) -> Path | None:
    value = explicit or os.environ.get("SWAPD_POSTGRES_BIN") or _configured("SWAPD_POSTGRES_BIN")
    if not value:
        return None
    if not _is_postgres(Path(value)):
        field = "binaries" if explicit else "SWAPD_POSTGRES_BIN"
        raise Invalid(field, str(value), "a folder with the programs initdb and postgres")
    return Path(value)


def _system_postgres() -> Path | None:
    """The server programs on PATH, else the newest where Debian puts them, which is not on PATH."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    candidates += sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    return next(filter(_is_postgres, candidates), None)


def _is_postgres(programs: Path) -> bool:
    return all(os.access(programs / name, os.X_OK) for name in ("initdb", "postgres"))


def _has_postgres(folder: Path) -> bool:
    return _is_postgres(folder / _POSTGRES_PROGRAMS)


def _fetch_postgres(folder: Path) -> None:
    # libc6 must be the machine's own, as its loader is; libllvm only serves the JIT compiler, and is half of all bytes.
    debian.unpack(
        f"postgresql-{_POSTGRES_VERSION}", suite=_POSTGRES_SUITE, into=folder, without=frozenset({"libc6", "libllvm14"})
    )
    tools = fetched_postgres(folder)
    for name in ("initdb", "postgres"):
        _try_out([tools.programs / name, "--version"], LD_LIBRARY_PATH=library_path(tools))


def fetched_postgres(folder: Path) -> PostgresTools:
    """The tools in `folder`, a fetched PostgreSQL or a copy of one."""
    libraries = [path for usr in ("lib", "usr/lib") for path in (folder / "root" / usr).glob("*-linux-gnu*")]
    return PostgresTools(folder / _POSTGRES_PROGRAMS, tuple(libraries), folder)


def library_path(tools: PostgresTools) -> str:
    """The value of LD_LIBRARY_PATH for the tools; empty for none."""
    return ":".join(map(str, tools.libraries))


# --- promtool, from Debian's package of Prometheus --------------------------------------------------------------------


def _fetch_promtool(folder: Path) -> None:
    debian.unpack("prometheus", suite=_PROMETHEUS_SUITE, into=folder, without=_WITHOUT_PAGES)
    program = folder / "promtool"
    shutil.move(folder / "root/usr/bin/promtool", program)
    shutil.rmtree(folder / "root")  # the server, as large again
    _try_out([program, "--version"])


# --- common ----------------------------------------------------------------------------------------------------------


def _try_out(command: list[str | Path], **environment: str) -> None:
    """Run a fetched program once, so that a missing library is an error of the fetch and nothing broken is kept."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise Unavailable(f"{Path(words[-2]).name} was fetched but does not run here:\n{done.stderr.strip()}")


@contextlib.contextmanager
def _advice(variable: str) -> Iterator[None]:
    """Add the way round to what went wrong."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(
            f"{error}\n(A copy of your own is used instead if it is on PATH or named in {variable}.)"
        ) from error


def main() -> None:
    """Fetch the tools named as arguments; one line for each, errors on standard error and exit code 1."""
    finders: dict[str, Callable[[bool], str]] = {
        "bitcoind": lambda system: bitcoind(system=system).command[-1],
        "anvil": lambda system: anvil(system=system).command[-1],
        "postgres": lambda system: str(postgres(system=system).programs),
        "promtool": lambda system: promtool(system=system).command[-1],
        "npm": lambda system: str(node_modules()),
        "third-party": lambda system: f"{len(third_party.proxy()):,} bytes",
        "canisters": lambda system: ", ".join(f"{name} {built(name).hash}" for name in names()),
    }
    parser = argparse.ArgumentParser(prog="swapd.devnet.fetch", description="Find devnet's programs, or fetch them.")
    parser.add_argument("tools", nargs="+", choices=finders)
    parser.add_argument("--quiet", action="store_true", help="say only what is being fetched")
    parser.add_argument("--no-system", action="store_true", help="do not look on this machine, but in the cache only")
    arguments = parser.parse_args()
    for tool in arguments.tools:
        try:
            place = finders[tool](not arguments.no_system)
        except SwapdError as error:
            sys.exit(f"{tool}: {error}")
        if not arguments.quiet:
            print(f"{tool}: {place}")


if __name__ == "__main__":
    main()
