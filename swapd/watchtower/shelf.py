"""The packets that a tower works with: those in the synced folder, each copied until its swap is over.

For when the first machine burns, the folder may be the next to go: a sync of what is not there any more deletes what it
finds. So what was read once is kept until the chains say that nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swapd.errors import SwapdError, Unavailable
from swapd.watchtower import folder
from swapd.watchtower.packet import Packet

_Stamp = tuple[int, int, int]


@dataclass
class Shelf:
    """source: the synced folder. own: where the copies are. bad: by the name of its file, why a packet can not be used.
    trouble: why the folder can not be read. Reading is slow work for a thread."""

    source: Path
    own: Path
    bad: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    _kept: dict[str, Packet] = field(default_factory=dict)
    _over: dict[str, Packet] = field(default_factory=dict)
    _read: dict[str, tuple[_Stamp, Packet | str]] = field(default_factory=dict)

    def load(self) -> None:
        """The copies of an earlier run."""
        self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept = {packet.id: packet for packet in folder.read_all(self.own).packets}

    def packets(self) -> list[Packet]:
        """Of each swap that is not over, the newest there is. Never raises for what is in the folder."""
        for packet in self._fresh():
            kept = self._kept.get(packet.id) or self._over.get(packet.id)
            if kept is not None and (kept == packet or kept.made_at > packet.made_at):
                continue
            self._over.pop(packet.id, None)
            self._kept[packet.id] = packet
            try:
                folder.write(self.own, packet)
            except SwapdError as error:
                self.trouble = f"no copy of packet {packet.id} can be kept: {error}"
        return list(self._kept.values())

    def _fresh(self) -> list[Packet]:
        """What the folder holds now; a file that did not change is not read again."""
        self.trouble = ""
        found: dict[str, tuple[_Stamp, Packet | str]] = {}
        try:
            for path in folder.paths(self.source):
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                known = self._read.get(path.name)
                found[path.name] = known if known and known[0] == stamp else (stamp, _read(path))
        except (OSError, Unavailable) as error:
            self.trouble = f"the folder of packets {self.source} can not be read: {error}"
            return []
        self._read = found
        self.bad = {name: what for name, (_, what) in found.items() if isinstance(what, str)}
        return [what for _, what in found.values() if isinstance(what, Packet)]

    def put_away(self, packet: Packet) -> None:
        """Its swap is over: not looked at again, unless a newer packet comes."""
        self._kept.pop(packet.id, None)
        self._over[packet.id] = packet
        folder.remove(self.own, packet.id)


def _read(path: Path) -> Packet | str:
    try:
        return folder.read(path)
    except SwapdError as error:
        return str(error)
