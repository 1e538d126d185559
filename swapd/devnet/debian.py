"""Debian packages, unpacked into a folder: no root, no installation, no change to the system.

apt does what it is trusted for (mirror choice, signatures, hashes), with state folders of its own;
`dpkg-deb -x` unpacks. The mirror is the machine's own, from its apt sources, so a proxy or a company mirror keeps
working.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from swapd.errors import Unavailable

_KEYRINGS = tuple(
    Path("/usr/share/keyrings") / name for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
)
_TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg", "dpkg": "dpkg"}
_STEP_SECONDS = 600  # one apt step on a very slow line; apt itself gives up on a silent server after 30 s


def unpack(package: str, *, suite: str, into: Path, without: frozenset[str] = frozenset()) -> None:
    """Unpack `package` of the Debian `suite` and the libraries it depends on below `into`.

    Only dependencies named lib* are followed: the rest (service managers, debconf, locales) serves an installation, and
    this is none. `without` names libraries to leave out. Raises `Unavailable` with what is missing and how to get it.
    """
    keyring = _required_tools()
    state = into / "apt"
    failures = []
    for mirror in _mirrors():
        apt = _Apt(state, f"deb [arch={_architecture()} target=Packages signed-by={keyring}] {mirror} {suite} main\n")
        try:
            apt.run("apt-get", "update")
        except Unavailable as error:
            failures.append(str(error))
            continue
        apt.run("apt-get", "download", *_closure(apt, package, without), cwd=apt.packages)
        for archive in sorted(apt.packages.glob("*.deb")):
            _run(["dpkg-deb", "-x", archive, into / "root"])
        shutil.rmtree(state)  # package lists and archives: nine tenths of the bytes, and not needed again
        return
    raise Unavailable("\n".join(failures))


class _Apt:
    """apt with one source line and nothing of the machine's package state: only its network settings remain."""

    def __init__(self, state: Path, source: str) -> None:
        shutil.rmtree(state, ignore_errors=True)
        self.packages = state / "packages"
        for folder in ("lists/partial", "cache/archives/partial", "packages"):
            (state / folder).mkdir(parents=True)
        (state / "sources.list").write_text(source)
        (state / "status").touch()
        options = {
            "Dir::Etc::SourceList": state / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": state,
            "Dir::State::Lists": state / "lists",
            "Dir::State::Status": state / "status",  # else a newer installed version hides the one to download
            "Dir::Cache": state / "cache",
            "APT::Default-Release": "",
            "APT::Sandbox::User": "root",  # the user _apt could not enter our folders
            "APT::Update::Error-Mode": "any",  # else `update` calls it a success when it got nothing
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
        }
        self._options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def run(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        return _run([tool, "-qq", *self._options, *arguments], cwd=cwd)


def _closure(apt: _Apt, package: str, without: frozenset[str]) -> list[str]:
    """`package` and every lib* package reached from it through lib* packages."""
    listing = apt.run(
        "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
        "--no-replaces", "--no-enhances", package,
    )  # fmt: skip
    depends: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if re.match(r"[a-z0-9]", line):
            depends[line.strip()] = current = []
        elif dependency := re.match(r"\s+\|?(?:Pre)?Depends: ([a-z0-9][^\s:]*)$", line):
            current.append(dependency[1])
    found, queue = {package}, [package]
    while queue:
        for name in depends.get(queue.pop(), []):
            if name.startswith("lib") and name in depends and name not in found | without:
                found.add(name)
                queue.append(name)
    return sorted(found)


def _mirrors() -> list[str]:
    """The Debian archives among the machine's apt sources, of either format, the likeliest first."""
    listing = _run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    )
    addresses = [line.split(" ", 1)[1].rstrip("/") for line in listing.splitlines() if line.startswith("main ")]
    debian = {
        address: None  # a dict keeps the order and drops repetitions
        for address in addresses
        if "debian" in _path(address) and not re.search("security|debug|ports", address) and "cdrom:" not in address
    }
    if not debian:
        raise Unavailable(
            "apt has no Debian archive among its sources (looked for one with the component main in "
            "`apt-get indextargets`), so there is nowhere to fetch from. Add one, or install the tool yourself."
        )
    return sorted(debian, key=lambda address: not address.endswith("/debian"))


def _path(address: str) -> str:
    """An archive's address without scheme and host: `scheme://host/debian` -> `debian`."""
    return re.sub(r"^[a-z+]+:(//[^/]*)?/", "", address)


def _architecture() -> str:
    return _run(["dpkg", "--print-architecture"]).strip()


def _required_tools() -> Path:
    """The archive keyring; raises `Unavailable` if it or one of the programs is not on this machine."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise Unavailable(
                f"{tool} is missing (package {package}): nodes are fetched with Debian's own tools. On another system, "
                "install the node yourself and put it on PATH or name it."
            )
    for keyring in _KEYRINGS:
        if keyring.exists():
            return keyring
    raise Unavailable(
        f"{_KEYRINGS[0]} is missing, which Debian's packages are verified with. Get it: "
        "apt-get install debian-archive-keyring"
    )


def _run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    words = [str(word) for word in command]
    what = " ".join(word for word in words if word in ("update", "download", "depends", "-x")) or words[1]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{words[0]} {what} was not done after {_STEP_SECONDS} s") from None
    if done.returncode != 0:
        raise Unavailable(f"{words[0]} {what} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
