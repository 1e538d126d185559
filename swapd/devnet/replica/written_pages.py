"""Which pages of this process's memory were written: the kernel keeps count, so that nobody has to copy or compare all.

userfaultfd(2) with asynchronous write protection, and the ioctl PAGEMAP_SCAN: Linux 6.7 or later, without privileges.
Elsewhere `watcher` has none to give, and callers go without.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import mmap
import os
import platform
import struct
import sys
import threading

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_SYSCALL = {"x86_64": 323, "aarch64": 282}  # userfaultfd
_USER_MODE_ONLY = 1

_API = 0xAA  # UFFD_API
_WP_UNPOPULATED, _WP_ASYNC = 1 << 13, 1 << 15  # UFFD_FEATURE_*: also pages never touched; no handler is asked
_UFFDIO_API = 0xC018AA3F
_UFFDIO_REGISTER = 0xC020AA00
_REGISTER_WP = 2

_PAGEMAP_SCAN = 0xC0606610
_SCAN_ARGUMENT = struct.Struct("12Q")  # struct pm_scan_arg
_WALK_END = 4
_WP_MATCHING, _CHECK_WPASYNC = 1, 2  # PM_SCAN_*: protect again what is told of; fail if a page is not watched
_IS_WRITTEN = 2  # PAGE_IS_WRITTEN
_REGIONS = 4096  # told of by one scan

Span = tuple[int, int]


class WrittenPages:
    """Raises OSError where the kernel has no such thing. One is enough for a process."""

    def __init__(self) -> None:
        self._watch = _userfaultfd()
        fcntl.ioctl(self._watch, _UFFDIO_API, bytearray(struct.pack("3Q", _API, _WP_UNPOPULATED | _WP_ASYNC, 0)))
        self._pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self._pid = os.getpid()
        self._found = (ctypes.c_uint64 * (3 * _REGIONS))()
        self._lock = threading.Lock()

    def watch(self, address: int, size: int) -> None:
        """From now on writes to these pages are counted, until they are unmapped. At first all count as written."""
        fcntl.ioctl(self._watch, _UFFDIO_REGISTER, bytearray(struct.pack("4Q", address, size, _REGISTER_WP, 0)))

    def take(self, address: int, size: int) -> list[Span]:
        """The spans of addresses that were written since they were last taken, in order; they count anew from here.

        Raises OSError if not all of it is watched.
        """
        if os.getpid() != self._pid:
            raise OSError("what a forked process writes is not counted")
        spans: list[Span] = []
        at, end = address, address + size
        with self._lock:
            while at < end:
                found, at = self._scan(at, end)
                spans += found
        return spans

    def _scan(self, at: int, end: int) -> tuple[list[Span], int]:
        """What was written, and how far the scan came."""
        argument = bytearray(
            _SCAN_ARGUMENT.pack(
                *(_SCAN_ARGUMENT.size, _WP_MATCHING | _CHECK_WPASYNC, at, end, 0),
                *(ctypes.addressof(self._found), _REGIONS, 0, 0, _IS_WRITTEN, 0, _IS_WRITTEN),
            )
        )
        count = fcntl.ioctl(self._pagemap, _PAGEMAP_SCAN, argument)
        regions = self._found[: 3 * count]
        return list(zip(regions[0::3], regions[1::3], strict=True)), _SCAN_ARGUMENT.unpack(argument)[_WALK_END]


@functools.cache
def watcher() -> WrittenPages | None:
    """The one of this process; None where the kernel has no such thing, or it does not do what it should."""
    try:
        watcher = WrittenPages()
        with mmap.mmap(-1, 3 * PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
            return watcher if _works(watcher, pages) else None
    except OSError:
        return None


def address_of(memory: mmap.mmap) -> int:
    """Where it begins. It must not be closed while the address is used."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _works(watcher: WrittenPages, pages: mmap.mmap) -> bool:
    start = address_of(pages)
    second = start + PAGE_BYTES
    watcher.watch(start, len(pages))
    all_at_first = watcher.take(start, len(pages)) == [(start, start + len(pages))]
    pages[PAGE_BYTES] = 1
    then_one = watcher.take(start, len(pages)) == [(second, second + PAGE_BYTES)]
    return all_at_first and then_one and not watcher.take(start, len(pages))


def _userfaultfd() -> int:
    number = _SYSCALL.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        raise OSError(f"userfaultfd is not known on {sys.platform}, {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "userfaultfd")
    return descriptor
