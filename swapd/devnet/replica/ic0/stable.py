"""System API: stable memory, with 64-bit and with 32-bit addresses."""

from __future__ import annotations

from swapd.devnet.replica.ic0.base import ANY, ApiBase, ic0


class StableApi(ApiBase):
    @ic0(ANY)
    def stable64_size(self) -> int:
        return self._owner.stable.pages

    @ic0(ANY)
    def stable64_grow(self, pages: int) -> int:
        before = self._owner.stable.grow(pages)
        return 2**64 - 1 if before is None else before

    @ic0(ANY)
    def stable64_write(self, offset: int, source: int, size: int) -> None:
        self._owner.stable.write(offset, self._read(source, size))

    @ic0(ANY)
    def stable64_read(self, destination: int, offset: int, size: int) -> None:
        self._write(destination, self._owner.stable.read(offset, size))

    @ic0(ANY)
    def stable_size(self) -> int:
        return self._owner.stable.pages

    @ic0(ANY)
    def stable_grow(self, pages: int) -> int:
        before = self._owner.stable.grow(pages)
        return 2**32 - 1 if before is None else before

    @ic0(ANY)
    def stable_write(self, offset: int, source: int, size: int) -> None:
        self._owner.stable.write(offset, self._read(source, size))

    @ic0(ANY)
    def stable_read(self, destination: int, offset: int, size: int) -> None:
        self._write(destination, self._owner.stable.read(offset, size))
