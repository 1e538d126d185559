"""The checkout's virtual environment, made from `requirements.lock`; run by `make venv` with the system's Python.

It needs no pip and no `venv` package of the system: where Debian's Python comes without them, pip is fetched like a
node. It imports the standard library only, because nothing else is there yet.

    python3 -m swapd.devnet.venv
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

from swapd.devnet import debian
from swapd.devnet.cache import installed
from swapd.errors import SwapdError, Unavailable

_CHECKOUT = Path(__file__).resolve().parents[2]
_FOLDER = _CHECKOUT / ".venv"
_PYTHON = _FOLDER / "bin" / "python"
_PIP_SUITE = "trixie"
_PIP_SECONDS = 900


def main() -> None:
    """Make the environment, or bring the present one up to date; errors on standard error and exit code 1."""
    try:
        if not _works():
            print(f"making {_FOLDER} with Python {sys.version.split()[0]} ...", file=sys.stderr, flush=True)
            venv.create(_FOLDER, clear=True, symlinks=True)  # without pip: that part is what Debian leaves out
        pip = _pip()
        print("installing what requirements.lock names ...", file=sys.stderr, flush=True)
        _install(pip, "--require-hashes", "-r", str(_CHECKOUT / "requirements.lock"))
        _install(pip, "--no-deps", "--no-build-isolation", "-e", str(_CHECKOUT))
    except SwapdError as error:
        sys.exit(str(error))


def _works() -> bool:
    """Whether the environment is there and its Python, which may have been removed since, can be run."""
    return _PYTHON.exists() and subprocess.run([_PYTHON, "-c", ""], check=False).returncode == 0


def _pip() -> Path:
    """pip as a wheel, which can be run as it is: Python's own copy, else Debian's."""
    if importlib.util.find_spec("ensurepip"):
        import ensurepip

        bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
        packaged = sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))  # where Debian's ensurepip looks
        if wheels := bundled or packaged:
            return wheels[-1]
    try:
        folder = installed("pip", valid=lambda path: bool(_wheels(path)), build=_fetch_pip)
    except Unavailable as error:
        raise Unavailable(f"{error}\n(pip is needed once: apt-get install python3-venv brings it, too.)") from error
    return _wheels(folder)[-1]


def _fetch_pip(folder: Path) -> None:
    debian.unpack("python3-pip-whl", suite=_PIP_SUITE, into=folder)


def _wheels(folder: Path) -> list[Path]:
    return sorted((folder / "root/usr/share/python-wheels").glob("pip-*.whl"))


def _install(pip: Path, *what: str) -> None:
    command = [str(_PYTHON), str(pip / "pip"), "install", "--quiet", "--disable-pip-version-check", *what]
    try:
        done = subprocess.run(command, check=False, timeout=_PIP_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip install was not done after {_PIP_SECONDS} s") from None
    if done.returncode != 0:
        raise Unavailable(f"pip install {' '.join(what)} failed; what it said is above")


if __name__ == "__main__":
    main()
