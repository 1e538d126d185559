"""Whether the database can be relied on, and what it needs from a person if not.

The first failure is trouble; it is over only after several proofs in a row that something can be written and stays, so
that a disk with a last free page does not open and shut the gate with every swap.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

PROOFS = 3
"""Written in a row before the trouble is over: one a tick, so some seconds."""

AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)
"""The database does not answer, or not now."""

_PASSING = ("40001", "40P01")
"""SQLSTATE of PostgreSQL for "somebody else was faster, try again": no trouble of the database's."""

_FILE_NEEDS = (
    ("disk is full", "free disk space for {path}: {free} bytes are left"),
    ("database is locked", "another process does not let go of {path}: find it (`fuser {path}`) and end it"),
    ("readonly database", "let swapd's user write to {path} and its folder; is the disk mounted read-only?"),
    ("unable to open", "bring {path} and its folder back, readable for swapd's user; is the disk mounted?"),
    ("disk I/O error", "look at the disk under {path} (full, over quota, failing?)"),
    ("malformed", "stop swapd, keep {path} as it is, and bring the newest backup back: `swapd restore FILE --replace`"),
    (
        "not a database",
        "stop swapd, keep {path} as it is, and bring the newest backup back: `swapd restore FILE --replace`",
    ),
)

_SERVER_NEEDS = (
    ("No space left", "free disk space on the database server"),
    ("read-only", "the server takes no writes, is it a standby? Point database.url at the primary"),
    ("recovery mode", "wait until the server has recovered"),
    ("starting up", "wait until the server has started"),
    ("too many clients", "raise max_connections on the server, or stop other clients"),
    ("password authentication", "mend the password in database.url"),
    ("lock timeout", "another session holds a lock: look at pg_stat_activity, and end it"),
)


@dataclass
class Health:
    """trouble: what is wrong and what is needed, in words, "" while all is well. file: the database's, None for a
    server."""

    file: Path | None
    trouble: str = ""
    _proofs: int = 0

    def failed(self, why: str) -> None:
        self.trouble = f"{why}; needed: {self._need(why)}"
        self._proofs = 0

    def proven(self) -> None:
        """Something was written, and stays."""
        self._proofs += 1
        if self._proofs >= PROOFS:
            self.trouble = ""

    def _need(self, why: str) -> str:
        if self.file is None:
            found = (need for words, need in _SERVER_NEEDS if words in why)
            return next(found, "the database server, reachable at database.url")
        found = (need for words, need in _FILE_NEEDS if words in why)
        return next(found, "look at the file {path}").format(path=self.file, free=self._free(self.file))

    @staticmethod
    def _free(file: Path) -> str:
        try:
            return str(shutil.disk_usage(file.parent).free)
        except OSError:
            return "an unknown number of"


def is_trouble(error: Exception) -> bool:
    """Whether an error is about the database itself, and not about what was asked of it. A malformed file is a plain
    `DatabaseError` on SQLite."""
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _PASSING:
        return False
    return isinstance(error, AWAY) or type(error) is DatabaseError


def words(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()
