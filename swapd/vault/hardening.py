"""What a process does before it holds keys."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from swapd.errors import Rejected

PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""


def forbid_core_dumps() -> None:
    """Keep this process's memory off the disk and away from other processes of this user. For good; call it first.

    No core files (and none of its children's). On Linux also: no debugger may attach, and /proc/PID/mem and
    /proc/PID/environ belong to root. Raises Rejected if the system refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise Rejected(f"core dumps could not be forbidden: {os.strerror(ctypes.get_errno())}")
