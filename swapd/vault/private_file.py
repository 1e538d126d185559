"""Files that only their owner may read: read with suspicion, written once and whole."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from swapd.errors import Invalid, Rejected, Unavailable

LARGEST = 64 * 1024
"""No file of ours comes near this many bytes: more is the wrong file, and is not read into memory."""

OWNER_ONLY = 0o600


class UnsafeFile(Rejected):
    """Somebody else can read or replace the file."""


class FileExists(Rejected):
    """There is something at that path already, and it is never overwritten."""


def read_private(path: Path, what: str) -> bytes:
    """The whole content of a file that belongs to this user and that nobody else may read.

    `what` names the file in errors ("key file"). Owner and mode are those of the file that was opened, not of the path,
    so nobody can exchange it in between. Raises Invalid, UnsafeFile, Rejected, Unavailable.
    """
    try:
        # Without O_NONBLOCK opening a named pipe would wait for its writer forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Invalid(what, str(path), "a file that exists") from None
    except PermissionError:
        raise Rejected(f"{what} {path}: this user may not read it") from None
    except OSError as error:
        raise Unavailable(f"{what} {path}: {error.strerror}") from None
    try:
        _refuse_unsafe(os.fstat(descriptor), path, what)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"{what} {path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise Invalid(what, str(path), f"a file of at most {LARGEST} bytes")
    return content


def _refuse_unsafe(status: os.stat_result, path: Path, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(what, str(path), "a regular file")
    if status.st_uid != os.geteuid():
        raise UnsafeFile(
            f"{what} {path}: belongs to user id {status.st_uid}, not to this one ({os.geteuid()}), "
            f"who could change it at any time"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UnsafeFile(f"{what} {path}: others than its owner may use it; mend with: chmod 600 {path}")


def create_private(path: Path, what: str, content: bytes) -> None:
    """Write a new file of mode 0600, all of it or none, on disk for good when this returns.

    The content goes to a temporary file in the same folder and gets its name by `link`, which, unlike `rename`, fails
    when the name is taken: no race can overwrite a key. A crash leaves at worst a `.NAME.*.tmp` beside it.
    Raises FileExists, Invalid (no such folder), Unavailable (disk full, no links on that file system, ...).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_synced(temporary, content)
        try:
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_folder(path.parent)
    except FileExistsError:
        raise FileExists(f"{what} {path}: exists already and is not overwritten; move it away first") from None
    except (FileNotFoundError, NotADirectoryError):
        raise Invalid(what, str(path), f"a path in a folder that exists ({path.parent} does not)") from None
    except PermissionError:
        raise Rejected(f"{what} {path}: this user may not write to {path.parent}") from None
    except OSError as error:
        raise Unavailable(f"{what} {path}: could not be written: {error.strerror}") from None


def replace_private(path: Path, what: str, content: bytes) -> None:
    """Write a file of mode 0600 in the place of what has its name, if anything has: a reader finds the old one or the
    new one, and after a power cut one of them whole. Raises as `create_private`, but never FileExists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_synced(temporary, content)
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        _sync_folder(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        raise Invalid(what, str(path), f"a path in a folder that exists ({path.parent} does not)") from None
    except PermissionError:
        raise Rejected(f"{what} {path}: this user may not write to {path.parent}") from None
    except OSError as error:
        raise Unavailable(f"{what} {path}: could not be written: {error.strerror}") from None


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, OWNER_ONLY)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
