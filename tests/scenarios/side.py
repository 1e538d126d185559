"""One swapd inside the test process: its own folder, seed, wallets and database, moved on step by step."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.icp import principal
from swapd.chains.icp.chain import IcpChain
from swapd.chains.icp.settings import IcpSettings
from swapd.cli.context import open_house
from swapd.coordinator.daemon import Daemon, Pace
from swapd.coordinator.house import House, Market
from swapd.devnet.icp_world import IcpWorld
from swapd.devnet.money import Account
from swapd.devnet.party import CONFIG, PASSPHRASE
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.settings import Settings, load
from swapd.store import EffectRow, Store, SwapRow
from swapd.vault import Vault, keyfile
from swapd.vault.secret import Secret
from tests.scenarios.chains import BLOCK_SECONDS, Chains
from tests.tables import make_tables

START_SATOSHI = 20_000_000
START_WEI = 20 * 10**18
START_TOKENS = {"ICP": 100 * 10**8, "TOK": 100 * 10**6}
COINS = 4
"""In how many coins the satoshi come: locks of several swaps at once must not wait for each other's change."""

TIMING = {
    "ARRIVAL": "fixed",
    "BLOCK_SECONDS": BLOCK_SECONDS,
    "INCLUSION": 600,
    "CLOCK_AHEAD": 60,
    "CLOCK_BEHIND": 600,
    "FUNDING_WINDOW": 1800,
    "OUTAGE": 1200,
}
"""Comfortable, because virtual minutes cost nothing."""

ANSWER_SECONDS = 30
"""Patience with the nodes of a machine that is busy with other tests."""

PACE = Pace(tick=1, sweep=60, lease=60, stop=5)
ROUNDS = 6
FAR = 86_400


