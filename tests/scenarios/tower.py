"""A house that writes packets, the folder with them, and a watchtower that has nothing else."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swapd.chains.icp import principal
from swapd.chains.icp.chain import IcpChain
from swapd.chains.icp.settings import IcpSettings
from swapd.chains.registry import REGISTRY
from swapd.coordinator.daemon import Daemon
from swapd.devnet.money import Account
from swapd.protocol.effects import EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.vault import Vault
from swapd.vault.throwaway import throwaway_vault
from swapd.watchtower import folder
from swapd.watchtower.export import Packets
from swapd.watchtower.packet import Packet
from swapd.watchtower.shelf import Shelf
from swapd.watchtower.state import States
from swapd.watchtower.tower import Tower
from tests.scenarios.books import Gains
from tests.scenarios.rig import Rig
from tests.scenarios.side import PACE

GAS = 10**18
NOWHERE = "http://127.0.0.1:1"


@dataclass
class Watched:
    """rig: where only the house writes packets, into `packets`. tower: what the second machine runs."""

    rig: Rig
    packets: Path
    tower: Tower
    vault: Vault
    home: Path
    more: list[Tower] = field(default_factory=list)

    # -- the house -------------------------------------------------------------------------------------------------

    async def keep_packets(self) -> None:
        """The house's daemon begins anew, with a keeper."""
        house = self.rig.house
        keeper = Packets(house.house, self.packets)
        house.daemon = Daemon(house.house, PACE, worker=house.name, keeper=keeper)
        await house.daemon.start()

    @property
    def keeper(self) -> Packets:
        keeper = self.rig.house.daemon.keeper
        assert isinstance(keeper, Packets)
        return keeper

    def packet(self, swap_id: str) -> Packet:
        return folder.read(folder.path_of(self.packets, swap_id))

    async def burn(self) -> None:
        """Daemon, seed and database are gone; what is left is the synced folder."""
        house = self.rig.house
        async with house.house.store.read() as reading:
            found = await reading.swaps()
            effects = [each for row in found.swaps for each in await reading.effects(row.id)]
        self.rig.books.payers |= {each.tx.txid: house.name for effect in effects for each in effect.attempts}
        await house.stop()
        shutil.rmtree(house.folder)

    async def both_locked(self, *, house_first: bool) -> SwapTerms:
        """Both legs are final, and the initiator sleeps before it shows its secret."""
        rig = self.rig
        first, second = (rig.house, rig.other) if house_first else (rig.other, rig.house)
        terms = await rig.agreed(first, second)
        await rig.until(first, terms.swap_id, Status.INITIATOR_LOCKED)
        first.asleep = True
        await rig.until(second, terms.swap_id, Status.PARTICIPANT_LOCKED)
        await rig.block(2)
        return terms

    # -- the other -------------------------------------------------------------------------------------------------

    async def reveal(self, terms: SwapTerms) -> None:
        """The other one claims the participant leg, which the house has funded."""
        other = self.rig.other
        claim = await other.act(EffectKind.CLAIM, terms, Role.PARTICIPANT, other.house.secrets.preimage(terms.index))
        self.rig.books.payers[claim.txid] = other.name

    # -- the tower -------------------------------------------------------------------------------------------------

    async def block(self, count: int = 1) -> None:
        """A block on each chain, everybody looks, and then the towers do."""
        for _ in range(count):
            await self.rig.block()
            for tower in (self.tower, *self.more):
                await tower.look()

    async def time_is(self, unix_seconds: int) -> None:
        await self.rig.time_is(unix_seconds)
        for tower in (self.tower, *self.more):
            await tower.look()

    async def restart(self) -> None:
        """The tower's process ends, and another goes on with its folder."""
        await self.tower.close()
        self.tower = new_tower(self.rig, self.packets, self.home, self.vault, grace=self.tower.grace)

    async def accounts_balance(self) -> Gains:
        for packet in self.known_packets():
            for role in Role:
                owner = self.rig.house.name  # a spend's fee comes out of what it pays to the house
                for each in packet.leg(role).prepared:
                    self.rig.books.payers.setdefault(each.tx.txid, owner)
        return await self.rig.accounts_balance()

    def known_packets(self) -> list[Packet]:
        return list(folder.read_all(self.packets).packets)


def new_tower(
    rig: Rig, packets: Path, home: Path, vault: Vault, *, grace: int = 0, away: str = "", **how: Any
) -> Tower:
    """away: a chain on which no node answers."""
    chains: dict[str, Any] = {}
    for name, configured in rig.house.settings.enabled_chains().items():
        settings = REGISTRY[name].watching(configured)
        if name == away:
            settings = settings.model_copy(update={"rpc_url": NOWHERE})
        if isinstance(settings, IcpSettings):
            chains[name] = IcpChain(name, settings, vault, rig.chains.icp_now)
        else:
            chains[name] = REGISTRY[name].make(name, settings, vault)
    return Tower(
        chains, Shelf(packets, home / "packets"), States(home / "sent"), grace, clock=lambda: rig.chains.now, **how
    )


@asynccontextmanager
async def watched(rig: Rig, *, grace: int = 0) -> AsyncIterator[Watched]:
    """The rig with packets and a tower. Its money is counted from here."""
    base = rig.folder / "tower"
    base.mkdir(mode=0o700)
    packets, home = rig.folder / "packets", base / "home"
    vault = throwaway_vault(base / "gas.key", rig.house.settings.daemon.network)
    found = Watched(rig, packets, new_tower(rig, packets, home, vault, grace=grace), vault, home)
    wallet = await rig.chains.bitcoind.create_wallet(f"tower-{rig.house.wallet}")  # for the books; the tower has none
    at = {"bitcoin": wallet, "ethereum": vault.ethereum_address, "icp": principal.text(vault.icp_principal)}
    rig.books.accounts.append(Account("tower", at))
    await rig.chains.anvil.set_balance(vault.ethereum_address, GAS)
    await rig.books.open()
    await found.keep_packets()
    try:
        yield found
    finally:
        for tower in (found.tower, *found.more):
            await tower.close()
        vault.close()
