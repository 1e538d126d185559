"""What comes from npm, as `npm/package-lock.json` says: anvil's binary, the Solidity compiler, standard tokens."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

from swapd.devnet.cache import installed
from swapd.errors import Unavailable

_SOURCE = Path(__file__).parent / "npm"
_INSTALL_SECONDS = 600
_ANVIL = "@foundry-rs/anvil-linux-amd64/bin/anvil"


def node_modules() -> Path:
    """The `node_modules` folder, fetched first if it is missing or was made from another lock file."""
    return installed("npm", valid=_is_current, build=lambda folder: install(_SOURCE, folder)) / "node_modules"


def anvil_binary() -> Path:
    """anvil's program; raises `Unavailable` where npm has no prebuilt one for this machine."""
    binary = node_modules() / _ANVIL
    if not binary.exists():
        raise Unavailable(
            f"npm brings anvil for Linux on x86_64 only, this is {platform.system()} on {platform.machine()}. Install "
            "Foundry and put anvil on PATH, or name it in SWAPD_ANVIL."
        )
    return binary


def _is_current(folder: Path) -> bool:
    lock = folder / "package-lock.json"
    complete = (folder / "node_modules" / ".package-lock.json").exists()  # npm writes it last
    return complete and lock.exists() and lock.read_bytes() == (_SOURCE / "package-lock.json").read_bytes()


def install(source: Path, folder: Path) -> None:
    """Fetch what the lock file in `source` names into `node_modules` of `folder`. Raises `Unavailable`."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is missing: anvil and the Solidity compiler come from npm. Get it: {_HOW}")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / name, folder / name)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm ci was not done after {_INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        raise Unavailable(f"npm ci failed:\n{done.stderr.strip() or done.stdout.strip()}")


_HOW = "apt-get install nodejs npm"