class Side:
    """A swapd that looks and works when `look` is called. Stopped, it has no object of its former life left.

    world: the canisters, if it trades on the Internet Computer too.
    """

    def __init__(self, name: str, wallet: str, folder: Path, chains: Chains, world: IcpWorld | None = None) -> None:
        self.name = name
        self.world = world
        self.wallet = wallet
        self.folder = folder / name
        self.chains = chains
        self.halted = False
        self.asleep = False
        """Its daemon does not get to look: it was stopped, or somebody acts in its place."""
        self.clock_error = 0
        """Seconds that this machine's clock is ahead of true time."""
        self.more: dict[str, str] = {}
        """Settings besides."""
        self.house: House
        self.daemon: Daemon
        self._running: AsyncExitStack | None = None

    @property
    def settings(self) -> Settings:
        timing = {
            f"SWAPD__CHAINS__{c}__TIMING__{k}": str(v)
            for c in ("BITCOIN", "ETHEREUM", "ICP")
            for k, v in TIMING.items()
        }
        patience = {f"SWAPD__CHAINS__{c}__TIMEOUT_SECONDS": str(ANSWER_SECONDS) for c in ("BITCOIN", "ETHEREUM", "ICP")}
        icp = {} if self.world is None else self.world.variables() | self.world.token_variables("TOK")
        return load(
            CONFIG,
            {
                **timing,
                **patience,
                **icp,
                "SWAPD__CHAINS__ICP__REQUEST_SECONDS": "60",
                "SWAPD__DAEMON__LEASE_SECONDS": str(PACE.lease),
                "SWAPD__DAEMON__DATA_DIR": str(self.folder),
                "SWAPD__VAULT__PASSPHRASE_FILE": str(self.folder / "passphrase"),
                "SWAPD__CHAINS__BITCOIN__WALLET": self.wallet,
                "SWAPD__CHAINS__BITCOIN__RPC_URL": self.chains.bitcoind.rpc_url,
                "SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE": str(self.chains.bitcoind.cookie_file),
                "SWAPD__CHAINS__BITCOIN__FEE__RUSH_SECONDS": str(TIMING["INCLUSION"]),
                "SWAPD__CHAINS__ETHEREUM__RPC_URL": self.chains.anvil.rpc_url,
                "SWAPD__CHAINS__ETHEREUM__CONTRACT": self.chains.contract,
                "SWAPD__CHAINS__ETHEREUM__RAMP_SECONDS": str(TIMING["INCLUSION"]),
                **self.more,
            },
        )

    @property
    def database(self) -> Path:
        return self.folder / "swapd.db"

    @property
    def running(self) -> bool:
        return self._running is not None

    # -- life ------------------------------------------------------------------------------------------------------

    async def found(self) -> Account:
        """Seed, database and money, as `swapd init` and a first payment make them."""
        settings = self.settings
        self.folder.mkdir(mode=0o700)
        passphrase = self.folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(PASSPHRASE)
        keyfile.create(settings.vault.key_file, keyfile.new_seed(), Secret(PASSPHRASE.encode()), devnet=True)
        await make_tables(settings.database.url)
        vault = Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network)
        with vault:
            store = await Store.open(settings.database.url, vault)
            async with store.write("operator") as writing:
                await writing.bind("seed", vault.fingerprint)
                await writing.bind("network", settings.daemon.network.value)
            await store.close()
            account = Account(
                self.name,
                {
                    "bitcoin": self.wallet,
                    "ethereum": vault.ethereum_address,
                    "icp": principal.text(vault.icp_principal),
                },
            )
        node = self.chains.bitcoind
        await node.create_wallet(self.wallet)
        for _ in range(COINS):
            target = await node.rpc("getnewaddress", "", "bech32", wallet=self.wallet)
            await node.fund(target, START_SATOSHI // COINS, confirm=False)
        await self.chains.anvil.set_balance(account.at["ethereum"], START_WEI)
        if self.world is not None:
            for symbol, amount in START_TOKENS.items():
                await self.world.mint(symbol, account.at["icp"], amount)
        return account

    async def open(self) -> None:
        """Everything but the daemon: enough to agree on swaps, and to act by hand."""
        self._running = AsyncExitStack()
        house = await self._running.enter_async_context(open_house(self.settings))
        markets = {name: self._in_time(name, market, house) for name, market in house.markets.items()}
        self.house = replace(house, markets=markets, clock=lambda: self.chains.now + self.clock_error)
        for market in self.house.markets.values():
            await market.chain.start()
        self.daemon = Daemon(self.house, PACE, worker=self.name, halted=self.halted)

    def _in_time(self, name: str, market: Market, house: House) -> Market:
        """The Internet Computer's adapter looks at a clock of its own: it gets the replica's."""
        settings = self.settings.chains[name]
        if self.world is None or not isinstance(settings, IcpSettings):
            return market
        assert isinstance(house.secrets, Vault)
        assert self._running is not None
        chain = IcpChain(name, settings, house.secrets, self.chains.icp_now)
        self._running.push_async_callback(chain.close)
        return replace(market, chain=chain)

    async def start(self) -> None:
        if not self.running:
            await self.open()
        await self.daemon.start()

    async def stop(self) -> None:
        """Throw away all objects: the next `start` has the files and the chains, and nothing else."""
        if self._running is not None:
            await self._running.aclose()
            self._running = None
            for made in ("house", "daemon"):
                vars(self).pop(made, None)  # not all was, if a node gave no answer at the start

    async def restart(self, *, halted: bool = False) -> None:
        await self.stop()
        self.halted = halted
        await self.start()

    async def look(self) -> bool:
        """One look at every chain, and everything that follows from it. True if there was news."""
        woken = [await watcher.look() for watcher in self.daemon.watchers.values()]
        await self.daemon.work()
        return any(woken)

    # -- looking at it ---------------------------------------------------------------------------------------------

    async def row(self, swap_id: str) -> SwapRow:
        async with self.house.store.read() as reading:
            return await reading.swap(swap_id)

    async def status(self, swap_id: str) -> Status:
        return (await self.row(swap_id)).status

    async def effects(self, swap_id: str) -> dict[str, EffectRow]:
        async with self.house.store.read() as reading:
            return {effect.effect.key: effect for effect in await reading.effects(swap_id)}

    # -- acting by hand, as a dishonest or careless owner of the same keys would -----------------------------------

    async def watched(self, terms: SwapTerms, role: Role) -> WatchedLeg:
        """The leg with everything that can be seen of it, from the chain and not from any database."""
        chain = self.house.chain(terms.leg(role).terms.chain)
        tip = (await chain.clock()).tip.height
        leg = WatchedLeg(terms.swap_id, terms.index, terms.leg(role), max(0, tip - 150))
        leg = replace(leg, sightings=tuple(await chain.rescan([leg])))
        return replace(leg, sightings=(*leg.sightings, *await chain.mempool([leg])))

    async def act(
        self, kind: EffectKind, terms: SwapTerms, role: Role, preimage: bytes | None = None, **changes: Any
    ) -> SignedTx:
        """Broadcast a lock, claim or refund whatever the rules say. changes: to the effect."""
        leg = await self.watched(terms, role)
        chain, now = self.house.chain(leg.leg.terms.chain), self.chains.now
        draft = await chain.draft(Effect(kind, role, now + FAR, **changes), leg, preimage, (), now)
        assert draft is not None
        tx = draft.sign(None if draft.account is None else draft.floor)
        await chain.broadcast(tx)
        return tx


async def settle(*sides: Side) -> None:
    """Let everybody look, until nobody learns anything new from the others' transactions."""
    for _ in range(ROUNDS):
        if not any([await side.look() for side in sides if side.running and not side.asleep]):
            return
