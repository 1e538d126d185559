"""Snapshots by what the kernel says was written; `test_rollback.py` has the whole, and how it is without the kernel."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import pytest
import wasmtime

from swapd.devnet.replica import written_pages
from swapd.devnet.replica.instance import Instance
from swapd.devnet.replica.module import Module, new_engine
from swapd.devnet.replica.stable_memory import PAGE_BYTES as WASM_PAGE
from swapd.devnet.replica.written_pages import PAGE_BYTES, WrittenPages, address_of

LIMIT = 10**6
WRITER = """
(module
  (memory (export "memory") 4)
  (func (export "write") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
"""

pytestmark = pytest.mark.skipif(written_pages.watcher() is None, reason="this kernel does not count written pages")


@pytest.fixture
def kernel() -> WrittenPages:
    found = written_pages.watcher()
    assert found is not None
    return found


@pytest.fixture
def pages(kernel: WrittenPages) -> Iterator[mmap.mmap]:
    """Eight of them, watched from now on."""
    memory = mmap.mmap(-1, 8 * PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kernel.watch(address_of(memory), len(memory))
    yield memory
    memory.close()


@pytest.fixture
def instance() -> Instance:
    engine = new_engine()
    return Instance(engine, Module(engine, bytes(wasmtime.wat2wasm(WRITER))), lambda name: None)


def write(instance: Instance, offset: int, byte: int) -> None:
    assert instance.run("write", (offset, byte), LIMIT) is None


def test_the_kernel_tells_what_was_written_since_it_was_asked_last(kernel: WrittenPages, pages: mmap.mmap) -> None:
    start, size = address_of(pages), len(pages)
    assert kernel.take(start, size) == [(start, start + size)]
    assert kernel.take(start, size) == []
    pages[3 * PAGE_BYTES - 1 : 3 * PAGE_BYTES + 1] = b"ab"
    pages[7 * PAGE_BYTES] = 1
    page = start + 2 * PAGE_BYTES
    assert kernel.take(start, size) == [(page, page + 2 * PAGE_BYTES), (start + 7 * PAGE_BYTES, start + size)]
    assert kernel.take(start, size) == []


def test_what_is_not_watched_is_an_error_and_not_unwritten(kernel: WrittenPages) -> None:
    memory = mmap.mmap(-1, PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with memory, pytest.raises(PermissionError):
        kernel.take(address_of(memory), len(memory))


def test_a_forked_process_is_not_told_of_its_parents_pages(
    kernel: WrittenPages, pages: mmap.mmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(OSError, match="forked"):
        kernel.take(address_of(pages), len(pages))


def test_each_of_two_snapshots_is_whole(instance: Instance) -> None:
    """The kernel counts for one of them; the other must not be believed to be up to date."""
    write(instance, 0, 1)
    first = instance.snapshot()
    write(instance, 2 * WASM_PAGE, 2)
    second = instance.snapshot()
    write(instance, WASM_PAGE, 3)
    two = instance.snapshot(second)
    for snapshot, expected in ((first, (1, 0, 0)), (two, (1, 3, 2)), (first, (1, 0, 0))):
        write(instance, 3 * WASM_PAGE, 9)
        instance.restore(snapshot)
        heap = instance.heap()
        assert (heap[0], heap[WASM_PAGE], heap[2 * WASM_PAGE], heap[3 * WASM_PAGE]) == (*expected, 0)


def test_only_what_was_written_is_copied(instance: Instance) -> None:
    snapshot = instance.snapshot()
    snapshot.buffer[0] = snapshot.buffer[3 * WASM_PAGE] = 77  # where the heap has 0
    write(instance, 1, 1)
    again = instance.snapshot(snapshot)
    assert again.buffer[:2] == b"\0\1", "this page is copied as a whole"
    assert again.buffer[3 * WASM_PAGE] == 77
