"""Stable memory: bytes beside the heap, in pages, that can go back to how they were before a message."""

from __future__ import annotations

from swapd.devnet.replica.errors import trapped

PAGE_BYTES = 65536
_MAX_PAGES = 2**30 // PAGE_BYTES  # 1 GiB; the IC allows 500 GiB, this machine's memory does not


class StableMemory:
    """Grows by whole pages and never shrinks, save by `roll_back` and `clear`."""

    def __init__(self, content: bytes = b"") -> None:
        self._bytes = bytearray(content)
        self._undo: list[tuple[int, bytes]] = []
        self._size_at_mark = len(self._bytes)

    def __len__(self) -> int:
        return len(self._bytes)

    def content(self) -> bytes:
        return bytes(self._bytes)

    @property
    def pages(self) -> int:
        return len(self._bytes) // PAGE_BYTES

    def grow(self, pages: int) -> int | None:
        """The number of pages before, or None if that much can not be had."""
        before = self.pages
        if before + pages > _MAX_PAGES:
            return None
        self._bytes.extend(bytes(pages * PAGE_BYTES))
        return before

    def read(self, offset: int, size: int) -> bytes:
        self._check(offset, size)
        return bytes(self._bytes[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        self._check(offset, len(data))
        if offset < self._size_at_mark:
            self._undo.append((offset, bytes(self._bytes[offset : min(end, self._size_at_mark)])))
        self._bytes[offset:end] = data

    def mark(self) -> None:
        """From here `roll_back` goes back to."""
        self._undo.clear()
        self._size_at_mark = len(self._bytes)

    def roll_back(self) -> None:
        for offset, old in reversed(self._undo):
            self._bytes[offset : offset + len(old)] = old
        del self._bytes[self._size_at_mark :]
        self._undo.clear()

    def _check(self, offset: int, size: int) -> None:
        if offset + size > len(self._bytes):
            raise trapped("stable memory out of bounds")
