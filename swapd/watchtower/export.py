"""Writing packets, on the machine that trades: a copy for somebody else, and never in the way of a swap."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from swapd.chains.abilities import Prepared, SignsAhead
from swapd.chains.base import HtlcChain
from swapd.coordinator.house import House
from swapd.errors import Invalid, SwapdError
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from swapd.store import SwapRow
from swapd.watchtower import folder
from swapd.watchtower.packet import Known, Packet, PacketLeg

log = structlog.get_logger()

LONGEST = 10.0
"""Seconds for one packet. A node that hangs must not hold up a swap for the sake of its copy."""

MOST_KEPT = 100
"""Of one leg, what was signed for locks that can not be seen any more: a reorg may bring them back."""

_HOLDING = (LegState.UNKNOWN, LegState.SEEN, LegState.LOCKED)


@dataclass
class Packets:
    """Keeps a folder of packets up to date. `keep` is called whenever a swap was looked at, and does something only
    when what a packet says has changed. trouble: by swap, why its packet could not be written."""

    house: House
    folder: Path
    trouble: dict[str, str] = field(default_factory=dict)
    _told: dict[str, object] = field(default_factory=dict)

    async def keep(self, row: SwapRow) -> None:
        """Write the swap's packet, or remove it when the swap has ended. Never raises: trouble is logged, kept in
        `trouble`, and tried again at the next look."""
        try:
            async with asyncio.timeout(LONGEST):
                await self._keep(row)
        except TimeoutError:
            self._note(row.id, f"it took longer than {LONGEST:g} s")
        except (SwapdError, OSError) as error:
            self._note(row.id, str(error))
        except Exception as error:  # a mistake of ours here must not reach the swap
            log.exception("packet.mistake", swap=row.id)
            self._note(row.id, f"{type(error).__name__}, a mistake of swapd's own")
        else:
            if self.trouble.pop(row.id, None):
                log.info("packet.written_again", swap=row.id)

    def _note(self, swap_id: str, why: str) -> None:
        if self.trouble.get(swap_id) != why:
            log.warning("packet.trouble", swap=swap_id, folder=str(self.folder), error=why)
        self.trouble[swap_id] = why

    async def _keep(self, row: SwapRow) -> None:
        if is_over(row) and not await self._lock_may_come(row):
            self._told.pop(row.id, None)
            await asyncio.to_thread(folder.remove, self.folder, row.id)
            return
        told = _material(row)
        path = folder.path_of(self.folder, row.id)
        if self._told.get(row.id) == told and await asyncio.to_thread(path.exists):
            return
        await self.write(row)
        self._told[row.id] = told

    async def _lock_may_come(self, row: SwapRow) -> bool:
        """Whether a lock of ours is out whose end is not certain: mined after all, it is refunded (rule S12)."""
        async with self.house.store.read() as reading:
            return await reading.lock_under_way(row.id)

    async def write(self, row: SwapRow) -> None:
        """Write it as it is now, unless it says so already. A chain that is away keeps its own part as it was: the rest
        is written before its trouble is raised (SwapdError)."""
        before = await asyncio.to_thread(self._before, row)
        sides = await asyncio.gather(*(self._leg(row, role, before) for role in Role))
        (initiator, first), (participant, second) = sides
        packet = Packet(self.house.clock(), row.terms, Known.of(row.memory), initiator, participant)
        if before is None or not packet.says_as_much_as(before):
            await asyncio.to_thread(folder.write, self.folder, packet)
        for error in (first, second):
            if error is not None:
                raise error

    def _before(self, row: SwapRow) -> Packet | None:
        try:
            packet = folder.read(folder.path_of(self.folder, row.id))
        except SwapdError:
            return None
        return packet if packet.terms == row.terms else None

    async def _leg(self, row: SwapRow, role: Role, before: Packet | None) -> tuple[PacketLeg, SwapdError | None]:
        known, kept = row.legs[role], before.leg(role).prepared if before else ()
        prepared, error = kept, None
        try:
            prepared = await self._prepared(self.house.chain(known.chain), row, role, kept)
        except SwapdError as trouble:
            error = trouble
        return PacketLeg(known.fingerprint, known.birth, prepared), error

    async def _prepared(
        self, chain: HtlcChain, row: SwapRow, role: Role, kept: tuple[Prepared, ...]
    ) -> tuple[Prepared, ...]:
        """For what is locked now, and for what was."""
        if not isinstance(chain, SignsAhead) or not _somewhere(row, role):
            return kept
        now = tuple(await chain.prepare(row.watched_leg(role)))
        refs = {each.ref for each in now}
        gone = [each for each in kept if each.ref not in refs]
        return (*now, *gone[:MOST_KEPT])


def is_over(row: SwapRow) -> bool:
    """Nothing of the swap is locked anywhere, and nothing is left to do. Late money makes it another one (rule S12)."""
    return row.status.ended and not any(
        leg.view.state in _HOLDING or any(stray.refundable for stray in leg.view.strays) for leg in row.legs.values()
    )


def _somewhere(row: SwapRow, role: Role) -> bool:
    """Whether there is a lock, or something like one, for which swapd may sign."""
    leg, view = row.terms.leg(role), row.legs[role].view
    return (leg.claim_by_swapd or leg.refund_by_swapd) and bool(view.lock_ref or view.strays)


def _material(row: SwapRow) -> object:
    """What has to change before a packet does."""
    views = [row.legs[role].view for role in Role]
    strays = tuple(tuple(stray.ref for stray in view.strays if stray.refundable) for view in views)
    return Known.of(row.memory), tuple(view.lock_ref for view in views), strays


def require_writable(path: Path) -> None:
    """Refuse (Invalid) at the start a folder in which nothing can be written, or that others may read."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Invalid("watchtower.folder", str(path), f"a folder that is swapd's alone: `chmod 700 {path}`")
        probe = path / ".probe"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise Invalid("watchtower.folder", str(path), f"a folder that swapd can write to ({error.strerror})") from None
