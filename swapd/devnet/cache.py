"""The folder that fetched tools live in, and how something gets into it whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from swapd.errors import Unavailable

_LOCK_WAIT_SECONDS = 900  # longer than the slowest fetch is allowed to take: whoever waits wants its result
_LOCK_POLL_SECONDS = 0.2


def cache_folder() -> Path:
    """`SWAPD_CACHE` if set; else `.cache` of the checkout; else, for an installed package, a folder of the user."""
    if explicit := os.environ.get("SWAPD_CACHE"):
        return Path(explicit).absolute()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / ".cache"
    return Path.home() / ".cache" / "swapd"


def installed(name: str, *, valid: Callable[[Path], bool], build: Callable[[Path], None]) -> Path:
    """The folder `name` (a path inside) of the cache, built first if it is not there or not `valid`.

    `build` fills a temporary folder beside it, which is renamed when complete: an interrupted build leaves nothing that
    could be taken for a tool. Of several processes one builds and the others wait for it.
    """
    target = cache_folder() / name
    if valid(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot create the cache folder {target.parent}: {error.strerror}. {_ELSEWHERE}") from error
    if not os.access(target.parent, os.W_OK):
        raise Unavailable(f"cannot write to the cache folder {target.parent}. {_ELSEWHERE}")
    with _lock(target.parent / f".{target.name}.lock"):
        if not valid(target):
            _build_beside(target, build)
    return target


_ELSEWHERE = "Set SWAPD_CACHE to a folder of yours."


def _build_beside(target: Path, build: Callable[[Path], None]) -> None:
    prefix = f".{target.name}.partial-"
    for left_behind in target.parent.glob(f"{prefix}*"):  # by a build that was killed; nobody else builds now
        shutil.rmtree(left_behind)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        partial.chmod(0o755)  # readable by the user that a server runs as when we are root
        print(f"fetching {target.name} into {target} ...", file=sys.stderr, flush=True)
        build(partial)
        if target.exists():
            outdated = partial.with_name(f"{prefix}outdated")
            target.rename(outdated)
            partial.rename(target)
            shutil.rmtree(outdated)
        else:
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # already gone if all went well


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel lets go of it when we die."""
    with path.open("w") as file:
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"another process has been fetching for {_LOCK_WAIT_SECONDS} s and still holds {path}"
                    ) from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield
