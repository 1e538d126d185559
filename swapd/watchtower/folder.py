"""A folder of packets: one file a swap, written whole or not at all, and read with suspicion."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swapd.errors import Invalid, SwapdError, Unavailable
from swapd.vault.private_file import replace_private
from swapd.watchtower.packet import Packet, from_text, to_text

LARGEST = 512 * 1024
"""Bytes. Four coins with eleven refunds each make 40 KB."""

MOST = 10_000
"""Packets in a folder: far more than swaps may be open."""

SUFFIX = ".json"


@dataclass(frozen=True)
class Found:
    """bad: by the name of its file, why a packet can not be used."""

    packets: tuple[Packet, ...]
    bad: Mapping[str, str]


def path_of(folder: Path, swap_id: str) -> Path:
    return folder / f"{swap_id}{SUFFIX}"


def write(folder: Path, packet: Packet) -> None:
    """Raises what `replace_private` raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_private(path_of(folder, packet.id), "packet", to_text(packet).encode())


def remove(folder: Path, swap_id: str) -> None:
    path_of(folder, swap_id).unlink(missing_ok=True)


def read(path: Path) -> Packet:
    """Raises Invalid for a file that is no packet, Unavailable for one that can not be read."""
    try:
        # without O_NONBLOCK opening a named pipe would wait for its writer forever
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Invalid("packet", path.name, "a regular file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"packet {path.name}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Invalid("packet", path.name, f"a file of at most {LARGEST} bytes")
    packet = from_text(content.decode(errors="replace"))
    if path.name != path_of(path.parent, packet.id).name:
        raise Invalid("packet", path.name, f"a file by the name of its swap, {packet.id}{SUFFIX}")
    return packet


def paths(folder: Path) -> list[Path]:
    """The files that should be packets. Raises Unavailable without a folder: an empty one would look like "nothing to
    do"."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith("."))
    except OSError as error:
        raise Unavailable(f"the folder of packets {folder}: {error.strerror}") from None
    return found[:MOST]


def read_all(folder: Path) -> Found:
    """Every packet in the folder; one that is bad keeps nobody from the others. Raises Unavailable."""
    packets, bad = [], {}
    for path in paths(folder):
        try:
            packets.append(read(path))
        except SwapdError as error:
            bad[path.name] = str(error)
    return Found(tuple(packets), bad)
