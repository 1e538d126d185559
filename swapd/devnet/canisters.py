"""The canisters of the checkout as Wasm, compiled once for each state of their sources.

`canisters/build.js` does the work; `docs/canister-build.md` says how, and how anybody can come to the same bytes.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from swapd.devnet.cache import installed
from swapd.devnet.npm_packages import node_modules
from swapd.errors import Invalid, Unavailable

_CHECKOUT = Path(__file__).resolve().parents[2]
_ROOMS = (_CHECKOUT / "canisters", _CHECKOUT / "tests" / "canisters")
_COMPILER = (
    _CHECKOUT / "canisters" / "build.js",
    _CHECKOUT / "canisters" / "compiler.js",
    Path(__file__).parent / "npm" / "package-lock.json",
)
_BUILD_SECONDS = 300  # two to four on a quiet machine


@dataclass(frozen=True)
class Canister:
    """A compiled canister: Wasm module, Candid interface, stable signature, SHA-256 of the module in hex."""

    wasm: bytes
    did: str
    most: str
    hash: str

    def __repr__(self) -> str:
        return f"Canister({self.hash}, {len(self.wasm)} bytes)"


def names() -> list[str]:
    """All canisters there are."""
    return sorted(main.parent.name for room in _ROOMS for main in room.glob("*/Main.mo"))


def built(name: str) -> Canister:
    """The canister called `name` (its folder's name), compiled if these sources never were.

    Raises `Invalid` if there is none of that name or it does not compile, `Unavailable` if the compiler cannot be had.
    """
    folder = _folder(name)
    fingerprint = _fingerprint(folder)

    def build(into: Path) -> None:
        _compile(folder, into)
        if _fingerprint(folder) != fingerprint:
            raise Unavailable(f"the sources of {name} changed while they were compiled")

    output = installed(
        f"canisters/{name}-{fingerprint}", valid=lambda built: (built / f"{name}.wasm").exists(), build=build
    )
    wasm, did, most = (output / f"{name}.{kind}" for kind in ("wasm", "did", "most"))
    return Canister(wasm.read_bytes(), did.read_text(), most.read_text(), sha256(wasm.read_bytes()).hexdigest())


def _folder(name: str) -> Path:
    found = [room / name for room in _ROOMS if name in names() and (room / name / "Main.mo").exists()]
    if not found:
        raise Invalid("canister", name, f"one of {', '.join(names()) or 'none: they are in a checkout only'}")
    return found[0]


def _fingerprint(folder: Path) -> str:
    """Of everything that the Wasm depends on: sources, compiler, how it is called."""
    sources = sorted(path for path in folder.rglob("*.mo") if not path.name.endswith(".test.mo"))
    digest = sha256()
    for path in (*sources, *_COMPILER):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_CHECKOUT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _compile(folder: Path, into: Path) -> None:
    modules = node_modules()
    node = shutil.which("node")
    if node is None:
        raise Unavailable("node is missing: the Motoko compiler runs in it. Get it: apt-get install nodejs npm")
    command: list[str | Path] = [node, _COMPILER[0], folder, "--to", into, "--node-modules", modules]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{folder.name} was not compiled after {_BUILD_SECONDS} s") from None
    if done.returncode != 0:
        raise Invalid("canister", folder.name, f"sources that compile:\n{done.stderr.strip()}")
